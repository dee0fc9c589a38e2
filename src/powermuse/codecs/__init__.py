"""Waveform <-> latents. A codec is one file here with a `Config` and a class; the contract tests run over all."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

LATENT_RMS = 5.7
"""RMS of the latents of music at -20 dBFS: EnCodec's own figure, which the weightless codecs are scaled to."""


class Codec(nn.Module, ABC):
    """Frozen. `encode` and `decode` are differentiable, and give a clip in a batch what they give it alone."""

    sample_rate_hz: int
    hop_samples: int
    latent_dim: int
    latent_options: tuple[str, ...] = ()
    """Options that change the latents (and not only how they are decoded): data made with others do not fit."""

    latents_carry_level: bool = True
    """Whether the norm of a frame of latents grows with the level of the sound, so that envelopes can be read off."""

    context_frames: int = 0
    """Frames that a stretch of latents wants decoded before it to sound as it does within the whole."""

    blank_options: ClassVar[dict[str, Any]] = {}
    """Options of the same architecture without weights that would have to be downloaded."""

    toy_options: ClassVar[dict[str, Any]] = {}
    """Options of a stand-in that is built and run in a moment, for a dry run."""

    @classmethod
    def at_hand(cls, options: dict[str, Any]) -> bool:
        """Whether the codec with these options can be built without a download."""
        return True

    @property
    def frame_rate_hz(self) -> float:
        """Latent frames per second."""
        return self.sample_rate_hz / self.hop_samples

    @abstractmethod
    def encode(self, wav_BCN: Tensor) -> Tensor:
        """Latents z_BDT of mono clips (C = 1), T = ceil(N / hop_samples)."""

    @abstractmethod
    def decode(self, z_BDT: Tensor) -> Tensor:
        """Waveforms wav_BCN, C = 1, N = T * hop_samples."""

    def decode_played(self, z_BDT: Tensor, roll_BQT: Tensor) -> Tensor:
        """`decode` of what is known to play these notes: [B, 88, T] from A0, 1 where one sounds in a frame, 2 where it
        is struck. A codec that has no use for them decodes as ever."""
        return self.decode(z_BDT)

    def keep_decoder(self) -> "Codec":
        """This codec, rid of what only `encode` needs where that is worth the memory."""
        return self

    def require_mono(self, wav_BCN: Tensor) -> None:
        """Raises ValueError unless the shape is [B, 1, N] with N >= 1."""
        if wav_BCN.ndim != 3 or wav_BCN.shape[1] != 1 or wav_BCN.shape[2] < 1:
            raise ValueError(f"{type(self).__name__} takes mono clips [B, 1, N], not {list(wav_BCN.shape)}")
