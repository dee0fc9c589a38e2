"""Correction of a similarity by what chance gives.

A similarity s between a blend and a source is high by chance where both are, say, in four-four time. The null of s is
its mean over circular shifts of the source; adj(s) = (s - null) / (1 - null) is 1 for equality and about 0 for chance.
Shifts at which the source resembles itself (a loop) are left out. The shifts lie off the metrical grid, so sharing a
grid counts: two random patterns of sixteenths at one tempo score .23 +- .07 (200 pairs), not 0. Where other sources on
the same grid are at hand, `over_others` takes the grid off too: loops of two bars score .25 +- .14 over shifts and
-.02 +- .23 over others (40 pairs).
"""

from collections.abc import Callable, Sequence

import numpy as np

SHIFTS_S = (0.37, 0.61, 0.93, 1.27, 1.71)
_LOOP_AUTOCORRELATION = 0.8
FEWEST_SHIFTS = 3
_LEAST_HEADROOM = 0.2

Similarity = Callable[[np.ndarray, np.ndarray], float]


def validate(curve: np.ndarray, frame_rate_hz: float) -> None:
    """Raises ValueError unless `curve` is [..., T] with T > 1, finite, and the rate is positive."""
    if curve.shape[-1] < 2 or not np.isfinite(curve).all():
        raise ValueError(f"a curve of at least 2 finite frames is wanted, not shape {curve.shape}")
    if frame_rate_hz <= 0:
        raise ValueError(f"the frame rate must be positive, not {frame_rate_hz}")


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation in [-1, 1]; 0 where one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / norm) if norm > 1e-12 else 0.0


def shifts(onset_curve: np.ndarray, frame_rate_hz: float) -> list[int]:
    """The circular shifts, in frames, that a null is taken over: 0.37 to 1.71 s plus quarters of the clip, without
    those at which the source's own onset autocorrelation exceeds 0.8."""
    wanted = all_shifts(len(onset_curve), frame_rate_hz)
    return [n for n in wanted if pearson(onset_curve, np.roll(onset_curve, n)) <= _LOOP_AUTOCORRELATION]


def all_shifts(frames: int, frame_rate_hz: float) -> list[int]:
    """0.37 to 1.71 s plus quarters of a clip, in frames, sorted, without 0."""
    return sorted({round(s * frame_rate_hz + q * frames / 4) % frames for s in SHIFTS_S for q in range(4)} - {0})


def corrected(value: float, null: float) -> float | None:
    """adj(s), or None where chance leaves too little room (1 - null < 0.2) to say anything."""
    return None if 1.0 - null < _LEAST_HEADROOM else (value - null) / (1.0 - null)


def evaluate(
    similarity: Similarity,
    blend: np.ndarray,
    source: np.ndarray,
    source_onsets: np.ndarray,
    frame_rate_hz: float,
    others: Sequence[np.ndarray] = (),
) -> float | None:
    """The null-corrected similarity of two curves [..., T]. A source that allows fewer than three shifts (a loop) is
    corrected over `others`, unrelated sources; None where there are fewer than three of those too."""
    validate(blend, frame_rate_hz)
    validate(source, frame_rate_hz)
    allowed = shifts(source_onsets, frame_rate_hz)
    if len(allowed) < FEWEST_SHIFTS:
        return over_others(similarity, blend, source, others)
    null = float(np.mean([similarity(blend, np.roll(source, n, axis=-1)) for n in allowed]))
    return corrected(similarity(blend, source), null)


def over_others(
    similarity: Similarity, blend: np.ndarray, source: np.ndarray, others: Sequence[np.ndarray]
) -> float | None:
    """The similarity corrected by its mean over other sources: at the tempo of `source` and in phase with it, sharing
    its grid is chance too. None where fewer than three are given."""
    if len(others) < FEWEST_SHIFTS:
        return None
    null = float(np.mean([similarity(blend, other) for other in others]))
    return corrected(similarity(blend, source), null)
