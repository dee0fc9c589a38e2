"""Chord charts: a progression in a key, with a harmonic rhythm, in a metre; and the chords of a clip at a tempo."""

import random
from typing import NamedTuple

from powermuse.data.render import progressions
from powermuse.data.render.metres import CLIP_S, Metre
from powermuse.data.render.programs import Split
from powermuse.data.render.progressions import Progression
from powermuse.data.render.score import Chord
from powermuse.metrics.chords import PITCH_NAMES

SCALES = {progressions.MAJOR: (0, 2, 4, 5, 7, 9, 11), progressions.MINOR: (0, 2, 3, 5, 7, 8, 10)}
_BARS_A_CHORD = (0.5, 1.0, 2.0)
_SHORTEST_S, _LONGEST_S = 1.0, 4.5
_FEWEST = 3


class Chart(NamedTuple):
    """What a song's chords are, before its tempo."""

    tonic: int
    """Pitch class."""
    progression: Progression
    metre: Metre
    chord_beats: float
    """How long each chord holds."""

    @property
    def name(self) -> str:
        """Key, chords and harmonic rhythm: `F# minor: i VI III VII, 4 beats each`."""
        key = f"{PITCH_NAMES[self.tonic]} {self.progression.mode}"
        return f"{key}: {self.progression.text}, {self.chord_beats:g} beats each"

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the key."""
        return tuple((self.tonic + step) % 12 for step in SCALES[self.progression.mode])

    def chords(self, tempo_bpm: float, duration_s: float = CLIP_S) -> tuple[Chord, ...]:
        """From the start to the end of a clip without a gap; what follows itself is one chord."""
        length_s = self.chord_beats * 60 / tempo_bpm
        numerals = self.progression.numerals
        found: list[Chord] = []
        i = 0
        while i * length_s < duration_s - 1e-9:
            root, quality = numerals[i % len(numerals)]
            chord = Chord(i * length_s, min((i + 1) * length_s, duration_s), (self.tonic + root) % 12, quality)
            if found and found[-1].label == chord.label:
                chord = chord._replace(start_s=found.pop().start_s)
            found.append(chord)
            i += 1
        return tuple(found)


def draw(chance: random.Random, split: Split, metre: Metre, tempo_bpm: float) -> Chart:
    """A chart of the split whose chords hold one to four and a half seconds at the tempo; three of them in a clip."""
    lengths = [bars * metre.beats for bars in _BARS_A_CHORD if (bars * metre.beats).is_integer()]
    fit = [n for n in lengths if _SHORTEST_S <= n * 60 / tempo_bpm <= _LONGEST_S]
    nearest = min(lengths, key=lambda n: abs(n * 60 / tempo_bpm - 2.0))
    while True:
        progression = progressions.draw(chance, split)
        chart = Chart(chance.randrange(12), progression, metre, chance.choice(fit or [nearest]))
        if len(chart.chords(tempo_bpm)) >= _FEWEST:
            return chart
