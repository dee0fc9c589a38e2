"""Scores that are played in a moment, the smallest soundfont of this machine in the place of all, and WADs."""

import functools
import importlib.util
import io
import os
import struct
from pathlib import Path

import mido
import pytest

from powermuse.data.render import fonts
from powermuse.data.render.fonts import Font
from powermuse.data.render.plan import Plan
from powermuse.data.render.score import Beat, Chord, Note, Part, Score, TripletScore

SECONDS = 16.0
BARS, TICKS = 16, 96


@functools.cache
def smallest() -> Path | None:
    """The smallest font that is here, whatever split it belongs to."""
    places = [path for font in fonts.FONTS if (path := fonts._place(font, ())) is not None]
    return min(places, key=lambda path: path.stat().st_size, default=None)


needs_font = pytest.mark.skipif(
    importlib.util.find_spec("tinysoundfont") is None or smallest() is None,
    reason="needs tinysoundfont (requirements/nodeps.txt) and a soundfont (apt-get install timgm6mb-soundfont)",
)


def one_font() -> tuple[Font, ...]:
    """The smallest font for every split."""
    path = smallest()
    assert path is not None
    os.environ["POWERMUSE_SOUNDFONTS"] = str(path.parent)
    return (Font("small", path.name, "any", True, fonts.SPLITS, "nothing"),)


def tune(*notes: tuple[float, int], name: str = "lead", program: int = 0, seconds: float = SECONDS) -> Score:
    """One part of notes (start, pitch) of a quarter of a second."""
    part = Part(name, program, tuple(Note(at_s, at_s + 0.25, pitch, 100) for at_s, pitch in notes))
    return Score(seconds, 120.0, (part,), (), ())


def compose(seed: int, split: str, index: int, kinds: tuple[str, ...]) -> TripletScore:
    """A beat, a chord, and the chord on the beat; a function of the index."""
    step = 0.4 + 0.05 * (index % 5)
    times = [k * step for k in range(int(SECONDS / step))]
    beats = tuple(Beat(at_s, k % 4 == 0) for k, at_s in enumerate(times))
    root = (index + seed) % 12
    drums = Part("drums", 0, tuple(Note(at_s, at_s + 0.1, (36, 38)[k % 2], 100) for k, at_s in enumerate(times)))
    bass, chord = (Part(name, program, ()) for name, program in (("bass", 33), ("chords", 0)))
    chords = (Chord(0.0, SECONDS, root, "maj"),)

    def on(starts: list[float]) -> tuple[Part, Part]:
        return (
            bass._replace(notes=tuple(Note(at_s, at_s + 0.3, 36 + root, 90) for at_s in starts)),
            chord._replace(notes=tuple(Note(s, s + 0.3, 60 + root + i, 80) for s in starts for i in (0, 4, 7))),
        )

    groove = Score(SECONDS, 60 / step, (drums,), (), beats)
    harmony = Score(SECONDS, 60.0, on([0.0, 4.0, 8.0, 12.0]), chords, (Beat(0.0, True), Beat(1.0, False)))
    truths = tuple(Score(SECONDS, 60 / step, on(times[i :: i + 1]), chords, beats) for i in range(2))
    return TripletScore(groove, harmony, truths, {"rhythm": str(index)})


def plan(out: Path, begin: int, end: int, **changes: object) -> Plan:
    """A stretch of such triplets, by this process alone."""
    return Plan(str(out), begin, end, **{"workers": 1, "compose": compose, **changes})  # type: ignore[arg-type]


def song(tempo_bpm: float = 120, keys: tuple[int, ...] = (36, 42, 38, 42), silent_bars: tuple[int, ...] = ()) -> bytes:
    """Sixteen bars of four quarters, in each one key after another in eighths, after a bar of which nothing is told."""
    drums = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=round(60e6 / tempo_bpm))])
    rest = 0
    for i in range(BARS * 8):
        if i // 8 in silent_bars:
            rest += TICKS // 2
            continue
        drums.append(mido.Message("note_on", channel=9, note=keys[i % len(keys)], velocity=100, time=rest))
        drums.append(mido.Message("note_off", channel=9, note=keys[i % len(keys)], time=TICKS // 2))
        rest = 0
    content = io.BytesIO()
    mido.MidiFile(type=1, ticks_per_beat=TICKS, tracks=[drums]).save(file=content)
    return content.getvalue()


def wad(**content: bytes) -> bytes:
    body = b"".join(content.values())
    entries, start = b"", 12
    for name, piece in content.items():
        entries += struct.pack("<ii8s", start, len(piece), name.encode())
        start += len(piece)
    return struct.pack("<4sii", b"PWAD", len(content), 12 + len(body)) + body + entries
