"""Creative agents: what each clip contributes. An agent is one file here with a `Config` and a class."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from powermuse.types import Clip, Proposal


class Agent(nn.Module, ABC):
    """Two clips in, a proposal out. Knows tensors only: no file, no codec, no trainer."""

    stream_dims: tuple[int, ...]
    """Channels of each stream that it proposes, in order: the cascade is built from them. A composer by flow matching
    takes the first for the rhythm and the last, in latent units and the same in every frame, for the colour."""
    factors: tuple[tuple[int, ...], ...] = ()
    """Which streams tell what a composer may be guided by, together; empty: each stream for itself."""
    palette: int | None = None
    """Which of the streams, if any, holds levels that the latents may have, in latent units, some for each channel, and
    last whether they are known: what a composer may paint with."""
    penalty_names: tuple[str, ...] = ()
    """The penalties that its proposals carry: names that a recipe may weight."""
    toy_options: ClassVar[dict[str, Any]] = {}
    """Options of an agent of the same form that runs in a moment, for a dry run."""

    @abstractmethod
    def forward(self, groove: Clip, harmony: Clip) -> Proposal:
        """What the cascade may see of the two clips."""


def masked_streams(groove_BDT: Tensor, harmony_BDT: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Two latents as streams, and their mean: the residual of the two-clip agents."""
    return (groove_BDT, harmony_BDT), 0.5 * (groove_BDT + harmony_BDT)


def rms(z_BDT: Tensor) -> Tensor:
    """RMS of each clip, [B, 1, 1], with a finite gradient on silence."""
    return (z_BDT.square().mean(dim=(1, 2), keepdim=True) + 1e-8).sqrt()
