"""An exact, weightless codec: the modified discrete cosine transform (Princen & Bradley 1986), orthonormal.

Written as its two halves: across each border between hops a rotation of mirrored samples (the window), then a DCT-IV
within each hop. The outer borders are not rotated, so T hops give T frames and nothing wraps around.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio.spectra import frame_count
from powermuse.codecs import LATENT_RMS, Codec

# An orthonormal transform keeps the RMS: 0.1 at -20 dBFS.
_SCALE = LATENT_RMS / 0.1


@dataclass(frozen=True)
class Config:
    """The MDCT has no options."""


class MdctCodec(Codec):
    """Latents are the 320 MDCT coefficients of each hop, low to high, times 57."""

    sample_rate_hz = 24_000
    hop_samples = 320
    latent_dim = 320

    dct: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        hop = self.hop_samples
        n = torch.arange(hop, dtype=torch.float64) + 0.5
        self.register_buffer(
            "dct", (math.sqrt(2.0 / hop) * torch.cos(math.pi / hop * torch.outer(n, n))).float(), False
        )
        # Angle of the rotation at distance j + 1/2 from the border: the sine window's.
        angle = math.pi / 4 * (1.0 - (torch.arange(hop // 2, dtype=torch.float64) + 0.5) / (hop / 2))
        self.register_buffer("cos", torch.cos(angle).float(), False)
        self.register_buffer("sin", torch.sin(angle).float(), False)

    def encode(self, wav_BCN: Tensor) -> Tensor:
        """[B, 1, N] -> z [B, 320, T]."""
        self.require_mono(wav_BCN)
        frames = frame_count(wav_BCN.shape[-1], self.hop_samples)
        padded = F.pad(wav_BCN[:, 0], (0, frames * self.hop_samples - wav_BCN.shape[-1]))
        hops_BTn = padded.unflatten(-1, (frames, self.hop_samples))
        return (self._rotate(hops_BTn, 1.0) @ self.dct).transpose(1, 2) * _SCALE

    def decode(self, z_BDT: Tensor) -> Tensor:
        """z [B, 320, T] -> [B, 1, T * 320]."""
        hops_BTn = (z_BDT / _SCALE).transpose(1, 2) @ self.dct
        return self._rotate(hops_BTn, -1.0).flatten(1)[:, None]

    def _rotate(self, hops_BTn: Tensor, direction: float) -> Tensor:
        """Rotates the mirrored samples around every inner border; -1 undoes +1."""
        half = self.hop_samples // 2
        before = hops_BTn[:, :-1, half:].flip(-1)  # distance from the border grows with the index
        after = hops_BTn[:, 1:, :half]
        sin = -direction * self.sin
        new_before = (self.cos * before + sin * after).flip(-1)
        new_after = self.cos * after - sin * before
        left = torch.cat([hops_BTn[:, :1, :half], new_after], dim=1)
        right = torch.cat([new_before, hops_BTn[:, -1:, half:]], dim=1)
        return torch.cat([left, right], dim=-1)
