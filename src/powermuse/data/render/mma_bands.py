"""Bands of mma's grooves: what they play over any chart, on instruments of our program sets."""

import random
from typing import NamedTuple

from powermuse.data.render import bands
from powermuse.data.render.bands import Band
from powermuse.data.render.charts import Chart
from powermuse.data.render.metres import CLIP_S
from powermuse.data.render.mma import BARS_A_QUALITY, Groove, Played, Track
from powermuse.data.render.programs import Role
from powermuse.data.render.score import Chord, Note, Part, untangled
from powermuse.data.render.styles import PartStyle
from powermuse.metrics.chords import QUALITIES

_REGISTERS = {"bass": (28, 50), "chords": (48, 76), "arpeggio": (52, 84), "pad": (50, 78)}
_STAND_INS: dict[Role, tuple[Role, ...]] = {
    "pads": ("pads", "strings"), "strings": ("strings", "pads"), "mallets": ("mallets", "guitar"),
    "guitar": ("guitar", "keys"),
    "keys": ("keys", "guitar"), "brass": ("brass", "keys"), "leads": ("leads", "keys"), "bass": ("bass",),
}  # fmt: skip
"""Who plays a part of a role where a set has no instrument of it left."""
_SHORTEST_S = 0.05


class _Piece(NamedTuple):
    """A stretch of a bar in which one chord holds; beats from the start of the bar."""

    chord: Chord
    bar: int
    first: float
    last: float


def draw(
    chance: random.Random, groove: Groove, played: Played, program_set: str, taken: frozenset[int] = frozenset()
) -> Band:
    """The groove's parts on programs of a set."""
    ways = tuple(
        PartStyle(t.name, _STAND_INS[t.role], "bass" if t.name == "bass" else "comp", *_REGISTERS[t.name])
        for t in played.tracks
    )
    instruments = bands.seated(chance, ways, program_set, taken)
    return Band(f"mma {groove.path}:{groove.name}", program_set, instruments, ways, 0.5)


def play(band: Band, played: Played, chart: Chart, tempo_bpm: float, duration_s: float = CLIP_S) -> tuple[Part, ...]:
    """What each instrument plays over the chart; no note sounds beyond the chord it begins in."""
    pieces = _pieces(chart.chords(tempo_bpm, duration_s), played.metre.beats, 60 / tempo_bpm)
    return tuple(
        Part(i.name, i.program, untangled(_notes(track, pieces, i, played.metre.beats, 60 / tempo_bpm)))
        for i, track in zip(band.instruments, played.tracks, strict=True)
    )


def _pieces(chords: tuple[Chord, ...], bar_beats: int, beat_s: float) -> list[_Piece]:
    """The chords cut at the bar lines."""
    found = []
    for chord in chords:
        first, end = chord.start_s / beat_s, chord.end_s / beat_s
        while end - first > 1e-6:
            bar = int(first / bar_beats + 1e-6)
            last = min(end, (bar + 1) * bar_beats)
            found.append(_Piece(chord, bar, first - bar * bar_beats, last - bar * bar_beats))
            first = last
    return found


def _notes(
    track: Track, pieces: list[_Piece], instrument: bands.Instrument, bar_beats: int, beat_s: float
) -> list[Note]:
    qualities = tuple(QUALITIES)
    found = []
    for chord, bar, first, last in pieces:
        source = qualities.index(chord.quality) * BARS_A_QUALITY + bar % BARS_A_QUALITY
        for beat, length, pitch, velocity in track.bars[source]:
            # What is held when the chord changes is struck again with the new one.
            start, end = max(beat, first), min(beat + length, last)
            start_s, end_s = (bar * bar_beats + start) * beat_s, (bar * bar_beats + end) * beat_s
            if end_s - start_s > _SHORTEST_S:
                found.append(Note(start_s, end_s, _placed(pitch + chord.root, instrument), velocity))
    return found


def _placed(pitch: int, instrument: bands.Instrument) -> int:
    """The pitch in the octave that lies in the instrument's register, the lowest for a bass."""
    if instrument.name == "bass":
        return instrument.low + (pitch - instrument.low) % 12
    while pitch > instrument.high:
        pitch -= 12
    while pitch < instrument.low:
        pitch += 12
    return pitch
