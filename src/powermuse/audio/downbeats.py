"""Which of equal beats begin the bars: by the odds of a downbeat at each, and by what sounds from beat to beat."""

from typing import NamedTuple

import numpy as np

from powermuse.audio import barnet
from powermuse.audio.barnet import BARS, Beats
from powermuse.audio.clock import FRAME_RATE_HZ
from powermuse.audio.features import Features

_LEAST_AFTER = 0.5
"""So much of a beat lies behind the first downbeat of a clip, or nobody could hear that it is one."""
_ODDS_WEIGHT = 0.2
"""What odds count beside what is heard from beat to beat (`bench/align.py`)."""
_AT_THE_BEGINNING_S = 0.07
_FROM_THE_BEGINNING = 0.7
"""What is cut out of music begins with a bar oftener than not: so much is added to bars that say so."""


class Downs(NamedTuple):
    """What bars are found by: the logarithm of the odds of a downbeat within reach of each frame, and the clip (a batch
    of one), where it is there."""

    odds_T: np.ndarray
    heard: Features | None


class Bar(NamedTuple):
    """Beats of a bar, the first downbeat in frames, and the logarithm of what speaks for it."""

    beats: int
    first: float
    score: float


HALF_A_BAR = Bar(4, 0.0, 0.0)
"""Of a loop of two beats, which no bar divides."""


def likeliest(downs: Downs, beats: Beats) -> Bar:
    """The likeliest bars of a clip."""
    frames = len(downs.odds_T)
    begins = abs(beats.first) <= _AT_THE_BEGINNING_S * FRAME_RATE_HZ
    may_be = [
        Bar(metre, max(0.0, beats.first + first * beats.period), score + _FROM_THE_BEGINNING * (begins and first == 0))
        for (metre, first), score in zip(BARS, _scores(downs, beats), strict=True)
        if first == 0 or beats.first + (first + _LEAST_AFTER) * beats.period <= frames
    ]
    return max(may_be, key=lambda bar: bar.score)


def of_loop(downs: Downs, beats: Beats, count: int) -> Bar:
    """The likeliest bars of a loop of so many beats: it is whole bars, and begins with one."""
    may_be = [
        Bar(metre, max(0.0, beats.first), score)
        for (metre, first), score in zip(BARS, _scores(downs, beats), strict=True)
        if first == 0 and count % metre == 0
    ]
    return max(may_be, key=lambda bar: bar.score)


def odds(downs: Downs, beats: Beats) -> float:
    """The logarithm of the odds of the likeliest bars, by the odds of downbeats alone."""
    return float(_of_bars(at(downs.odds_T, beats)).max())


def at(odds_T: np.ndarray, beats: Beats) -> np.ndarray:
    """The odds at each of the beats."""
    places_N = (beats.first + beats.period * np.arange(beats.count(len(odds_T)))).round().astype(np.int64)
    return odds_T[places_N.clip(0, len(odds_T) - 1)]


def _scores(downs: Downs, beats: Beats) -> list[float]:
    """What speaks for each of `BARS`."""
    odds_H = _of_bars(at(downs.odds_T, beats))
    chances_H = odds_H - np.logaddexp.reduce(odds_H)
    if downs.heard is not None:
        chances_H = barnet.hear(downs.heard, beats).bars_H + _ODDS_WEIGHT * chances_H
    return [float(score) for score in chances_H]


def _of_bars(odds_N: np.ndarray) -> np.ndarray:
    """[7]: the odds of the first beats of each of `BARS`; what has none is no bar."""
    return np.array([odds_N[first::metre].sum() if first < len(odds_N) else -np.inf for metre, first in BARS])
