"""The embedded codec: log-mel latents, decoded without weights.

Encode: 128 Slaney mel bands of the power spectrum (STFT 1280 / hop 320 at 24 kHz), as decibels above a floor.
Decode: the power spectrum by non-negative least squares on the relative error of each band (multiplicative updates;
Lee & Seung, NIPS 2000), then phases by fast Griffin-Lim (Perraudin, Balazs & Søndergaard, WASPAA 2013), seeded.
Where the notes are known, spectrum and phases begin at their partials (`audio.partials`), and few steps are enough.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from powermuse.audio import partials
from powermuse.audio.spectra import istft, mel_filters, power_spectrum, stft
from powermuse.codecs import Codec
from powermuse.types import BadInput

_N_FFT = 1280
_FLOOR_DB = -70.0
# Decibels per latent unit: music at -20 dBFS then has RMS 5.7 (measured, see LOG.md).
_DB_PER_UNIT = 3.3
_CEILING = 60.0
"""Latents above this, some 200 dB over the floor, are taken for it: what has not learnt yet may ask for more than a
float holds, and no sound does."""
_PLAYED_INVERSION_STEPS, _PLAYED_PHASE_STEPS = 10, 2
"""Where the notes are known: more of the first change little, more of the second blur the partials (LOG.md)."""


@dataclass(frozen=True)
class Config:
    """Options of the mel codec."""

    inversion_steps: int = 60
    """Multiplicative updates of the spectrum that the mel bands came from."""
    phase_steps: int = 32
    """Iterations of fast Griffin-Lim."""
    seed: int = 0
    """Of the phases that Griffin-Lim starts from."""


class MelCodec(Codec):
    """z = 10 log10(1 + P / P_floor) / 3.3, P_floor = -70 dB, 0 dB = a full-scale 1 kHz sine; silence is exactly 0."""

    sample_rate_hz = 24_000
    hop_samples = 320
    latent_dim = 128
    toy_options: ClassVar[dict[str, Any]] = {"inversion_steps": 4, "phase_steps": 2}

    filters_MF: Tensor

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        if not 0 <= config.seed < 2**63:
            raise BadInput(f"codec mel: seed must be from 0 to below 2^63, not {config.seed}")
        self.config = config
        filters_MF = mel_filters(self.sample_rate_hz, _N_FFT, self.latent_dim)
        self.register_buffer(
            "filters_MF", filters_MF / _power_of_sine(filters_MF, self.sample_rate_hz), persistent=False
        )
        self.floor = 10.0 ** (_FLOOR_DB / 10.0)

    def encode(self, wav_BCN: Tensor) -> Tensor:
        """[B, 1, N] -> z [B, 128, T] >= 0."""
        self.require_mono(wav_BCN)
        mel_BMT = self.filters_MF @ power_spectrum(wav_BCN[:, 0], _N_FFT, self.hop_samples)
        return (10.0 / _DB_PER_UNIT) * torch.log10(1.0 + mel_BMT / self.floor)

    def decode(self, z_BDT: Tensor) -> Tensor:
        """z [B, 128, T] -> [B, 1, T * 320]. Gradients reach z by the magnitudes; the phases found are constants."""
        mel_BMT = self._mel(z_BDT)
        magnitude_BFT = self._power_spectrum(mel_BMT).clamp_min(1e-14).sqrt()
        with torch.no_grad():
            phase_BFT = self._phases(magnitude_BFT, self._random(magnitude_BFT), self.config.phase_steps)
        return istft(magnitude_BFT * phase_BFT, _N_FFT, self.hop_samples)[:, None]

    @torch.no_grad()
    def decode_played(self, z_BDT: Tensor, roll_BQT: Tensor) -> Tensor:
        """`decode`, with the power of each band on the partials of the notes that sound, and their phases. No
        gradient."""
        mel_BMT = self._mel(z_BDT)
        guess_BFT = partials.power(roll_BQT.to(z_BDT), _N_FFT, self.hop_samples)
        share_BMT = mel_BMT / (self.filters_MF @ guess_BFT)
        share_BFT = self.filters_MF.T @ share_BMT / self.filters_MF.sum(0)[:, None].clamp_min(1e-12)
        power_BFT = self._least_squares(mel_BMT, guess_BFT * share_BFT, _PLAYED_INVERSION_STEPS)
        magnitude_BFT = power_BFT.clamp_min(1e-14).sqrt()
        begin_BFT = partials.phases(roll_BQT, _N_FFT, self.hop_samples, self.config.seed)
        phase_BFT = self._phases(magnitude_BFT, begin_BFT, _PLAYED_PHASE_STEPS)
        return istft(magnitude_BFT * phase_BFT, _N_FFT, self.hop_samples)[:, None]

    def _mel(self, z_BDT: Tensor) -> Tensor:
        return self.floor * (torch.pow(10.0, z_BDT.clamp(0.0, _CEILING) * (_DB_PER_UNIT / 10.0)) - 1.0)

    def _power_spectrum(self, mel_BMT: Tensor) -> Tensor:
        """Non-negative [B, F, T] whose mel bands are `mel_BMT`, up to the least relative error."""
        with torch.no_grad():
            begin_BFT = self.filters_MF.T @ mel_BMT / self.filters_MF.square().sum(1).mean()
            found_BFT = self._least_squares(mel_BMT, begin_BFT, self.config.inversion_steps)
        # Same value, with a gradient: a bin follows, in decibels, the bands that cover it.
        share_FM = self.filters_MF.T / self.filters_MF.sum(0)[:, None].clamp_min(1e-12)
        change_BMT = (mel_BMT + self.floor) / (mel_BMT + self.floor).detach()
        covered = (self.filters_MF.sum(0) > 0)[:, None]
        return found_BFT * torch.where(covered, share_FM @ change_BMT, 1.0)

    def _least_squares(self, mel_BMT: Tensor, begin_BFT: Tensor, steps: int) -> Tensor:
        """From a first guess; a bin that is nothing there stays so."""
        filters, transposed = self.filters_MF, self.filters_MF.T.contiguous()
        weight_BMT = (mel_BMT + self.floor).pow(-2)
        wanted_BFT = transposed @ (weight_BMT * mel_BMT)
        power_BFT = begin_BFT
        for _ in range(steps):
            power_BFT = power_BFT * wanted_BFT / (transposed @ (weight_BMT * (filters @ power_BFT))).clamp_min(1e-30)
        return power_BFT

    def _random(self, magnitude_BFT: Tensor) -> Tensor:
        """Unit phasors [B, F, T]; every clip starts from the same seeded ones, so that a batch equals its clips."""
        random = torch.Generator().manual_seed(self.config.seed)
        angle = 2 * torch.pi * torch.rand(magnitude_BFT.shape[1:], generator=random)
        return torch.polar(torch.ones_like(angle), angle).to(magnitude_BFT.device).expand(magnitude_BFT.shape)

    def _phases(self, magnitude_BFT: Tensor, begin_BFT: Tensor, steps: int, momentum: float = 0.99) -> Tensor:
        """Unit phasors [B, F, T] that suit the magnitudes, from those to begin with."""
        phase = begin_BFT
        previous: Tensor | float = 0.0
        for _ in range(steps):
            rebuilt = stft(istft(magnitude_BFT * phase, _N_FFT, self.hop_samples), _N_FFT, self.hop_samples)
            ahead = rebuilt + momentum * (rebuilt - previous)
            phase = ahead / ahead.abs().clamp_min(1e-12)
            previous = rebuilt
        return phase


def _power_of_sine(filters_MF: Tensor, sample_rate_hz: int) -> Tensor:
    """What the bands read at most for a full-scale sine of 1 kHz."""
    time_s = torch.arange(_N_FFT, dtype=torch.float64) / sample_rate_hz
    sine = torch.sin(2 * torch.pi * 1000.0 * time_s).float()
    return (filters_MF @ power_spectrum(sine[None], _N_FFT, _N_FFT)[0]).max()


def equalised(z_BDT: Tensor, gains_db_BD: Tensor) -> Tensor:
    """The latents [B, 128, T] of what is heard through an equaliser with a gain for each band, [B, 128]."""
    power_BDT = torch.pow(10.0, z_BDT.clamp_min(0.0) * (_DB_PER_UNIT / 10.0)) - 1.0
    return (10.0 / _DB_PER_UNIT) * torch.log10(1.0 + power_BDT * torch.pow(10.0, gains_db_BD[..., None] / 10.0))
