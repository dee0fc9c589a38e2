"""The colour of a clip: how its latents are spread in each channel, whatever their order.

Quantiles over time say which registers and partials sound, how often and how far they fade; which frame came after
which is not in it.
"""

from torch import Tensor

QUANTILES = (0.1, 0.5, 0.9)
_EVERY = 4
"""Frames between two that are looked at: neighbours tell the same."""


def rows(latent_dim: int) -> int:
    """Length of the code."""
    return len(QUANTILES) * latent_dim


def code(z_BDT: Tensor) -> Tensor:
    """[B, 3 D]: the .1, the .5 and then the .9 quantiles of all latent channels over time."""
    sorted_BDT = z_BDT[..., ::_EVERY].sort(dim=-1).values
    last = sorted_BDT.shape[-1] - 1
    return sorted_BDT[..., [round(q * last) for q in QUANTILES]].transpose(1, 2).flatten(1)
