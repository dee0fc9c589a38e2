"""What is known of a rendered clip: notes by part, chords, beats. All times in seconds from the start of the clip."""

from collections.abc import Iterable
from typing import NamedTuple

from powermuse.metrics.chords import PITCH_NAMES, QUALITIES


class Note(NamedTuple):
    """A note of a part; of drums, `pitch` is the General MIDI percussion key (36 kick, 38 snare, 42 closed hat)."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int
    """1 to 127."""


class Part(NamedTuple):
    """What one instrument plays; one part is one stem."""

    name: str
    """drums, bass, chords, pad, arpeggio, lead, stab ..."""
    program: int
    """General MIDI program, 0 to 127; of drums the kit."""
    notes: tuple[Note, ...]

    @property
    def is_drums(self) -> bool:
        """Whether pitches are percussion keys."""
        return self.name == "drums"


class Chord(NamedTuple):
    """A chord and when it holds."""

    start_s: float
    end_s: float
    root: int
    """Pitch class, 0 is C."""
    quality: str
    """One of QUALITIES."""

    @property
    def label(self) -> str:
        """As mir_eval reads it: C:maj, F#:min7."""
        return f"{PITCH_NAMES[self.root]}:{self.quality}"

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """From the root upwards, each 0 to 11."""
        return tuple((self.root + step) % 12 for step in QUALITIES[self.quality])


class Beat(NamedTuple):
    """A beat of the metre."""

    time_s: float
    is_downbeat: bool


class Score(NamedTuple):
    """One clip before it is played. `chords` cover it without a gap where there are any; drums alone have none."""

    duration_s: float
    tempo_bpm: float
    parts: tuple[Part, ...]
    chords: tuple[Chord, ...]
    beats: tuple[Beat, ...]


class TripletScore(NamedTuple):
    """Groove: rhythm i. Harmony: chords j on instruments k in another style. Truths: chords j on instruments k, on the
    clock of harmony, orchestrated from the groove's drums, each in another way."""

    groove: Score
    harmony: Score
    truths: tuple[Score, ...]
    origin: dict[str, str]
    """Where rhythm, chart, style and instruments come from: what splits are drawn by, and licences depend on."""


def untangled(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Notes of one part in the order of time, of which none sounds on where its pitch is struck again."""
    kept: list[Note] = []
    sounding: dict[int, int] = {}
    for note in sorted(notes, key=lambda n: (n.start_s, n.pitch, -n.end_s)):
        before = sounding.get(note.pitch)
        if before is not None and kept[before].start_s == note.start_s:
            continue
        if before is not None and kept[before].end_s > note.start_s:
            kept[before] = kept[before]._replace(end_s=note.start_s)
        sounding[note.pitch] = len(kept)
        kept.append(note)
    return tuple(kept)
