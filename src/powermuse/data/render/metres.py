"""Metres, beats and swing: from positions in beats to seconds."""

import math
from typing import NamedTuple

from powermuse.data.render.score import Beat

CLIP_S = 16.0


class Metre(NamedTuple):
    """How beats make a bar. The beat of 6/8 is the dotted quarter."""

    name: str
    beats: int
    """In a bar."""
    steps: int
    """Of the grid in a bar: the finest notes that patterns are written in."""
    tempo_bpm: tuple[float, float]
    """Beats a minute that musicians would count."""

    @property
    def grid(self) -> int:
        """Steps in a beat."""
        return self.steps // self.beats


METRES = {
    "4/4": Metre("4/4", 4, 16, (60.0, 180.0)),
    "3/4": Metre("3/4", 3, 12, (70.0, 200.0)),
    "6/8": Metre("6/8", 2, 12, (40.0, 110.0)),
}


def beats(metre: Metre, tempo_bpm: float, duration_s: float = CLIP_S) -> tuple[Beat, ...]:
    """The beats of a clip that begins on a downbeat."""
    count = math.ceil(duration_s * tempo_bpm / 60 - 1e-9)
    return tuple(Beat(i * 60 / tempo_bpm, i % metre.beats == 0) for i in range(count))


def swung(beat: float, swing: float) -> float:
    """`beat` where the second eighth of each beat falls at `swing` of it: 0.5 is straight, 0.67 a triplet's third."""
    whole, part = divmod(beat, 1.0)
    bent = part * 2 * swing if part < 0.5 else swing + (part - 0.5) * 2 * (1 - swing)
    return whole + bent
