"""What a pair of masks is worth, measured on many clips at once: numbers that constant masks and fixed splits fail.

Masks are arrays [N, D, T] in [0, 1], N clips, the groove's and the harmony's. Complementarity (1 - mean product) alone
means little: two constant masks of 0.5 have 0.75, a fixed split of the channels has 1. It counts together with content
share (variance in time and across clips over the whole), swap response (how far the groove's mask moves when the
harmony clip is exchanged), shift agreement (masks move with the music) and onset gap (the groove's mask keeps the
groove's onsets). Balance is the mean of each mask, 0.5 wanted.
"""

from typing import NamedTuple

import numpy as np


class Masks(NamedTuple):
    """All measures of a model's masks on a set of clips."""

    complementarity: float
    mean_groove: float
    mean_harmony: float
    separation: float
    content_share: float
    swap_response: float
    shift_agreement: float
    neighbour_agreement: float
    onset_gap: float


def validate(groove: np.ndarray, harmony: np.ndarray) -> None:
    """Raises ValueError unless both are [N, D, T] of one shape with values in [0, 1]."""
    if groove.ndim != 3 or groove.shape != harmony.shape:
        raise ValueError(f"two masks [N, D, T] of one shape are wanted, not {groove.shape} and {harmony.shape}")
    if not all(np.isfinite(m).all() and m.min() >= 0.0 and m.max() <= 1.0 for m in (groove, harmony)):
        raise ValueError("masks must lie in [0, 1]")


def complementarity(groove: np.ndarray, harmony: np.ndarray) -> float:
    """1 - mean product."""
    return float(1.0 - (groove * harmony).mean())


def separation(groove: np.ndarray, harmony: np.ndarray) -> float:
    """-4 covariance over everything: 0 for constant masks, 1 for hard ones that share nothing at balance."""
    return float(-4.0 * ((groove - groove.mean()) * (harmony - harmony.mean())).mean())


def content_share(mask: np.ndarray) -> float:
    """Share of the variance that lies in time and across clips; 0 for a fixed split of the channels, or no variance."""
    total = mask.var()
    return float((total - mask.mean(axis=(0, 2)).var()) / total) if total > 1e-12 else 0.0


def swap_response(mask: np.ndarray, mask_with_another_partner: np.ndarray) -> float:
    """Mean absolute change when the other clip is exchanged."""
    return float(np.abs(mask - mask_with_another_partner).mean())


def shift_agreement(mask: np.ndarray, mask_of_shifted: np.ndarray, frames: int) -> float:
    """Intersection over union of the hard masks (above 0.5) of a crop and of the crop `frames` later, where they
    look at the same music; 1 where both are empty. Of neighbouring crops where `frames` is half a crop."""
    a, b = mask[..., frames:] > 0.5, mask_of_shifted[..., : mask.shape[-1] - frames] > 0.5
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def onset_frames(onset_envelope_T: np.ndarray) -> np.ndarray:
    """Peaks of an onset envelope above its mean plus one standard deviation, with the frame on either side."""
    x = onset_envelope_T
    peak = (x > x.mean() + x.std()) & (x >= np.roll(x, 1)) & (x >= np.roll(x, -1))
    return np.flatnonzero(peak | np.roll(peak, 1) | np.roll(peak, -1))


def onset_gap(mask: np.ndarray, onset_envelopes_NT: np.ndarray) -> float:
    """Mean mask on the clip's onset frames minus the mean over all its circular shifts (which is its mean over time);
    clips without an onset are left out."""
    gaps = []
    for one_DT, envelope_T in zip(mask, onset_envelopes_NT, strict=True):
        frames = onset_frames(envelope_T)
        if 0 < len(frames) < one_DT.shape[1]:
            gaps.append(one_DT[:, frames].mean() - one_DT.mean())
    return float(np.mean(gaps)) if gaps else 0.0


def evaluate(
    groove: np.ndarray,
    harmony: np.ndarray,
    swapped: np.ndarray,
    shifted: np.ndarray,
    shift: int,
    neighbour: np.ndarray,
    onsets_NT: np.ndarray,
) -> Masks:
    """All measures. `swapped`: the groove's masks beside other partners; `shifted`: those of crops `shift` later;
    `neighbour`: those of crops half a crop later."""
    validate(groove, harmony)
    return Masks(
        complementarity(groove, harmony),
        float(groove.mean()),
        float(harmony.mean()),
        separation(groove, harmony),
        content_share(groove),
        swap_response(groove, swapped),
        shift_agreement(groove, shifted, shift),
        shift_agreement(groove, neighbour, groove.shape[-1] // 2),
        onset_gap(groove, onsets_NT),
    )
