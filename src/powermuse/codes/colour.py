"""The colour of a clip: how its latents are spread in each channel, whatever their order.

Quantiles over time say which registers and partials sound, how often and how far they fade; which frame came after
which is not in it.
"""

from collections.abc import Sequence

from torch import Tensor

QUANTILES = (0.1, 0.5, 0.9)
_EVERY = 4
"""Frames between two that are looked at: neighbours tell the same."""


def rows(latent_dim: int, quantiles: Sequence[float] = QUANTILES) -> int:
    """Length of the code."""
    return len(quantiles) * latent_dim


def code(z_BDT: Tensor, quantiles: Sequence[float] = QUANTILES) -> Tensor:
    """[B, Q D]: one quantile after another of all latent channels over time."""
    sorted_BDT = z_BDT[..., ::_EVERY].sort(dim=-1).values
    last = sorted_BDT.shape[-1] - 1
    return sorted_BDT[..., [round(q * last) for q in quantiles]].transpose(1, 2).flatten(1)
