"""The rhythm of a clip: when something begins, in a few bands, how strongly, and how loud all of it is.

After the two-band code of TRIA (Barnett et al., ISMIR 2025, arXiv:2509.15625): bands are cut where they share the
clip's onsets equally, so that a kick and a hat part whatever they sound like; strengths are taken against the clip's
own and rounded to a few steps. Notes, chords and instruments are not in it.
"""

import torch
from torch import Tensor

_FULL = 0.98
"""Quantile of the onsets that counts as full strength: peaks are some 2 % of the frames."""
_RANGE_DB = 30.0
_SILENT_DB = -90.0
_FAINT = 1e-4
_COMPRESSION = 0.5


def rows(bands: int) -> int:
    """Channels of the code: the bands, and the level."""
    return bands + 1


def code(onsets_BKT: Tensor, level_BT: Tensor, bands: int, steps: int) -> Tensor:
    """[B, bands + 1, T] in [0, 1]: onset strength of each adaptive band, low to high, and level, in `steps` steps.

    `onsets_BKT` >= 0 in the bands of `audio.features`, `level_BT` in dBFS; the code does not depend on the gain.
    """
    strength_BKT = _adaptive(onsets_BKT, bands)
    full_BK1 = strength_BKT.quantile(_FULL, dim=-1, keepdim=True).clamp_min(_FAINT)
    relative_BKT = relative(strength_BKT, full_BK1)
    return _stepped(torch.cat([relative_BKT, _relative_level(level_BT)[:, None]], dim=1), steps)


def full_strength(onsets_BKT: Tensor, bands: int) -> Tensor:
    """[B]: what counts as a full stroke of a clip, all its bands together."""
    return _adaptive(onsets_BKT, bands).quantile(_FULL, dim=-1).sum(dim=1).clamp_min(_FAINT)


def relative(strength: Tensor, full: Tensor) -> Tensor:
    """Onset strengths as the code has them, 0 to 1."""
    return (strength / full).clamp(0.0, 1.0) ** _COMPRESSION


def _adaptive(onsets_BKT: Tensor, bands: int) -> Tensor:
    """Neighbouring bands summed, or cut, so that each new one has the same share of the clip's onsets."""
    share_BK = onsets_BKT.mean(dim=-1) + 1e-9
    upper_BK = (share_BK / share_BK.sum(dim=1, keepdim=True)).cumsum(dim=1)
    lower_BK = upper_BK - share_BK / share_BK.sum(dim=1, keepdim=True)
    edges_N = torch.arange(bands + 1, device=onsets_BKT.device) / bands
    inside_BNK = (
        torch.minimum(upper_BK[:, None], edges_N[1:, None]) - torch.maximum(lower_BK[:, None], edges_N[:-1, None])
    ).clamp_min(0.0)
    weights_BNK = inside_BNK / (upper_BK - lower_BK)[:, None].clamp_min(1e-9)
    return weights_BNK @ onsets_BKT


def _relative_level(level_BT: Tensor) -> Tensor:
    """0 at 30 dB below the clip's loud frames, 1 at them; silence is 0 throughout."""
    loud_B1 = level_BT.quantile(0.95, dim=-1, keepdim=True)
    relative_BT = ((level_BT - loud_B1) / _RANGE_DB + 1.0).clamp(0.0, 1.0)
    return torch.where(loud_B1 > _SILENT_DB, relative_BT, 0.0)


def _stepped(x: Tensor, steps: int) -> Tensor:
    return (x * steps).round() / steps
