"""Chord progressions in Roman numerals: loops that are played, and functional harmony as steps from chord to chord."""

import random
from typing import NamedTuple

from powermuse import chance as chances
from powermuse.data.render.programs import Split

MAJOR, MINOR = "major", "minor"

LOOPS: dict[str, tuple[str, ...]] = {
    MAJOR: (
        "I V vi IV", "I vi IV V", "vi IV I V", "I IV V IV", "I iii IV V", "ii7 V7 Imaj7 Imaj7", "I bVII IV I",
        "I V IV IV", "I IV vi V", "Imaj7 vi7 ii7 V7", "iii7 vi7 ii7 V7", "I II IV I", "I bVII bVI bVII", "I7 IV7 I7 V7",
        "I V vi iii IV I IV V", "I Isus4 I Vsus4", "IVmaj7 V7 iii7 vi7", "I iv I V", "I III7 vi IV", "I7 bVII IV7 I7",
        "Imaj7 IVmaj7", "I ii", "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7", "I vi ii V", "IV I V vi", "I V ii IV",
        "Imaj7 bIIImaj7 bVImaj7 V7", "I io ii7 V7", "Imaj7 II7 ii7 V7", "V IV I I", "I bIII IV I", "vi V IV V",
    ),
    MINOR: (
        "i VI III VII", "i VII VI V7", "i iv v i", "i VI iv V7", "i IV", "i7 IV7", "i VII i VII", "i iv VII III",
        "i7 iv7 VII7 IIImaj7 VImaj7 iio V7 i7", "i III VII IV", "i v VI VII", "VI VII i i", "i bII", "i iv i V7",
        "i7 bIImaj7", "i VII IV i", "i iio V7 i", "iv VI i VII", "i Vsus4 i VII", "i7 v7", "i III iv VI", "i VI v iv",
        "i III iv V7", "VI iv i V7", "i7 VImaj7 iv7 VII7", "i VII III VI",
    ),
}  # fmt: skip

STEPS: dict[str, dict[str, str]] = {
    MAJOR: {
        "I": "IV V vi ii iii IV V", "ii": "V V vii IV", "iii": "vi IV ii", "IV": "V I ii V iv", "V": "I vi I IV",
        "vi": "ii IV V iii", "vii": "I iii", "iv": "I V",
    },
    MINOR: {
        "i": "iv V VI VII III iv", "ii": "V V", "III": "VI iv VII", "iv": "V i VII ii", "V": "i i VI",
        "VI": "iv ii III VII", "VII": "III i VI",
    },
}  # fmt: skip
"""Where a chord may go in functional harmony; written twice where it likes to."""

COLOURS: dict[str, dict[str, str]] = {
    "triads": {"vii": "viio", "ii of minor": "iio"},
    "sevenths": {
        "I": "Imaj7", "ii": "ii7", "iii": "iii7", "IV": "IVmaj7", "V": "V7", "vi": "vi7", "vii": "viio", "i": "i7",
        "III": "IIImaj7", "iv": "iv7", "VI": "VImaj7", "VII": "VII7", "ii of minor": "iio",
    },
    "dominants": {"V": "V7", "vii": "viio", "ii of minor": "iio"},
    "suspended": {"V": "Vsus4", "vii": "viio", "ii of minor": "iio"},
}  # fmt: skip

_DEGREES = {
    MAJOR: {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11},
    MINOR: {"I": 0, "II": 2, "III": 3, "IV": 5, "V": 7, "VI": 8, "VII": 10},
}
_LOOP_SHARE = 0.4


class Numeral(NamedTuple):
    """A chord above a tonic."""

    root: int
    """Semitones above the tonic, 0 to 11."""
    quality: str


class Progression(NamedTuple):
    """Chords of a key, to be repeated."""

    mode: str
    text: str
    """Roman numerals."""

    @property
    def numerals(self) -> tuple[Numeral, ...]:
        """The chords as semitones above the tonic and qualities."""
        return tuple(numeral(text, self.mode) for text in self.text.split())

    @property
    def identity(self) -> str:
        """The same for the same cycle of chords whatever its key, its tonic and where it begins."""
        chords = self.numerals
        length = next(n for n in range(1, len(chords) + 1) if chords == (chords[:n] * len(chords))[: len(chords)])
        cycle = chords[:length] if len(chords) % length == 0 else chords
        turns = (cycle[i:] + cycle[:i] for i in range(len(cycle)))
        return min(" ".join(f"{(c.root - turn[0].root) % 12}{c.quality}" for c in turn) for turn in turns)

    @property
    def split(self) -> Split:
        """Seven cycles in ten are for training; decided by the identity alone."""
        part = chances.number(f"progression {self.identity}") % 20
        return "train" if part < 14 else "val" if part < 17 else "test"


def numeral(text: str, mode: str) -> Numeral:
    """Reads I, ii7, bVII, viio, Vsus4, Imaj7; minor's III, VI and VII are those of natural minor."""
    flat = text.startswith("b")
    bare = text.removeprefix("b")
    letters = bare[: len(bare) - len(bare.lstrip("IViv"))]
    suffix = bare[len(letters) :]
    scale = _DEGREES[MAJOR if flat else mode]
    third = "min" if letters.islower() else "maj"
    quality = {"": third, "7": "min7" if third == "min" else "7", "maj7": "maj7", "o": "dim", "sus4": "sus4"}[suffix]
    return Numeral((scale[letters.upper()] - flat) % 12, quality)


def draw(chance: random.Random, split: Split) -> Progression:
    """A progression of the split: a loop that is played, or steps of functional harmony."""
    while True:
        mode = chance.choices((MAJOR, MINOR), (6, 4))[0]
        found = _loop(chance, mode) if chance.random() < _LOOP_SHARE else _functional(chance, mode)
        if found.split == split and len(set(found.numerals)) > 1:
            return found


def _loop(chance: random.Random, mode: str) -> Progression:
    return Progression(mode, chance.choice(LOOPS[mode]))


def _functional(chance: random.Random, mode: str) -> Progression:
    """Four, six or eight steps from the tonic, ending where the tonic may follow."""
    colour = COLOURS[chance.choice(tuple(COLOURS))]
    tonic = "I" if mode == MAJOR else "i"
    length = chance.choice((4, 4, 6, 8, 8))
    chords = [tonic]
    while len(chords) < length:
        chords.append(chance.choice(STEPS[mode][chords[-1]].split()))
    if tonic not in STEPS[mode][chords[-1]].split():
        chords[-1] = "V"
    return Progression(mode, " ".join(colour.get(f"{c} of {mode}", colour.get(c, c)) for c in chords))
