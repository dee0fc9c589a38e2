"""Instruments: General MIDI programs by role, in sets of which no two share a program."""

import random
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Role = Literal["bass", "keys", "guitar", "pads", "strings", "mallets", "brass", "leads"]

SETS: dict[str, dict[Role, tuple[int, ...]]] = {
    "train-a": {
        "bass": (32, 87),  # acoustic; bass and lead
        "keys": (0, 4, 16),  # grand, electric piano, drawbar organ
        "guitar": (24, 46),  # nylon, harp
        "pads": (89, 52),  # warm, choir
        "strings": (48,),  # ensemble
        "mallets": (11,),  # vibraphone
        "brass": (61, 66),  # section, tenor saxophone
        "leads": (80, 83),  # square, chiff
    },
    "train-b": {
        "bass": (33, 58),  # fingered, tuba
        "keys": (2, 7),  # electric grand, clavinet
        "guitar": (27, 105),  # clean, banjo
        "pads": (90, 50),  # polysynth, synthetic strings
        "strings": (49,),  # slow ensemble
        "mallets": (12,),  # marimba
        "brass": (62, 71),  # synthetic brass, clarinet
        "leads": (81, 104),  # saw, sitar
    },
    "train-c": {
        "bass": (36, 38),  # slapped, synthetic
        "keys": (3, 18),  # honky-tonk, rock organ
        "guitar": (28, 106),  # muted, shamisen
        "pads": (91, 54, 21),  # choir pad, synthetic voice, accordion
        "strings": (44,),  # tremolo
        "mallets": (10,),  # music box
        "brass": (57, 69),  # trombone, English horn
        "leads": (82, 56),  # calliope, trumpet
    },
    "val": {
        "bass": (34, 37),  # picked, slapped
        "keys": (1, 17),  # bright grand, percussive organ
        "guitar": (26, 15),  # jazz, dulcimer
        "pads": (88, 53, 23),  # new age, voice, bandoneon
        "strings": (41,),  # viola
        "mallets": (13, 108),  # xylophone, kalimba
        "brass": (64, 22),  # soprano saxophone, harmonica
        "leads": (75, 67),  # pan flute, baritone saxophone
    },
    "test": {
        "bass": (35, 39),  # fretless, synthetic
        "keys": (5, 6),  # electric piano, harpsichord
        "guitar": (25, 107),  # steel, koto
        "pads": (95, 51, 19),  # sweep, synthetic strings, church organ
        "strings": (42,),  # cello
        "mallets": (8, 114),  # celesta, steel drums
        "brass": (59, 65),  # muted trumpet, alto saxophone
        "leads": (79, 84),  # ocarina, charang
    },
}
"""Whatever swells where it should strike is among pads and strings, which no truth relies on for its onsets."""

KITS: dict[Split, tuple[int, ...]] = {"train": (8, 16), "val": (24,), "test": (25,)}
"""Drum kits beside the standard one, 0, which every font has and all splits use."""
_STANDARD_KIT_SHARE = 0.75


def sets_of(split: Split) -> tuple[str, ...]:
    """The names of the program sets that a split may use."""
    return tuple(name for name in SETS if name.split("-")[0] == split)


def draw_kit(chance: random.Random, split: Split) -> int:
    """A drum kit: the standard one three times in four."""
    return 0 if chance.random() < _STANDARD_KIT_SHARE else chance.choice(KITS[split])
