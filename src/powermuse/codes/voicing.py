"""What sounds while a chord holds: in which register, how dense, with which partials; not when.

Of every chord's time the latents are told as quantiles, each channel for itself: so loud it is at its softest, most of
the time, and when it is struck. In which order the frames of a chord come is not in it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

QUANTILES = (0.1, 0.4, 0.7, 0.9, 1.0)
_ALL_BUT_SIGN = 0x7FFFFFFF


def rows(latent_dim: int, quantiles: Sequence[float] = QUANTILES) -> int:
    """Channels of the code: the quantiles, and whether it is known."""
    return len(quantiles) * latent_dim + 1


def code(z_BDT: Tensor, states_BT: Tensor, together: int, quantiles: Sequence[float] = QUANTILES) -> Tensor:
    """[B, Q D + 1, T], constant while a chord holds, from latents (float32) and chord states of `together` frames each;
    its last channel is 1, the others are in units of latents."""
    state_BT = states_BT.repeat_interleave(together, dim=-1)[..., : z_BDT.shape[-1]]
    begins_BT = torch.zeros_like(state_BT)
    begins_BT[:, 1:] = state_BT.diff() != 0
    chord_BT = begins_BT.cumsum(dim=-1)
    first_BT = (begins_BT * torch.arange(begins_BT.shape[-1], device=z_BDT.device)).cummax(dim=-1).values
    last_BT = first_BT + (chord_BT[:, :, None] == chord_BT[:, None]).sum(dim=-1) - 1
    sorted_BDT = _sorted(z_BDT, chord_BT)
    told = [_at(sorted_BDT, first_BT + (q * (last_BT - first_BT).double()).round().long()) for q in quantiles]
    told_BRT = torch.cat(told, dim=1)
    return torch.cat([told_BRT, torch.ones_like(told_BRT[:, :1])], dim=1)


def unknown(z_BDT: Tensor, quantiles: Sequence[float] = QUANTILES) -> Tensor:
    """The code of a voicing that is left open: [B, Q D + 1, T] of zeros."""
    return z_BDT.new_zeros(len(z_BDT), rows(z_BDT.shape[1], quantiles), z_BDT.shape[-1])


def _sorted(z_BDT: Tensor, chord_BT: Tensor) -> Tensor:
    """The latents of each chord by size, one chord after another."""
    bits_BDT = z_BDT.detach().view(torch.int32)
    # As integers, floats are in the order of their size, the negative ones turned round: behind the number of the
    # chord they are sorted together with it, exactly.
    size_BDT = bits_BDT ^ ((bits_BDT >> 31) & _ALL_BUT_SIGN)
    return z_BDT.gather(-1, ((chord_BT << 32)[:, None] + size_BDT).argsort(dim=-1))


def _at(x_BDT: Tensor, places_BT: Tensor) -> Tensor:
    return x_BDT.gather(-1, places_BT[:, None].expand_as(x_BDT))
