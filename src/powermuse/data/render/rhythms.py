"""Rhythms: drum hits in beats, and our own, drawn from the families of `patterns`."""

import math
import random
from typing import NamedTuple

from powermuse.data.render.metres import CLIP_S, METRES, Metre, swung
from powermuse.data.render.patterns import FAMILIES, FILLS, VOICES, Family
from powermuse.data.render.programs import Split
from powermuse.data.render.score import Note

_LEVELS = {"X": 112, "x": 92, "o": 66, "g": 32, "?": 80}
_HIT_S = 0.12
_CRASH = 49
_PHRASES = ("AAAB", "ABAB", "AABB", "ABAC", "AAAA")
_PHRASE_BARS = 4
_FILL_SHARE = 0.55
_DRIFT = 0.06
"""How often a hit of a varied bar is left out, or one added on an eighth."""


class Hit(NamedTuple):
    """A stroke; `beat` from the start of the rhythm."""

    beat: float
    key: int
    velocity: int


class Rhythm(NamedTuple):
    """What drums play; begins on a downbeat, is repeated after `bars`."""

    source: str
    """own, mma or freedoom."""
    family: str
    """What splits are drawn by."""
    name: str
    metre: Metre
    tempo_bpm: float
    """At which it is at home."""
    bars: int
    hits: tuple[Hit, ...]

    def notes(self, tempo_bpm: float, duration_s: float = CLIP_S) -> tuple[Note, ...]:
        """The hits of a clip at a tempo, in the order of time."""
        beat_s, length = 60 / tempo_bpm, self.bars * self.metre.beats
        rounds = math.ceil(duration_s / (length * beat_s))
        found = (
            Note(start_s, min(start_s + _HIT_S, duration_s), hit.key, hit.velocity)
            for start_s, hit in (((r * length + hit.beat) * beat_s, hit) for r in range(rounds) for hit in self.hits)
            if start_s < duration_s - 0.01
        )
        return tuple(sorted(found))


def draw(chance: random.Random, split: Split, metre: Metre | None = None) -> Rhythm:
    """A rhythm of our own of a family of the split, in a given metre where one is given."""
    names = [n for n, f in FAMILIES.items() if f.split == split and metre in (None, METRES[f.metre])]
    name = chance.choice(names)
    return of_family(chance, name, FAMILIES[name])


def of_family(chance: random.Random, name: str, family: Family) -> Rhythm:
    """A rhythm of a family: one row of each voice, in phrases, as a drummer plays it."""
    tempo_bpm = chance.uniform(*family.tempo_bpm)
    own_metre = METRES[family.metre]
    bars = _whole_phrases(tempo_bpm, own_metre)
    rows = _rows(chance, family) if family.voices else _euclidean_rows(chance)
    strokes = _arranged(chance, rows, family.steps, bars)
    hits = _humanised(chance, strokes, family, own_metre, tempo_bpm)
    return Rhythm("own", name, f"{name}-{chance.getrandbits(32):08x}", own_metre, tempo_bpm, bars, hits)


def _whole_phrases(tempo_bpm: float, metre: Metre) -> int:
    return _PHRASE_BARS * math.ceil(CLIP_S * tempo_bpm / 60 / metre.beats / _PHRASE_BARS)


def _rows(chance: random.Random, family: Family) -> dict[int, str]:
    """One row for each voice, under the percussion key that plays it."""
    drawn = {chance.choice(VOICES[voice]): chance.choice(rows) for voice, rows in family.voices.items()}
    return {key: row for key, row in drawn.items() if row}


def _euclidean_rows(chance: random.Random) -> dict[int, str]:
    """Strokes spread as evenly as a grid lets them, turned by a random step (Toussaint, BRIDGES 2005)."""
    rows = {}
    for voice, most, turn in (("kick", 5, 0), ("snare", 4, 4), ("time", 11, 0), (chance.choice(list(VOICES)), 6, 0)):
        strokes = chance.randint(max(2, most - 3), most)
        turned = turn if turn else chance.choice((0, 0, 2, 3)) if voice != "kick" else 0
        row = "".join("x" if (step - turned) * strokes % 16 < strokes else "." for step in range(16))
        rows[chance.choice(VOICES[voice])] = row
    return rows


class _Stroke(NamedTuple):
    step: float
    key: int
    level: int


def _arranged(chance: random.Random, rows: dict[int, str], steps: int, bars: int) -> list[_Stroke]:
    """Bars in phrases of four: variants of a bar as the phrase has them, a fill at its end, then a crash."""
    form = chance.choice(_PHRASES)
    variants = {letter: _resolved(chance, rows, _DRIFT * i) for i, letter in enumerate("ABC")}
    fill = chance.choice(FILLS)
    strokes: list[_Stroke] = []
    filled = False
    for bar in range(bars):
        letter = form[bar % _PHRASE_BARS]
        inside = _bar_of(variants[letter], steps, bar)
        if filled and chance.random() < 0.6:
            inside.append(_Stroke(0, _CRASH, 104))
        filled = bar % _PHRASE_BARS == _PHRASE_BARS - 1 and chance.random() < _FILL_SHARE
        if filled:
            inside = [s for s in inside if s.step < steps / 2] + _fill(fill, steps)
        strokes += [_Stroke(bar * steps + s.step, s.key, s.level) for s in inside]
    return strokes


def _resolved(chance: random.Random, rows: dict[int, str], drift: float) -> dict[int, str]:
    """Rows in which each question mark is decided, and a share of the soft strokes moved."""
    return {key: "".join(_decided(chance, sign, i, drift) for i, sign in enumerate(row)) for key, row in rows.items()}


def _decided(chance: random.Random, sign: str, step: int, drift: float) -> str:
    if sign == "?":
        return chance.choice("?.")
    if chance.random() >= drift or sign == "X":
        return sign
    return "." if sign != "." else ("o" if step % 2 == 0 else ".")


def _bar_of(rows: dict[int, str], steps: int, bar: int) -> list[_Stroke]:
    found = []
    for key, row in rows.items():
        part = row[bar % (len(row) // steps) * steps :][:steps]
        found += [_Stroke(i, key, _LEVELS[sign]) for i, sign in enumerate(part) if sign != "."]
    return found


def _fill(fill: str, steps: int) -> list[_Stroke]:
    found = []
    for line in fill.split("|"):
        voice, row = line.split(":")
        scale = steps / 2 / len(row)
        found += [
            _Stroke(steps / 2 + i * scale, VOICES[voice][0], _LEVELS[sign] - 6 + 2 * i)
            for i, sign in enumerate(row)
            if sign != "."
        ]
    return found


def _humanised(
    chance: random.Random, strokes: list[_Stroke], family: Family, metre: Metre, tempo_bpm: float
) -> tuple[Hit, ...]:
    """Strokes with swing, a drummer's unsteadiness of up to 8 ms and a snare up to 10 ms behind."""
    swing = chance.uniform(*family.swing)
    unsteady_s, behind_s = chance.uniform(0, 0.008), chance.uniform(0, 0.01)
    spread = chance.uniform(2, 9)
    beats_of_a_second = tempo_bpm / 60
    hits = []
    for step, key, level in strokes:
        late_s = chance.gauss(0, unsteady_s) + (behind_s if key in VOICES["snare"] else 0)
        beat = swung(step * metre.beats / family.steps, swing) + late_s * beats_of_a_second
        hits.append(Hit(max(beat, 0.0), key, round(min(max(chance.gauss(level, spread), 12), 127))))
    return tuple(sorted(hits))
