"""Moments: finding onsets, and how well two lists of moments agree.

F-measure of a one-to-one matching within a tolerance, in [0, 1]: onsets at 50 ms (MIREX, mir_eval.onset), beats at
70 ms (Davies, Degara & Plumbley 2009, mir_eval.beat). Two empty lists agree on nothing and score 0, as in mir_eval.
Weakness: dense lists agree by chance, random sixteenths at one tempo by about a half; `adjusted` takes that off.
The onset detector picks peaks of an onset envelope by moving maximum and mean (Böck, Krebs & Schedl, ISMIR 2012).
"""

import numpy as np

from powermuse.metrics import nulls

ONSET_TOLERANCE_S, BEAT_TOLERANCE_S = 0.05, 0.07
_MAXIMUM_S, _MEAN_S = 0.05, 0.1
_ABOVE_MEAN = 0.5
_ABOVE_CLIP = 0.2
APART_S = 0.03
_TOP_PEAKS = 16
_SILENT = 1e-3


def validate(times_s: np.ndarray) -> None:
    """Raises ValueError unless `times_s` is [n], finite and in order."""
    if times_s.ndim != 1 or not np.isfinite(times_s).all() or (np.diff(times_s) < 0).any():
        raise ValueError(f"times in order, [n], are wanted, not shape {times_s.shape}")


def validate_envelope(envelope_T: np.ndarray) -> None:
    """Raises ValueError unless `envelope_T` is [T], finite, and nowhere negative."""
    if envelope_T.ndim != 1 or not np.isfinite(envelope_T).all() or (envelope_T < 0).any():
        raise ValueError(f"an onset envelope [T] of finite values >= 0 is wanted, not shape {envelope_T.shape}")


def onsets(envelope_T: np.ndarray, frame_rate_hz: float) -> np.ndarray:
    """Onset times [n] in seconds: peaks well above their surroundings of 0.1 s and above a share of the clip's largest
    peaks, refined between frames, at least 30 ms apart. Silence has none."""
    validate_envelope(envelope_T)
    envelope_T = np.sqrt(envelope_T)  # a closed hat beside a snare is an onset too
    around, near = round(_MEAN_S * frame_rate_hz), max(1, round(_MAXIMUM_S * frame_rate_hz))
    highest = _windows(envelope_T, near).max(axis=1) if len(envelope_T) else envelope_T
    top = np.sort(envelope_T[(envelope_T == highest) & (envelope_T > _SILENT)])[-_TOP_PEAKS:]
    if not len(top):
        return np.zeros(0)
    mean = _windows(envelope_T, around).mean(axis=1)
    peak = (envelope_T == highest) & (envelope_T > mean + _ABOVE_MEAN * mean) & (envelope_T > _ABOVE_CLIP * top.mean())
    frames = np.flatnonzero(peak)
    frames = frames[np.r_[True, np.diff(frames) > APART_S * frame_rate_hz][: len(frames)]]
    return (frames + _between(envelope_T, frames)) / frame_rate_hz


def f_measure(reference_s: np.ndarray, estimated_s: np.ndarray, tolerance_s: float = ONSET_TOLERANCE_S) -> float:
    """F-measure of the largest one-to-one matching within `tolerance_s`."""
    validate(reference_s)
    validate(estimated_s)
    if not len(reference_s) or not len(estimated_s):
        return 0.0
    return 2.0 * matches(reference_s, estimated_s, tolerance_s) / (len(reference_s) + len(estimated_s))


def matches(reference_s: np.ndarray, estimated_s: np.ndarray, tolerance_s: float) -> int:
    """Size of the largest one-to-one matching of two lists in order. Both in order and one tolerance for all: taking
    for each the earliest that is left is optimal."""
    found, i, j = 0, 0, 0
    reference, estimated = reference_s.tolist(), estimated_s.tolist()
    while i < len(reference) and j < len(estimated):
        gap = estimated[j] - reference[i]
        if abs(gap) <= tolerance_s:
            found, i, j = found + 1, i + 1, j + 1
        elif gap < 0:
            j += 1
        else:
            i += 1
    return found


def adjusted(
    reference_s: np.ndarray,
    estimated_s: np.ndarray,
    source_envelope_T: np.ndarray,
    frame_rate_hz: float,
    tolerance_s: float = ONSET_TOLERANCE_S,
) -> float | None:
    """The F-measure corrected for chance: null over the shifts of the reference that `nulls.shifts` allows, or None."""
    duration_s = len(source_envelope_T) / frame_rate_hz
    allowed = nulls.shifts(source_envelope_T, frame_rate_hz)
    if len(allowed) < nulls.FEWEST_SHIFTS:
        return None
    moved = [np.sort((reference_s + n / frame_rate_hz) % duration_s) for n in allowed]
    null = float(np.mean([f_measure(m, estimated_s, tolerance_s) for m in moved]))
    return nulls.corrected(f_measure(reference_s, estimated_s, tolerance_s), null)


def beat_f_measure(reference_s: np.ndarray, estimated_s: np.ndarray) -> float:
    """F-measure of beats at 70 ms. All beats count: mir_eval leaves out those before 5 s where `trim_beats` is used."""
    return f_measure(reference_s, estimated_s, BEAT_TOLERANCE_S)


def _windows(x_T: np.ndarray, reach: int) -> np.ndarray:
    """[T, 2 reach + 1]: each frame with its neighbours; beyond the ends the last value."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(x_T, reach, mode="edge"), 2 * reach + 1)


def _between(x_T: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Where the parabola through a peak and its neighbours has its top, in frames, within a half."""
    left, top, right = (x_T[np.clip(frames + k, 0, len(x_T) - 1)].astype(np.float64) for k in (-1, 0, 1))
    bend = left - 2 * top + right
    return np.clip(np.where(bend < -1e-12, 0.5 * (left - right) / np.minimum(bend, -1e-12), 0.0), -0.5, 0.5)
