"""From the pulse of a clip to a grid: one tempo, where the bars begin, and how sure that is.

A clip that is to be put on another's bars has one tempo, or nearly so: of all grids of equal beats between 40 and 240 a
minute, and of bars of three and four of them, the likeliest is taken. What a grid says is that there are beats and
downbeats where it has them, each for the logarithm of the odds that the net gives it, and a tempo, for the logarithm of
what the net gives that (as of a bar pointer model whose tempo does not change: Whiteley, Cemgil & Godsill, ISMIR 2006).
Of the likeliest grids the one is taken that fits the clip best as `barnet` hears it, beat by beat, and so are its bars.
"""

from typing import Literal, NamedTuple

import numpy as np

from powermuse.audio import barnet, beatnet, downbeats
from powermuse.audio.barnet import METRES, Beats
from powermuse.audio.beatnet import Pulse
from powermuse.audio.clock import FRAME_RATE_HZ
from powermuse.audio.downbeats import HALF_A_BAR, Downs
from powermuse.audio.features import Features

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
_COARSE_FRAMES, _FINE_FRAMES = 2.0, 0.25
"""Steps between the phases that are looked at: of all tempi, and near the likeliest."""
_LIKELY = 8
"""Tempi whose bars are looked at, and how far they are from each other."""
_APART = 0.015
_FINER, _DRIFT = 41, 4.0
"""Tempi near the likeliest that are looked at, and by how many frames they drift from it to the end of the clip."""
_NEAR_FRAMES = 2
"""A beat of the grid may be heard so many frames earlier or later."""
_LEAST, _SURE = 1e-4, 6.0
"""Odds are not believed beyond these: a probability, a logarithm of odds."""
_TEMPO_WEIGHT = 4.0
"""What the tempo of the whole clip counts beside its beats."""
_REACH_FRAMES = 3
"""A beat 40 ms from a grid's is met a quarter, one at its very place whole: of two grids that meet all the nearer."""
_PEAK_FRAMES = 3
_WITHIN = 40.0
"""How much less likely than the likeliest a grid may be that is still looked at."""
_FITS_WEIGHT = 6.0
"""What it counts how well a grid fits, beside its odds (`bench/align.py`)."""
_OFF_BEATS = 0.1
"""How far from whole beats the length of a loop may seem to be."""
_NEARLY = 0.7
"""How well the beats of a loop must be met, beside those of the clip as it was heard."""
_FOR_A_LOOP = 0.1
"""What is added to the confidence where a clip is as long as whole bars: few are by chance."""
_WHATEVER_THE_TEMPO = 0.6
"""What half or double tempo counts where the clip as a whole does not suggest it."""
_FEW_BEATS = 3
"""A clip of fewer beats is believed so much less."""
_FAINT = 1e-9
_Beyond = Literal["constant", "wrap"]


class Grid(NamedTuple):
    """Equal beats from the first downbeat on, which lies within the first bar of the clip, or the second where double
    tempo is counted."""

    tempo_bpm: float
    beats_per_bar: int
    downbeat_s: float
    """Where the first bar begins that was found in the clip."""
    confidence: float
    """F-measure of the grid against what is heard, less where the clip has fewer than three beats, in [0, 1]: below .5
    there is hardly a pulse."""

    @property
    def bar_s(self) -> float:
        """Seconds of a bar."""
        return self.beats_per_bar * 60.0 / self.tempo_bpm


def find(
    pulse: Pulse, seconds: float | None = None, heard: Features | None = None, ending: Pulse | None = None
) -> Grid:
    """The grid of a clip of at least a few beats. `seconds`: how long the clip is exactly, of which the pulse may be
    the beginning; one that is whole bars long is taken for a loop, its tempo for what makes it so. `heard`: what the
    pulse was heard in (a batch of one, as many frames); without it, and of clips shorter than `barnet` learnt of, grid
    and bars are chosen by the pulse alone. `ending`: the pulse of the end of a longer clip, whose beats must be those
    of a loop, too. Raises ValueError where it is another number of clips or frames."""
    if heard is not None and heard.onsets_BKT[:, 0].shape != (1, len(pulse.beat_T)):
        raise ValueError(f"a pulse of {len(pulse.beat_T)} frames for onsets {tuple(heard.onsets_BKT.shape)}")
    near_T = _within(_log_odds(pulse.beat_T))
    known = heard if len(pulse.beat_T) >= barnet.LEAST_FRAMES else None
    downs = Downs(_within(_log_odds(pulse.downbeat_T)), known)
    clear = _Clear(peaks_T := _peaks(pulse.beat_T), _within_reach(peaks_T))
    placed, of_placed = _placed(_likely(near_T, pulse.tempo_S), near_T, downs, clear)
    bar = downbeats.likeliest(downs, _beats(placed))  # however many beats are counted in it, it begins where it begins
    chosen, confidence = _finely(_counted(placed, clear, pulse.tempo_S), clear)
    all_heard = seconds is not None and len(pulse.beat_T) >= seconds * FRAME_RATE_HZ - 1.0
    if _splits_bars(placed, chosen, bar.beats, seconds if all_heard else None):
        chosen, confidence = placed, of_placed
    loop = None if seconds is None else _as_loop(chosen, confidence, clear, seconds, all_heard)
    if seconds is not None and loop is not None and (ending is None or _ends_on_beats(loop, ending, seconds)):
        chosen, confidence = loop, min(1.0, confidence + _FOR_A_LOOP)
        count = round(loop.tempo_bpm * seconds / 60.0)
        # Two beats that cannot be counted as four are half a bar of four, which `align.turned` plays twice.
        bar = HALF_A_BAR if count == 2 else downbeats.of_loop(downs, _beats(loop), count)
    beats = round(len(pulse.beat_T) / FRAME_RATE_HZ * chosen.tempo_bpm / 60.0)
    few = min(1.0, beats / _FEW_BEATS)  # one stroke lies on every grid, two on many
    return Grid(float(chosen.tempo_bpm), bar.beats, bar.first / FRAME_RATE_HZ, few * confidence)


class _Comb(NamedTuple):
    """Equal beats: their tempo, the first in frames, and the logarithm of their odds."""

    tempo_bpm: float
    phase: float
    score: float


class _Clear(NamedTuple):
    """The beats that are heard, by how clearly: peaks, and the peak within reach of each frame."""

    peaks_T: np.ndarray
    near_T: np.ndarray


def _log_odds(chance_T: np.ndarray) -> np.ndarray:
    sure_T = chance_T.clip(_LEAST, 1.0 - _LEAST)
    odds_T: np.ndarray = np.log(sure_T / (1.0 - sure_T)).clip(-_SURE, _SURE)
    return odds_T


def _within(odds_T: np.ndarray) -> np.ndarray:
    """The best within reach of each frame."""
    best_T: np.ndarray = _windows(odds_T, _NEAR_FRAMES).max(axis=-1)
    return best_T


def _likely(near_T: np.ndarray, tempo_S: np.ndarray) -> list[_Comb]:
    """The best combs of all tempi, each another tempo."""
    # So fine that of two tempi beside each other one drifts a frame at most from where the beats are, in the end.
    tempi = np.exp(np.arange(np.log(SLOWEST_BPM), np.log(FASTEST_BPM), _step(near_T)))
    combs = [_at_tempo(near_T, bpm) for bpm in tempi]
    combs = [comb._replace(score=comb.score + _of_tempo(tempo_S, comb.tempo_bpm)) for comb in combs]
    kept: list[_Comb] = []
    for comb in sorted(combs, key=lambda found: -found.score):
        if all(abs(np.log(comb.tempo_bpm / other.tempo_bpm)) > _APART for other in kept):
            kept.append(comb)
        if len(kept) == _LIKELY:
            break
    return kept


def _placed(combs: list[_Comb], near_T: np.ndarray, downs: Downs, clear: _Clear) -> tuple[_Comb, float]:
    """The likeliest comb, with its bars, at its very place, and its F-measure; where the clip is there, the one that
    fits it best of those that are likely, each and half a beat later."""
    score_C = [comb.score + downbeats.odds(downs, _beats(comb)) for comb in combs]
    heard = downs.heard
    if heard is None:
        return _finely(combs[int(np.argmax(score_C))], clear)
    likely = [comb for comb, score in zip(combs, score_C, strict=True) if score >= max(score_C) - _WITHIN]
    found = [_finely(comb, clear) for comb in likely]
    found += [_later(comb, near_T, clear) for comb, _ in found]

    def speaks_for(each: tuple[_Comb, float]) -> float:
        comb, beats = each[0], _beats(each[0])
        return comb.score + downbeats.odds(downs, beats) + _FITS_WEIGHT * barnet.hear(heard, beats).fits

    return max(found, key=speaks_for)


def _later(comb: _Comb, near_T: np.ndarray, clear: _Clear) -> tuple[_Comb, float]:
    """The same beats half a beat later, with the odds of these and their F-measure."""
    later = comb._replace(phase=(comb.phase + 0.5 * _period(comb)) % _period(comb))
    gained = downbeats.at(near_T, _beats(later)).sum() - downbeats.at(near_T, _beats(comb)).sum()
    met = _f_measures(clear, later.tempo_bpm, np.array([later.phase]))[0]
    return later._replace(score=comb.score + float(gained)), float(met)


def _counted(comb: _Comb, clear: _Clear, tempo_S: np.ndarray) -> _Comb:
    """The comb at half its tempo, at its own or at double: as one would count. What is told by the odds is where beats
    are; of how many to count, F-measure and the sound of the whole clip tell more (`bench/align.py`)."""
    likely_S = tempo_S / max(float(tempo_S.max()), _FAINT)
    best, most = comb, -1.0
    for bpm in (comb.tempo_bpm * times for times in (0.5, 1.0, 2.0)):
        if SLOWEST_BPM <= bpm <= FASTEST_BPM:
            phases_P = np.arange(0.0, 60.0 * FRAME_RATE_HZ / bpm, _COARSE_FRAMES / 4)
            met_P = _f_measures(clear, bpm, phases_P)
            likely = np.interp(np.log2(bpm), np.log2(beatnet.tempi_bpm()), likely_S)
            if (score := met_P.max() * (_WHATEVER_THE_TEMPO + (1.0 - _WHATEVER_THE_TEMPO) * likely)) > most:
                most, best = score, comb._replace(tempo_bpm=bpm, phase=float(phases_P[met_P.argmax()]))
    return best


def _finely(comb: _Comb, clear: _Clear) -> tuple[_Comb, float]:
    """The tempo and the phase near a comb's whose beats are met best at their very places, with their F-measure."""
    best, most = comb, -1.0
    for bpm in comb.tempo_bpm * np.exp(np.linspace(-_DRIFT, _DRIFT, _FINER) * _step(clear.near_T)):
        phases_P = np.arange(0.0, 60.0 * FRAME_RATE_HZ / bpm, _FINE_FRAMES)
        met_P = _f_measures(clear, bpm, phases_P)
        if met_P.max() > most:
            most = float(met_P.max())
            best = comb._replace(tempo_bpm=float(bpm), phase=float(phases_P[met_P.argmax()]))
    return best, most


def _step(near_T: np.ndarray) -> float:
    return 1.0 / max(len(near_T), 100)


def _of_tempo(tempo_S: np.ndarray, tempo_bpm: float) -> float:
    """What a tempo counts for what the whole of the clip sounds like."""
    chance = np.interp(np.log2(tempo_bpm), np.log2(beatnet.tempi_bpm()), tempo_S)
    return float(_TEMPO_WEIGHT * np.log(max(chance, _LEAST)))


def _at_tempo(odds_T: np.ndarray, tempo_bpm: float) -> _Comb:
    """The best phase of a tempo."""
    phases_P = np.arange(0.0, 60.0 * FRAME_RATE_HZ / tempo_bpm, _COARSE_FRAMES)
    score_P = odds_T[_places(tempo_bpm, phases_P, len(odds_T))].sum(axis=1)
    best = int(score_P.argmax())
    return _Comb(tempo_bpm, float(phases_P[best]), float(score_P[best]))


def _places(tempo_bpm: float, phases_P: np.ndarray, frames: int, beyond: float = 0.0) -> np.ndarray:
    """Frames [P, beats] of the beats of each phase, as many of each; the last ends within the clip, or so many frames
    `beyond` it."""
    period = 60.0 * FRAME_RATE_HZ / tempo_bpm
    places_PB: np.ndarray = phases_P[:, None] + period * np.arange(max(1, int((frames + beyond) / period)))
    return places_PB.round().astype(np.int64).clip(0, frames - 1)


def _f_measures(clear: _Clear, tempo_bpm: float, phases_P: np.ndarray, beyond: float = 0.0) -> np.ndarray:
    """F-measure of each phase. Precision is how well the beats of the grid are met; recall weighs each heard beat by
    how clear it is, twice, so that many faint ones do not ask for a denser grid."""
    met_PB = clear.near_T[_places(tempo_bpm, phases_P, len(clear.near_T), beyond)]
    precision_P = met_PB.mean(axis=1)
    recall_P = np.minimum(1.0, np.square(met_PB).sum(axis=1) / max(float(np.square(clear.peaks_T).sum()), _FAINT))
    found: np.ndarray = 2.0 * precision_P * recall_P / np.maximum(precision_P + recall_P, _FAINT)
    return found


def _splits_bars(placed: _Comb, chosen: _Comb, beats: int, seconds: float | None) -> bool:
    """Whether counting at another tempo would leave no whole bars: three quick beats are no bar of three slow ones, and
    a loop of three bars in four is no number of bars of four slow beats."""
    if chosen.tempo_bpm > 1.5 * placed.tempo_bpm:
        return beats == 3
    if seconds is None or chosen.tempo_bpm > 0.75 * placed.tempo_bpm:
        return False
    slow, quick = (round(comb.tempo_bpm * seconds / 60.0) for comb in (chosen, placed))
    return slow % beats != 0 and quick % beats == 0


def _as_loop(best: _Comb, confidence: float, clear: _Clear, seconds: float, all_heard: bool) -> _Comb | None:
    """The same beats from the very beginning to the very end of the clip, where they come to whole bars and are met
    there nearly as well. Two slow beats are a bar of four fast ones, two fast ones half of one."""
    beats = round(best.tempo_bpm * seconds / 60.0)
    if beats == 0 or abs(best.tempo_bpm * seconds / 60.0 - beats) > _OFF_BEATS:
        return None
    exact_bpm = 60.0 * beats / seconds
    times = next((times for times in (1, 2) if any(times * beats % n == 0 for n in METRES)), 0)
    if times * exact_bpm > FASTEST_BPM and beats == 2:
        times = 1
    if not times or times * exact_bpm > FASTEST_BPM:
        return None
    # What is heard just before the end of a loop is its first stroke. Where all beats are heard a moment early or late,
    # it is the hearing that is.
    looped = clear._replace(near_T=_within_reach(clear.peaks_T, "wrap" if all_heard else "constant"))
    met = max(_met_nearly(looped, bpm, 0.0) for bpm in (exact_bpm, times * exact_bpm))
    return best._replace(tempo_bpm=times * exact_bpm, phase=0.0) if met >= _NEARLY * confidence else None


def _ends_on_beats(loop: _Comb, ending: Pulse, seconds: float) -> bool:
    """Whether the end of a long clip is on the beats of a loop: one that is as long by chance seldom is."""
    clear = _Clear(peaks_T := _peaks(ending.beat_T), _within_reach(peaks_T))
    begins = seconds * FRAME_RATE_HZ - len(ending.beat_T)
    best = float(_f_measures(clear, loop.tempo_bpm, np.arange(0.0, _period(loop), _FINE_FRAMES)).max())
    return _met_nearly(clear, loop.tempo_bpm, -begins % _period(loop)) >= _NEARLY * best


def _met_nearly(clear: _Clear, tempo_bpm: float, phase: float) -> float:
    """F-measure of a phase, all beats heard a moment early or late if need be. A loop is seldom whole frames long."""
    shifted = (clear._replace(near_T=np.roll(clear.near_T, k)) for k in range(-_NEAR_FRAMES, _NEAR_FRAMES + 1))
    return max(float(_f_measures(each, tempo_bpm, np.array([phase]), beyond=1.0)[0]) for each in shifted)


def _period(comb: _Comb) -> float:
    return 60.0 * FRAME_RATE_HZ / comb.tempo_bpm


def _beats(comb: _Comb) -> Beats:
    """The beats of a comb in the clip; one a moment before the clip begins is that of its beginning."""
    period = _period(comb)
    first = comb.phase % period
    return Beats(first - period if period - first <= _REACH_FRAMES else first, period)


def _peaks(chance_T: np.ndarray) -> np.ndarray:
    """The chances that no one beside them exceeds, 0 elsewhere."""
    highest_T = _windows(chance_T, _PEAK_FRAMES).max(axis=-1)
    return np.where(chance_T >= highest_T, chance_T, 0.0)


def _within_reach(peaks_T: np.ndarray, beyond: _Beyond = "constant") -> np.ndarray:
    """The peak within reach of each frame, for less the farther it is."""
    weight_W = 1.0 - np.abs(np.arange(-_REACH_FRAMES, _REACH_FRAMES + 1)) / (_REACH_FRAMES + 1)
    return (_windows(peaks_T, _REACH_FRAMES, beyond) * weight_W).max(axis=-1)


def _windows(x_T: np.ndarray, reach: int, beyond: _Beyond = "constant") -> np.ndarray:
    """[T, 2 reach + 1]; beyond the ends lie zeros, or what is at the other end."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(x_T, reach, mode=beyond), 2 * reach + 1)
