"""Triplets: the rhythm of one clip, the chords and instruments of another, and the truths that have both."""

import random
from typing import NamedTuple

from powermuse import chance as chances
from powermuse.data.render import bands, charts, metres, programs, styles
from powermuse.data.render.bands import Band
from powermuse.data.render.charts import Chart
from powermuse.data.render.mappings import MAPPINGS
from powermuse.data.render.metres import CLIP_S
from powermuse.data.render.orchestrations import orchestrate
from powermuse.data.render.programs import Split
from powermuse.data.render.rhythms import Rhythm
from powermuse.data.render.score import Part, Score, TripletScore
from powermuse.data.render.sources import Sources

HARMONY_KINDS = ("pads", "band", "band and drums")
_TRUTHS: dict[Split, int] = {"train": 1, "val": 4, "test": 4}
_TEMPO_RATIOS = (0.7, 1.4)
_NEAR = 0.04
"""Ratios of tempi nearer to 1 than this would sound the same."""


class _Design(NamedTuple):
    """What kinds of clips a triplet has; every twelve triplets in a row have all of them equally often."""

    same_tempo: bool
    harmony: str
    full_groove: bool


def compose(seed: int, split: Split, index: int, sources: Sources) -> TripletScore:
    """The triplet of a split under an index: a pure function. Of test and val four truths, of train one.

    `origin["clean"]`: whether a model trained on it may be given away.
    """
    if sources.split != split:
        raise ValueError(f"sources of {sources.split} for a triplet of {split}")
    design = _Design(index % 2 == 0, HARMONY_KINDS[index // 2 % 3], index // 6 % 2 == 1)

    def stream(what: str) -> random.Random:
        return random.Random(chances.number(f"triplet {seed} {split} {index} {what}"))

    rhythm = sources.rhythm(stream("rhythm"))
    groove_bpm = _tempo(stream("tempo"), rhythm)
    harmony_bpm = groove_bpm if design.same_tempo else _other_tempo(stream("other tempo"), groove_bpm, rhythm)
    harmony, band, chart, harmony_origin = _harmony(stream("harmony"), design, rhythm, harmony_bpm, sources)
    groove, groove_origin = _groove(stream("groove"), design, rhythm, groove_bpm, band, chart, sources)
    names = stream("truths").sample(tuple(MAPPINGS), _TRUTHS[split])
    drums = groove.parts[0].notes
    truths = tuple(
        groove._replace(parts=orchestrate(drums, harmony.chords, band, n), chords=harmony.chords) for n in names
    )
    origin = {
        "same_tempo": str(design.same_tempo).lower(),
        "mappings": ", ".join(names),
        "sources": ", ".join(sources.kinds),
        **groove_origin,
        **harmony_origin,
    }
    origin["clean"] = str(not any(told.startswith("mma") for told in origin.values())).lower()
    return TripletScore(groove, harmony, truths, origin)


def _tempo(chance: random.Random, rhythm: Rhythm) -> float:
    """Near the one at which the rhythm is at home."""
    low, high = rhythm.metre.tempo_bpm
    return min(max(rhythm.tempo_bpm * chance.uniform(0.93, 1.07), low), high)


def _other_tempo(chance: random.Random, tempo_bpm: float, rhythm: Rhythm) -> float:
    """0.7 to 1.4 times the tempo, within what the metre allows, and clearly another."""
    low, high = rhythm.metre.tempo_bpm
    while True:
        ratio = chance.uniform(*_TEMPO_RATIOS)
        if abs(ratio - 1) > _NEAR and low <= tempo_bpm * ratio <= high:
            return tempo_bpm * ratio


def _harmony(
    chance: random.Random, design: _Design, rhythm: Rhythm, tempo_bpm: float, sources: Sources
) -> tuple[Score, Band, Chart, dict[str, str]]:
    """Chords j on instruments k; drums, where there are any, play another rhythm."""
    chart = charts.draw(chance, sources.split, rhythm.metre, tempo_bpm)
    program_set = chance.choice(programs.sets_of(sources.split))
    if design.harmony == "pads":
        band = bands.draw(chance, styles.PAD_STYLES, program_set)
        parts = bands.play(chance, band, chart, tempo_bpm)
    else:
        band, parts = sources.band(chance, chart, tempo_bpm, program_set)
    origin = {"harmony": design.harmony, **_told("harmony", band, chart, tempo_bpm)}
    if design.harmony == "band and drums":
        other = _another_rhythm(chance, rhythm, sources)
        parts = (_drums(chance, other, tempo_bpm, sources.split), *parts)
        origin |= _told_of(other, "harmony_rhythm")
    beats = metres.beats(rhythm.metre, tempo_bpm)
    return Score(CLIP_S, tempo_bpm, parts, chart.chords(tempo_bpm), beats), band, chart, origin


def _groove(
    chance: random.Random,
    design: _Design,
    rhythm: Rhythm,
    tempo_bpm: float,
    other_band: Band,
    other_chart: Chart,
    sources: Sources,
) -> tuple[Score, dict[str, str]]:
    """Rhythm i as drums alone, or with a band of other instruments that plays other chords."""
    drums = _drums(chance, rhythm, tempo_bpm, sources.split)
    score = Score(CLIP_S, tempo_bpm, (drums,), (), metres.beats(rhythm.metre, tempo_bpm))
    origin = _told_of(rhythm, "rhythm") | {"groove_tempo_bpm": f"{tempo_bpm:.2f}"}
    if not design.full_groove:
        return score, origin | {"groove": "drums"}
    chart = _another_chart(chance, other_chart, rhythm, tempo_bpm, sources.split)
    sets = programs.sets_of(sources.split)
    taken = frozenset(i.program for i in other_band.instruments)
    band, parts = sources.band(chance, chart, tempo_bpm, chance.choice(sets), taken)
    told = _told("groove", band, chart, tempo_bpm)
    return score._replace(parts=(drums, *parts), chords=chart.chords(tempo_bpm)), origin | {"groove": "band"} | told


def _another_rhythm(chance: random.Random, rhythm: Rhythm, sources: Sources) -> Rhythm:
    while True:
        other = sources.rhythm(chance, rhythm.metre)
        if other.name != rhythm.name:
            return other


def _another_chart(chance: random.Random, chart: Chart, rhythm: Rhythm, tempo_bpm: float, split: Split) -> Chart:
    while True:
        other = charts.draw(chance, split, rhythm.metre, tempo_bpm)
        if other.progression.identity != chart.progression.identity:
            return other


def _drums(chance: random.Random, rhythm: Rhythm, tempo_bpm: float, split: Split) -> Part:
    return Part("drums", programs.draw_kit(chance, split), rhythm.notes(tempo_bpm))


def _told(clip: str, band: Band, chart: Chart, tempo_bpm: float) -> dict[str, str]:
    return {
        f"{clip}_tempo_bpm": f"{tempo_bpm:.2f}",
        f"{clip}_chart": chart.name,
        f"{clip}_progression": chart.progression.identity,
        f"{clip}_style": band.style,
        f"{clip}_program_set": band.program_set,
        f"{clip}_programs": ", ".join(f"{i.name} {i.program}" for i in band.instruments),
    }


def _told_of(rhythm: Rhythm, what: str) -> dict[str, str]:
    return {
        f"{what}_source": rhythm.source,
        f"{what}_family": rhythm.family,
        f"{what}_name": rhythm.name,
        f"{what}_metre": rhythm.metre.name,
    }
