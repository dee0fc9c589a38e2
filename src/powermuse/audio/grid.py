"""From the pulse of a clip to a grid: one tempo, where the bars begin, and how sure that is.

A clip that is to be put on another's bars has one tempo, or nearly so: of all grids of equal beats between 40 and 240 a
minute the one is taken whose beats are heard (precision) and that leaves no heard beat out (recall), so that half and
double tempo are worse than the tempo itself.
"""

from typing import NamedTuple

import numpy as np

from powermuse.audio import beatnet
from powermuse.audio.beatnet import Pulse
from powermuse.audio.clock import FRAME_RATE_HZ

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
_FINER = 41
_REACH_FRAMES = 3
"""A beat 40 ms from a grid's is met a quarter, one at its very place whole: of two grids that meet all the nearer."""
_PEAK_FRAMES = 3
BARS = (3, 4)
"""Beats of a bar that are looked for: bars of two are taken two at a time, bars of six as two of three."""
_AT_THE_BEGINNING_S = 0.07
_FROM_THE_BEGINNING = 1.25
"""What is cut out of music begins with a bar oftener than not: where it may, so much better is a grid that says so."""
_OFF_BEATS = 0.1
"""How far from whole beats the length of a loop may seem to be."""
_NEARLY = 0.7
_FOR_A_LOOP = 0.1
"""What is added to the confidence where a clip is as long as whole bars: few are by chance."""
_WHATEVER_THE_TEMPO = 0.6
"""What a grid counts whose tempo the clip as a whole does not suggest."""
_LEAST = 1e-9


class Grid(NamedTuple):
    """Equal beats from the first downbeat on (which lies within the first bar of the clip)."""

    tempo_bpm: float
    beats_per_bar: int
    downbeat_s: float
    """Of the first bar that begins in the clip."""
    confidence: float
    """F-measure of the grid against what is heard, in [0, 1]: below .5 there is hardly a pulse."""

    @property
    def bar_s(self) -> float:
        """Seconds of a bar."""
        return self.beats_per_bar * 60.0 / self.tempo_bpm


def find(pulse: Pulse, seconds: float | None = None) -> Grid:
    """The grid of a clip of at least a few beats. `seconds`: how long the clip is exactly, where all of it was heard;
    one that is whole bars long is taken for a loop, its tempo for what makes it so."""
    peaks_T, downs_T = _peaks(pulse.beat_T), _peaks(pulse.downbeat_T)
    # So fine that of two tempi beside each other one drifts a frame at most from where the beats are, in the end.
    step = 1.0 / max(len(peaks_T), 100)
    tempi = np.exp(np.arange(np.log(SLOWEST_BPM), np.log(FASTEST_BPM), step))
    near_T = _within_reach(peaks_T)
    combs = [_at_tempo(near_T, peaks_T, bpm, 1) for bpm in tempi]
    best = combs[int(np.argmax(np.array([comb.score for comb in combs]) * _likely(pulse.tempo_S, tempi)))]
    finer = best.tempo_bpm * np.exp(np.linspace(-step, step, _FINER))
    best = max((_at_tempo(near_T, peaks_T, bpm, 4) for bpm in finer), key=lambda found: found.score)
    loop = _as_loop(best, near_T, peaks_T, seconds) if seconds is not None else None
    chosen = loop or best
    beats_per_bar, first = _bars(_within_reach(downs_T), chosen, seconds if loop else None)
    return Grid(float(chosen.tempo_bpm), beats_per_bar, float(first / FRAME_RATE_HZ), float(chosen.score))


def _likely(tempo_S: np.ndarray, tempi: np.ndarray) -> np.ndarray:
    """What each tempo counts for what the whole of the clip sounds like: 1 for the likeliest."""
    share_S = np.interp(np.log2(tempi), np.log2(beatnet.tempi_bpm()), tempo_S / max(float(tempo_S.max()), _LEAST))
    found: np.ndarray = _WHATEVER_THE_TEMPO + (1.0 - _WHATEVER_THE_TEMPO) * share_S
    return found


class _Comb(NamedTuple):
    """Equal beats: their tempo, the first in frames, and their F-measure."""

    tempo_bpm: float
    phase: float
    score: float


def _at_tempo(near_T: np.ndarray, peaks_T: np.ndarray, tempo_bpm: float, phases_a_frame: int) -> _Comb:
    """The best phase of a tempo."""
    phases_P = np.arange(0.0, 60.0 * FRAME_RATE_HZ / tempo_bpm, 1.0 / phases_a_frame)
    score_P = _scores(near_T, peaks_T, tempo_bpm, phases_P)
    best = int(score_P.argmax())
    return _Comb(tempo_bpm, float(phases_P[best]), float(score_P[best]))


def _scores(near_T: np.ndarray, peaks_T: np.ndarray, tempo_bpm: float, phases_P: np.ndarray) -> np.ndarray:
    """F-measure of each phase. Precision is how well the beats of the grid are met; recall weighs each heard beat by
    how clear it is, twice, so that many faint ones do not ask for a denser grid."""
    period = 60.0 * FRAME_RATE_HZ / tempo_bpm
    count = max(1, int(len(near_T) / period))
    places_PB = (phases_P[:, None] + period * np.arange(count)).round().astype(np.int64).clip(0, len(near_T) - 1)
    met_PB = near_T[places_PB]
    precision_P = met_PB.mean(axis=1)
    recall_P = np.minimum(1.0, np.square(met_PB).sum(axis=1) / max(float(np.square(peaks_T).sum()), _LEAST))
    found: np.ndarray = 2.0 * precision_P * recall_P / np.maximum(precision_P + recall_P, _LEAST)
    return found


def _as_loop(best: _Comb, near_T: np.ndarray, peaks_T: np.ndarray, seconds: float) -> _Comb | None:
    """The same beats from the very beginning to the very end of the clip, where they come to whole bars and are met
    there nearly as well."""
    beats = round(best.tempo_bpm * seconds / 60.0)
    if beats == 0 or abs(best.tempo_bpm * seconds / 60.0 - beats) > _OFF_BEATS or all(beats % n for n in BARS):
        return None
    exact_bpm = 60.0 * beats / seconds
    score = float(_scores(near_T, peaks_T, exact_bpm, np.zeros(1))[0])
    return _Comb(exact_bpm, 0.0, min(1.0, best.score + _FOR_A_LOOP)) if score >= _NEARLY * best.score else None


def _bars(downbeat_T: np.ndarray, comb: _Comb, loop_s: float | None) -> tuple[int, float]:
    """Beats of a bar, and the first downbeat in frames: of all, those whose downbeats are heard and leave none out; a
    loop of so many seconds is whole bars, and begins with one."""
    period, phase = 60.0 * FRAME_RATE_HZ / comb.tempo_bpm, comb.phase
    if period - phase <= _REACH_FRAMES:  # a beat a moment before the clip begins is that of its beginning
        phase -= period
    places_B = (phase + period * np.arange(max(1, int((len(downbeat_T) - 1 - phase) / period) + 1))).round()
    heard_B = downbeat_T[places_B.astype(np.int64).clip(0, len(downbeat_T) - 1)]
    heard = max(float(heard_B.sum()), _LEAST)
    count = 0 if loop_s is None else round(comb.tempo_bpm * loop_s / 60.0)
    best = (-1.0, BARS[-1], 0)
    for beats in (n for n in BARS if count % n == 0):
        for first in range(min(beats, len(heard_B)) if loop_s is None else 1):
            met, recall = heard_B[first::beats].mean(), heard_B[first::beats].sum() / heard
            score = 2.0 * met * recall / max(met + recall, _LEAST)
            if first == 0 and phase <= _AT_THE_BEGINNING_S * FRAME_RATE_HZ:
                score *= _FROM_THE_BEGINNING
            best = max(best, (score, beats, first))
    _, beats, first = best
    return beats, max(0.0, phase + first * period)


def _peaks(chance_T: np.ndarray) -> np.ndarray:
    """The chances that no one beside them exceeds, 0 elsewhere."""
    highest_T = _windows(chance_T, _PEAK_FRAMES).max(axis=-1)
    return np.where(chance_T >= highest_T, chance_T, 0.0)


def _within_reach(peaks_T: np.ndarray) -> np.ndarray:
    """The peak within reach of each frame, for less the farther it is."""
    weight_W = 1.0 - np.abs(np.arange(-_REACH_FRAMES, _REACH_FRAMES + 1)) / (_REACH_FRAMES + 1)
    return (_windows(peaks_T, _REACH_FRAMES) * weight_W).max(axis=-1)


def _windows(x_T: np.ndarray, reach: int) -> np.ndarray:
    """[T, 2 reach + 1], with 0 beyond the ends."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(x_T, reach), 2 * reach + 1)
