"""Masks that do not learn: the prototype's five ways to divide two clips."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from powermuse.agents import Agent, masked_streams
from powermuse.losses import masks
from powermuse.types import BadInput, Clip, Proposal


@dataclass(frozen=True)
class Config:
    """Options of the fixed agent."""

    kind: Literal["temporal", "frequency", "spectral", "energy", "hybrid", "groove"] = "temporal"
    """`groove` lets the groove alone through, unmasked: the input of the single-stage model."""
    segment_frames: int = 150
    """temporal, hybrid: frames that one clip holds before the other takes over."""
    fade_frames: int = 10
    """temporal, hybrid: frames of the cross-fade at each change."""
    low_share: float = 0.3
    """frequency, hybrid: share of the channels, from the lowest, that the groove keeps."""
    other_side: float = 0.2
    """frequency, hybrid: what a clip keeps of the channels that are the other's."""
    percentile: float = 70.0
    """energy: frames of the groove above this percentile of its own energy are the groove's."""
    seed: int = 0
    """spectral: which half of the channels is the groove's."""


class FixedAgent(Agent):
    """Low channels are low pitches in the mel and MDCT codecs; EnCodec's channels have no order of pitch."""

    def __init__(self, config: Config, latent_dim: int) -> None:
        super().__init__()
        for name, value, low, high in (
            ("fade_frames", config.fade_frames, 1, config.segment_frames - 1),
            ("low_share", config.low_share, 0.0, 1.0),
            ("other_side", config.other_side, 0.0, 1.0),
            ("percentile", config.percentile, 0.0, 100.0),
        ):
            if not low <= value <= high:
                raise BadInput(f"agent fixed: {name} must be from {low} to {high}, not {value}")
        self.config = config
        self.stream_dims = (latent_dim,) if config.kind == "groove" else (latent_dim, latent_dim)

    def forward(self, groove: Clip, harmony: Clip) -> Proposal:
        """Masked latents of both clips; with kind `groove` the groove's latents alone."""
        if self.config.kind == "groove":
            return Proposal((groove.z_BDT,), groove.z_BDT, {}, {})
        groove_mask, harmony_mask = self._masks(groove.z_BDT)
        streams, residual = masked_streams(groove.z_BDT * groove_mask, harmony.z_BDT * harmony_mask)
        used = (groove_mask.expand_as(groove.z_BDT), harmony_mask.expand_as(groove.z_BDT))
        return Proposal(streams, residual, {}, masks.statistics(*used), used)

    def _masks(self, z_BDT: Tensor) -> tuple[Tensor, Tensor]:
        kind = self.config.kind
        if kind == "temporal":
            return self._temporal(z_BDT)
        if kind == "frequency":
            return self._frequency(z_BDT)
        if kind == "spectral":
            return self._spectral(z_BDT)
        if kind == "energy":
            return self._energy(z_BDT)
        in_time, in_pitch = self._temporal(z_BDT), self._frequency(z_BDT)
        return in_time[0] * in_pitch[0], in_time[1] * in_pitch[1]

    def _temporal(self, z_BDT: Tensor) -> tuple[Tensor, Tensor]:
        """[1, 1, T]: segments in turn, the groove first; linear cross-fades that end each segment."""
        segment, fade = self.config.segment_frames, self.config.fade_frames
        frame = torch.arange(z_BDT.shape[-1], device=z_BDT.device)
        position = frame % segment
        leaving = ((position - (segment - fade) + 0.5) / fade).clamp(0.0, 1.0)
        groove_turn = (frame // segment) % 2 == 0
        mask = torch.where(groove_turn, 1.0 - leaving, leaving).to(z_BDT.dtype)[None, None]
        return mask, 1.0 - mask

    def _frequency(self, z_BDT: Tensor) -> tuple[Tensor, Tensor]:
        """[1, D, 1]: the groove keeps the low channels, the harmony the rest."""
        channels = z_BDT.shape[1]
        low = torch.arange(channels, device=z_BDT.device) < round(self.config.low_share * channels)
        low = low[None, :, None]
        other = self.config.other_side
        return torch.where(low, 1.0, other).to(z_BDT.dtype), torch.where(low, other, 1.0).to(z_BDT.dtype)

    def _spectral(self, z_BDT: Tensor) -> tuple[Tensor, Tensor]:
        """[1, D, 1]: a seeded random half of the channels each."""
        channels = z_BDT.shape[1]
        order = torch.randperm(channels, generator=torch.Generator().manual_seed(self.config.seed))
        mask = torch.zeros(1, channels, 1, dtype=z_BDT.dtype)
        mask[:, order[: channels // 2]] = 1.0
        mask = mask.to(z_BDT.device)
        return mask, 1.0 - mask

    def _energy(self, z_BDT: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 1, T]: the groove's loudest frames are the groove's."""
        energy_BT = z_BDT.square().mean(dim=1)
        threshold = torch.quantile(energy_BT.float(), self.config.percentile / 100.0, dim=-1, keepdim=True)
        mask = (energy_BT > threshold).to(z_BDT.dtype)[:, None]
        return mask, 1.0 - mask
