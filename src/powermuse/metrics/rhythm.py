"""Whose rhythm a blend has.

Onset correlation: Pearson of onset envelopes (75 frames a second), in [-1, 1]; null-corrected it is 1 for the source's
own rhythm and about 0 for another. Envelope correlation: Pearson of the peaks of |x| in parts of 64 ms, the
prototype's measure, kept for comparison: loudness contours of two loops agree by chance.
Rhythm balance: null-corrected correlation with the groove over that with the harmony; only where both exceed 0.05,
because a ratio of two chance values says nothing (the prototype read 1.4 off noise).
"""

from typing import NamedTuple

import numpy as np

from powermuse.metrics import nulls

PART_S = 0.064
_LEAST_FOR_BALANCE = 0.05


class Rhythm(NamedTuple):
    """Onset correlation of blend and source, plain and null-corrected, and the prototype's envelope correlation."""

    onset_correlation: float
    onset_correlation_adjusted: float | None
    envelope_correlation: float


def validate(blend: np.ndarray, source: np.ndarray) -> None:
    """Raises ValueError unless both are finite curves [T] of one length."""
    if blend.ndim != 1 or blend.shape != source.shape:
        raise ValueError(f"two curves of equal length are wanted, not {blend.shape} and {source.shape}")
    if not (np.isfinite(blend).all() and np.isfinite(source).all()):
        raise ValueError("the curves hold values that are not finite")


def onset_correlation(blend: np.ndarray, source: np.ndarray) -> float:
    """Pearson correlation of two onset envelopes [T]."""
    validate(blend, source)
    return nulls.pearson(blend, source)


def envelope(wav_N: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The peak of |x| in each part of 64 ms."""
    part = round(PART_S * sample_rate_hz)
    whole = len(wav_N) // part * part
    return np.abs(wav_N[:whole]).reshape(-1, part).max(axis=1) if whole else np.zeros(0)


def envelope_correlation(blend_N: np.ndarray, source_N: np.ndarray, sample_rate_hz: int) -> float:
    """Pearson correlation of two envelopes; 0 where a clip is shorter than two parts."""
    validate(blend_N, source_N)
    blend, source = envelope(blend_N, sample_rate_hz), envelope(source_N, sample_rate_hz)
    return nulls.pearson(blend, source) if len(blend) > 1 else 0.0


def balance(groove: float | None, harmony: float | None) -> float | None:
    """Ratio of the null-corrected correlations, None where either is not above chance."""
    if groove is None or harmony is None or min(groove, harmony) <= _LEAST_FOR_BALANCE:
        return None
    return groove / harmony


def evaluate(
    blend_N: np.ndarray,
    source_N: np.ndarray,
    blend_onsets: np.ndarray,
    source_onsets: np.ndarray,
    sample_rate_hz: int,
    frame_rate_hz: float,
) -> Rhythm:
    """All of it for one blend and one of its sources."""
    return Rhythm(
        onset_correlation(blend_onsets, source_onsets),
        nulls.evaluate(nulls.pearson, blend_onsets, source_onsets, source_onsets, frame_rate_hz),
        envelope_correlation(blend_N, source_N, sample_rate_hz),
    )
