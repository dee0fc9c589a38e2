"""Clips that the agent tests share."""

from collections.abc import Callable

import pytest
import torch

from powermuse.types import Clip

MakeClip = Callable[..., Clip]


def _clip(seed: int = 0, batch: int = 1, latent_dim: int = 16, frames: int = 24, silent: bool = False) -> Clip:
    """Random latents of RMS 5.7 over features in their ranges, or the silence of the mel codec."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, latent_dim, frames)
    if silent:
        nothing = torch.zeros(batch, 8, frames), torch.zeros(batch, 24, frames)
        return Clip(torch.zeros(shape), *nothing, torch.full((batch, frames), -100.0), torch.zeros(batch, frames))
    # Few notes at a time, for .8 s: what sounds all of them alike has no chord.
    chroma = torch.rand(batch, 24, frames, generator=generator)[..., ::60].pow(6)
    chroma = chroma.repeat_interleave(60, dim=-1)[..., :frames]
    beats = torch.zeros(batch, frames)
    beats[:, ::8] = 1.0
    beats[:, ::32] = 2.0
    return Clip(
        5.7 * torch.randn(shape, generator=generator),
        torch.rand(batch, 8, frames, generator=generator),
        chroma / chroma.amax(dim=1, keepdim=True),
        -40.0 + 30.0 * torch.rand(batch, frames, generator=generator),
        beats,
    )


@pytest.fixture(scope="session")
def clip() -> MakeClip:
    """A maker of clips: `clip(seed, batch, latent_dim, frames, silent)`."""
    return _clip
