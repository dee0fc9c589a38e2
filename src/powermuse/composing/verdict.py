"""What a blend took of its sources, beside what a plain mix of them would have taken: the rhythm of A, the chords of B,
and how much of either is simply in it.

The figures are those of the benchmark (docs/evaluation.md), null-corrected, over stretches of 16 s: the whole of a
loop, four stretches of a longer piece. Nothing is known of the sources but how they sound.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from powermuse import registry
from powermuse.audio import clips, files
from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.composing.composer import Blend
from powermuse.metrics import nearest, score, truth
from powermuse.metrics.score import Case, Sources
from powermuse.types import BadInput

STRETCH_S = 16.0
_MOST = 4
BAR_S = 2.0
"""Of the nearest bar, where no bars are known: one at 120 quarters a minute."""
_SHORTEST_S, _LOOP_S = 4.0, 8.0
"""Below four seconds the nulls have no room; a loop is heard for eight at least."""
_MEL_RATE_HZ = 37.5
_FIGURES = {
    "rhythm_of_groove": "onset_env.groove",
    "rhythm_of_harmony": "onset_env.harmony",
    "chords_of_harmony": "chords",
    "copied": "copy",
    "copied_at_any_time": "copy.free",
}
Figures = dict[str, float | None]
USUAL = {"rhythm": "groove", "harmony": "harmony"}
"""Which clip each is asked from where nobody asks otherwise."""


class _Three(NamedTuple):
    """Blend, groove and harmony, [N] each, at the rate of the metrics."""

    blend_N: np.ndarray
    groove_N: np.ndarray
    harmony_N: np.ndarray

    def part(self, begin: int, end: int) -> "_Three":
        return _Three(*(wav_N[begin:end] for wav_N in self))


def evaluate(blend: Blend) -> dict[str, Any]:
    """Figures of the blend, of a plain mix beside it, the nearest bar, and one number to rank blends of other pairs by;
    empty for a piece of less than four seconds that is no loop, of which nothing can be said."""
    whole = _at_one_rate(blend)
    seconds = len(whole.blend_N) / SAMPLE_RATE_HZ
    if seconds < _SHORTEST_S:
        return {}
    spans = _spans(len(whole.blend_N))
    sources = asked_from(blend)
    pairs = [_figures(whole.part(begin, end), sources["harmony"]) for begin, end in spans]
    found, mixed = (_mean([pair[i] for pair in pairs]) for i in range(2))
    return {
        "blend": found,
        "plain_mix": mixed,
        "nearest_bar": _nearest_bar(whole, min(_bar_s(blend), seconds), blend.loop_s),
        "rank": _rank(found, sources),
        "from": sources,
        "heard_s": round(sum(end - begin for begin, end in spans) / SAMPLE_RATE_HZ, 3),
    }


def _at_one_rate(blend: Blend) -> _Three:
    """All three at the rate of the metrics; a short loop as often as it takes to say something of it."""
    sounds = (blend.wav_CN, blend.groove.wav_CN, blend.harmony.wav_CN)
    seconds = blend.wav_CN.shape[1] / blend.sample_rate_hz
    times = 1 if blend.loop_s is None else math.ceil(_LOOP_S / seconds)
    heard = (files.resample(wav_CN, blend.sample_rate_hz, SAMPLE_RATE_HZ)[0] for wav_CN in sounds)
    return _Three(*(np.tile(wav_N, times) for wav_N in heard))


def _spans(samples: int) -> list[tuple[int, int]]:
    """The whole piece, or stretches spread evenly over it."""
    length = round(STRETCH_S * SAMPLE_RATE_HZ)
    if samples <= length:
        return [(0, samples)]
    count = min(_MOST, samples // length)
    return [(int(begin), int(begin) + length) for begin in np.linspace(0, samples - length, count).round()]


def asked_from(blend: Blend) -> dict[str, str]:
    """Which clip rhythm and chords were asked from: groove, harmony or both."""
    agent = blend.model.recipe.agent
    if agent.name != "factors":
        return USUAL
    options = {**registry.defaults("agents", agent.name), **agent.options}
    found = {}
    for name in USUAL:
        groove, harmony = options[f"{name}_from"]
        found[name] = "both" if groove and harmony else "groove" if groove else "harmony"
    return found


def _figures(stretch: _Three, chords_from: str) -> tuple[Figures, Figures]:
    """Of the blend, and of a plain mix of what it was made from; nothing where a source is silent there. Chords of the
    groove are told where they come from it."""
    try:
        groove_N, harmony_N = (clips.normalise_level(x[None])[0][0] for x in (stretch.groove_N, stretch.harmony_N))
    except BadInput:
        nothing: Figures = dict.fromkeys(_named(chords_from))
        return nothing, nothing
    told = _scores(stretch.blend_N, Sources(groove_N, harmony_N), _FIGURES)
    if chords_from == "groove":
        exchanged = _scores(stretch.blend_N, Sources(harmony_N, groove_N), {"chords_of_groove": "chords"})
        told = [one | other for one, other in zip(told, exchanged, strict=True)]
    return told[0], told[1]


def _named(chords_from: str) -> list[str]:
    return [*_FIGURES, *(["chords_of_groove"] if chords_from == "groove" else [])]


def _scores(blend_N: np.ndarray, sources: Sources, wanted: dict[str, str]) -> list[Figures]:
    """Of the blend, and of a plain mix."""
    prepared = score.prepare(sources)
    heard = (blend_N, 0.5 * (sources.groove_N + sources.harmony_N))
    scores = [score.evaluate(Case(x, sources), prepared) for x in heard]
    return [{name: told[metric] for name, metric in wanted.items()} for told in scores]


def _mean(told: list[Figures]) -> Figures:
    found: Figures = {}
    for name in told[0]:
        values = [value for one in told if (value := one[name]) is not None]
        found[name] = round(float(np.mean(values)), 4) if values else None
    return found


def _bar_s(blend: Blend) -> float:
    bars = None if blend.alignment is None else blend.alignment.bars
    return BAR_S if bars is None else bars.seconds


def _nearest_bar(whole: _Three, bar_s: float, loop_s: float | None) -> dict[str, Any]:
    """The bar of the blend that is most like as much of a source, in which, and where; of a loop that is heard more
    than once, where in it."""
    every = bar_s * _MEL_RATE_HZ
    blend_MT, *sources = (truth.log_mel(wav_N) for wav_N in whole)
    found = {
        name: nearest.evaluate(blend_MT, source_MT, int(every), every)
        for name, source_MT in zip(("groove", "harmony"), sources, strict=True)
    }
    name = max(found, key=lambda source: found[source].similarity)
    return {
        "source": name,
        "blend_s": round(found[name].blend_frame / _MEL_RATE_HZ % (loop_s or math.inf), 2),
        "source_s": round(found[name].source_frame / _MEL_RATE_HZ % (loop_s or math.inf), 2),
        "seconds": round(bar_s, 3),
        "similarity": round(found[name].similarity, 4),
    }


def ranked_by(sources: dict[str, str]) -> tuple[str, str, str]:
    """Names of the three figures that blends are ranked by, of the clips that rhythm and chords were asked from."""
    return f"rhythm_of_{sources['rhythm']}", f"chords_of_{sources['harmony']}", "copied"


def _rank(told: Figures, sources: dict[str, str]) -> float | None:
    """The mean of rhythm taken, chords taken and what is not copied, each in [0, 1], of the clips that they were
    asked from; None where one is not known, or was asked from both."""
    rhythm, chords, copied = (told.get(name) for name in ranked_by(sources))
    if rhythm is None or chords is None or copied is None:
        return None
    return round(float(np.mean(np.clip([rhythm, chords, 1.0 - copied], 0.0, 1.0))), 4)
