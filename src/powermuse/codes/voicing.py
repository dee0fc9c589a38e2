"""What sounds while a chord holds: in which register, how dense, with which partials; not when.

Of every chord's time the latents are told as quantiles, each channel for itself: so loud it is at its softest, most of
the time, and when it is struck. In which order the frames of a chord come is not in it.
"""

from itertools import pairwise

import torch
from torch import Tensor

QUANTILES = (0.1, 0.4, 0.7, 0.9, 1.0)


def rows(latent_dim: int) -> int:
    """Channels of the code: the quantiles, and whether it is known."""
    return len(QUANTILES) * latent_dim + 1


def code(z_BDT: Tensor, states_BT: Tensor, together: int) -> Tensor:
    """[B, 5 D + 1, T], constant while a chord holds, from latents and chord states of `together` frames each; its last
    channel is 1, the others are in units of latents."""
    told = [
        torch.cat([_told(z_DT) for z_DT in clip_DT.split(_lengths(states_T, together, clip_DT.shape[-1]), dim=-1)], -1)
        for clip_DT, states_T in zip(z_BDT, states_BT, strict=True)
    ]
    told_BRT = torch.stack(told)
    return torch.cat([told_BRT, torch.ones_like(told_BRT[:, :1])], dim=1)


def unknown(z_BDT: Tensor) -> Tensor:
    """The code of a voicing that is left open: [B, 5 D + 1, T] of zeros."""
    return z_BDT.new_zeros(len(z_BDT), rows(z_BDT.shape[1]), z_BDT.shape[-1])


def _lengths(states_T: Tensor, together: int, frames: int) -> list[int]:
    """How many of `frames` frames each chord holds."""
    borders = (1 + (states_T.diff() != 0).nonzero()[:, 0]) * together
    edges = [0, *borders.tolist(), frames]
    return [end - begin for begin, end in pairwise(edges)]


def _told(z_DT: Tensor) -> Tensor:
    """[5 D, T]: the quantiles of one chord, in every frame of it."""
    frames = z_DT.shape[-1]
    sorted_DT = z_DT.sort(dim=-1).values
    found_DQ = sorted_DT[:, [round(q * (frames - 1)) for q in QUANTILES]]
    return found_DQ.T.reshape(-1, 1).expand(-1, frames)
