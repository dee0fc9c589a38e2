"""A chart played by a band: pads, comping, strums, arpeggios, basses and leads, in styles of our own."""

import bisect
import random
from typing import NamedTuple

from powermuse.data.render import styles, voicings
from powermuse.data.render.charts import Chart
from powermuse.data.render.metres import CLIP_S, swung
from powermuse.data.render.programs import SETS, Role
from powermuse.data.render.score import Chord, Note, Part, untangled
from powermuse.data.render.styles import PartStyle, Style

_STRUM_S = 0.011
_SHORTEST_S = 0.06
_UNSTEADY_S = 0.006
_STRUCK: tuple[Role, ...] = ("keys", "guitar", "mallets", "brass", "leads")
"""Roles that may stand in where all of a part's own are taken."""


class Instrument(NamedTuple):
    """Who plays a part, and where."""

    name: str
    program: int
    low: int
    high: int


class Band(NamedTuple):
    """Instruments and the style in which they play."""

    style: str
    program_set: str
    instruments: tuple[Instrument, ...]
    ways: tuple[PartStyle, ...]
    swing: float


def draw(chance: random.Random, kinds: dict[str, Style], program_set: str, taken: frozenset[int] = frozenset()) -> Band:
    """A band of one of the styles, of programs of a set of which none is `taken`, while there are others."""
    name = chance.choice(tuple(kinds))
    style = kinds[name]
    ways = (*style.parts, styles.LEAD) if chance.random() < style.lead_share else style.parts
    instruments = seated(chance, ways, program_set, taken)
    return Band(name, program_set, instruments, ways, chance.uniform(*style.swing))


def seated(
    chance: random.Random, ways: tuple[PartStyle, ...], program_set: str, taken: frozenset[int]
) -> tuple[Instrument, ...]:
    """An instrument for each part, of its roles where one is free; none twice, none `taken`, while there are others."""
    found: list[Instrument] = []
    for way in ways:
        used = taken | {i.program for i in found}
        offered = [p for role in way.roles for p in SETS[program_set][role]]
        others = [] if way.way == "bass" else [p for role in _STRUCK for p in SETS[program_set][role]]
        free = [p for p in offered if p not in used] or [p for p in others if p not in used]
        found.append(Instrument(way.name, chance.choice(free or offered), way.low, way.high))
    return tuple(found)


def play(
    chance: random.Random, band: Band, chart: Chart, tempo_bpm: float, duration_s: float = CLIP_S
) -> tuple[Part, ...]:
    """What each instrument plays; no note sounds beyond the chord it begins in."""
    clock = _Clock(chart, tempo_bpm, band.swing, duration_s)
    parts = []
    for instrument, way in zip(band.instruments, band.ways, strict=True):
        notes = _WAYS[way.way](chance, clock, way)
        parts.append(Part(instrument.name, instrument.program, untangled(notes)))
    return tuple(parts)


class _Event(NamedTuple):
    sign: str
    start_s: float
    end_s: float
    at: int
    """Which chord holds."""


class _Clock:
    """The bars of a chart at a tempo: from rows of signs to events in seconds that end where their chord ends."""

    def __init__(self, chart: Chart, tempo_bpm: float, swing: float, duration_s: float) -> None:
        self.chart, self.metre = chart, chart.metre
        self.chords = chart.chords(tempo_bpm, duration_s)
        self.beat_s, self.swing, self.duration_s = 60 / tempo_bpm, swing, duration_s
        self._starts = [c.start_s for c in self.chords]

    def chord_at(self, time_s: float) -> int:
        """The index of the chord that holds."""
        return bisect.bisect_right(self._starts, time_s + 1e-6) - 1

    def seconds(self, step: float) -> float:
        """When a step of the grid falls."""
        return swung(step / self.metre.grid, self.swing) * self.beat_s

    def events(self, rows: tuple[str, ...]) -> list[_Event]:
        """Bars of rows by turns; a note held into the next chord is struck again with it."""
        found: list[_Event] = []
        bar = 0
        while self.seconds(bar * self.metre.steps) < self.duration_s:
            row = rows[bar % len(rows)]
            begins = [i for i, sign in enumerate(row) if sign not in "-."]
            for i in begins:
                end = next((j for j in range(i + 1, len(row)) if row[j] != "-"), len(row))
                first = bar * self.metre.steps
                found += self._within_chords(row[i], self.seconds(first + i), self.seconds(first + end))
            bar += 1
        return found

    def _within_chords(self, sign: str, start_s: float, end_s: float) -> list[_Event]:
        found = []
        end_s = min(end_s, self.duration_s)
        while end_s - start_s > _SHORTEST_S:
            at = self.chord_at(start_s)
            border_s = self.chords[at].end_s
            found.append(_Event(sign, start_s, min(end_s, border_s), at))
            start_s = border_s
        return found


def _pad(chance: random.Random, clock: _Clock, way: PartStyle) -> list[Note]:
    level = chance.randint(62, 84)
    led = voicings.led(clock.chords, way.low, way.high, chance.choice((3, 4)))
    return [
        Note(c.start_s, c.end_s, pitch, _loud(chance, level))
        for c, voicing in zip(clock.chords, led, strict=True)
        for pitch in voicing
    ]


def _comp(chance: random.Random, clock: _Clock, way: PartStyle) -> list[Note]:
    rows = _two_rows(chance, styles.COMP_ROWS[way.patterns][clock.metre.steps])
    level, share = chance.randint(74, 92), chance.uniform(0.6, 0.95)
    led = voicings.led(clock.chords, way.low, way.high, chance.choice((3, 4)))
    notes = []
    for event in clock.events(rows):
        start_s = _unsteady(chance, event, clock)
        end_s = start_s + (event.end_s - start_s) * share
        loud = level + (14 if event.sign == "X" else 0)
        notes += [Note(start_s, end_s, p, _loud(chance, loud)) for p in led[event.at]]
    return notes


def _strum(chance: random.Random, clock: _Clock, way: PartStyle) -> list[Note]:
    """Five strings, downwards from the lowest, upwards from the highest three."""
    rows = _two_rows(chance, styles.COMP_ROWS[way.patterns][clock.metre.steps])
    level = chance.randint(72, 90)
    led = voicings.led(clock.chords, way.low, way.high, 5)
    notes = []
    for event in clock.events(rows):
        start_s = _unsteady(chance, event, clock)
        strings = led[event.at][:1:-1] if event.sign == "u" else led[event.at]
        loud = level + {"X": 12, "u": -10}.get(event.sign, 0)
        for i, pitch in enumerate(strings):
            if start_s + i * _STRUM_S < event.end_s - 0.02:
                notes.append(Note(start_s + i * _STRUM_S, event.end_s, pitch, _loud(chance, loud)))
    return notes


def _arpeggio(chance: random.Random, clock: _Clock, way: PartStyle) -> list[Note]:
    """Chord tones one after another, in an order that the part keeps, at least a ninth of a second each."""
    rates = [n for n in ((1, 2, 3, 4) if clock.metre.grid == 4 else (3, 6)) if clock.beat_s / n > 0.11]
    rate, order = chance.choice(rates[-2:] or [1]), chance.choice(styles.ORDERS)
    level, ring = chance.randint(70, 90), chance.choice((0.9, 1.0, 1.9))
    led = voicings.led(clock.chords, way.low, way.high, chance.choice((3, 4, 4)))
    notes = []
    step_s = clock.beat_s / rate
    for i in range(int(clock.duration_s / step_s - 1e-6) + 1):
        start_s = swung(i / rate, clock.swing) * clock.beat_s
        at = clock.chord_at(start_s)
        end_s = min(start_s + step_s * ring, clock.chords[at].end_s)
        tone = through(order, led[at], i)
        if end_s - start_s > _SHORTEST_S:
            notes.append(Note(start_s, end_s, tone, _loud(chance, level + (8 if i % rate == 0 else 0))))
    return notes


def through(order: str, tones: tuple[int, ...], i: int) -> int:
    """The i-th tone of an arpeggio."""
    n = len(tones)
    if order == "down":
        return tones[-1 - i % n]
    if order == "up and down":
        turn = i % max(2 * n - 2, 1)
        return tones[min(turn, 2 * n - 2 - turn)]
    if order == "alberti":
        return tones[(0, n - 1, 1, n - 1)[i % 4]]
    if order == "skipping":
        return tones[i * 2 % n if n % 2 else (i * 2 + i * 2 // n) % n]
    return tones[i % n]


def _bass(chance: random.Random, clock: _Clock, way: PartStyle) -> list[Note]:
    rows = _two_rows(chance, styles.BASS_ROWS[way.patterns][clock.metre.steps])
    level = chance.randint(80, 100)
    notes = []
    for event in clock.events(rows):
        chord = clock.chords[event.at]
        opens = event.start_s - chord.start_s < _SHORTEST_S
        pitch = _bass_pitch(
            chance, "R" if opens else event.sign, chord, clock.chords[(event.at + 1) % len(clock.chords)]
        )
        start_s = _unsteady(chance, event, clock)
        notes.append(Note(start_s, start_s + 0.95 * (event.end_s - start_s), pitch, _loud(chance, level)))
    return notes


def _bass_pitch(chance: random.Random, sign: str, chord: Chord, following: Chord) -> int:
    root = voicings.bass_root(chord)
    _, third, fifth, *_ = (root + (pc - chord.root) % 12 for pc in chord.pitch_classes)
    if sign == "A":
        target = voicings.bass_root(following)
        return min((target + step for step in chance.sample((-1, 1, -2, 2), 4)), key=lambda p: abs(p - fifth) // 6)
    return {"R": root, "3": third, "5": fifth, "8": root + 12}[sign]


def _lead(chance: random.Random, clock: _Clock, way: PartStyle) -> list[Note]:
    """A line that steps through the key, and rests on chord tones where it begins a beat or lasts."""
    rows = tuple(chance.choices(styles.LEAD_ROWS[clock.metre.steps], k=4))
    level = chance.randint(78, 98)
    pitch = chance.randint(way.low + 5, way.high - 7)
    notes: list[Note] = []
    for event in clock.events(rows):
        chord = clock.chords[event.at]
        lasts = event.end_s - event.start_s > 0.6 * clock.beat_s
        inside = [p for p in range(way.low, way.high + 1) if p % 12 in _sung(chord, clock.chart.scale, lasts)]
        aim = pitch + chance.choice((-4, -2, -2, -1, 1, 2, 2, 4, 0))
        pitch = min(inside, key=lambda p: abs(p - aim))
        start_s = _unsteady(chance, event, clock)
        notes.append(Note(start_s, start_s + 0.96 * (event.end_s - start_s), pitch, _loud(chance, level)))
    return notes


def _sung(chord: Chord, scale: tuple[int, ...], lasts: bool) -> tuple[int, ...]:
    """Pitch classes that sound well: chord tones, and between them tones of the key a whole tone away at least."""
    if lasts:
        return chord.pitch_classes
    passing = (p for p in scale if all((p - c) % 12 not in (1, 11) for c in chord.pitch_classes))
    return (*chord.pitch_classes, *passing)


def _two_rows(chance: random.Random, rows: tuple[str, ...]) -> tuple[str, ...]:
    """A pattern that is repeated, or two by turns."""
    first = chance.choice(rows)
    return (first, first) if chance.random() < 0.5 else (first, chance.choice(rows))


def _unsteady(chance: random.Random, event: _Event, clock: _Clock) -> float:
    """A little late, never early: early would be in the chord before."""
    return event.start_s + min(abs(chance.gauss(0, _UNSTEADY_S)), 0.3 * (event.end_s - event.start_s))


def _loud(chance: random.Random, level: float) -> int:
    return round(min(max(chance.gauss(level, 4), 20), 127))


_WAYS = {"pad": _pad, "comp": _comp, "strum": _strum, "arpeggio": _arpeggio, "bass": _bass, "lead": _lead}
