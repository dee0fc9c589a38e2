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
        "leads": (73, 80),  # flute, square
    },
    "train-b": {
        "bass": (33, 43),  # fingered, contrabass
        "keys": (2, 7, 18),  # electric grand, clavinet, rock organ
        "guitar": (27, 105),  # clean, banjo
        "pads": (90, 50),  # polysynth, synthetic strings
        "strings": (49,),  # slow ensemble
        "mallets": (12,),  # marimba
        "brass": (62, 71),  # synthetic brass, clarinet
        "leads": (81, 40),  # saw, violin
    },
    "train-c": {
        "bass": (36, 38),  # slapped, synthetic
        "keys": (3, 20, 21),  # honky-tonk, reed organ, accordion
        "guitar": (28, 106),  # muted, shamisen
        "pads": (91, 54),  # choir pad, synthetic voice
        "strings": (44,),  # tremolo
        "mallets": (10,),  # music box
        "brass": (60, 57),  # horn, trombone
        "leads": (82, 56),  # calliope, trumpet
    },
    "val": {
        "bass": (34, 37),  # picked, slapped
        "keys": (1, 17, 23),  # bright grand, percussive organ, bandoneon
        "guitar": (26, 15),  # jazz, dulcimer
        "pads": (88, 53),  # new age, voice
        "strings": (41,),  # viola
        "mallets": (13, 108),  # xylophone, kalimba
        "brass": (63, 64),  # synthetic brass, soprano saxophone
        "leads": (75, 85),  # pan flute, voice
    },
    "test": {
        "bass": (35, 39),  # fretless, synthetic
        "keys": (5, 6, 19),  # electric piano, harpsichord, church organ
        "guitar": (25, 107),  # steel, koto
        "pads": (95, 51),  # sweep, synthetic strings
        "strings": (42,),  # cello
        "mallets": (8, 114),  # celesta, steel drums
        "brass": (59, 65),  # muted trumpet, alto saxophone
        "leads": (79, 84),  # ocarina, charang
    },
}

KITS: dict[Split, tuple[int, ...]] = {"train": (8, 16), "val": (24,), "test": (25,)}
"""Drum kits beside the standard one, 0, which every font has and all splits use."""
_STANDARD_KIT_SHARE = 0.75


def sets_of(split: Split) -> tuple[str, ...]:
    """The names of the program sets that a split may use."""
    return tuple(name for name in SETS if name.split("-")[0] == split)


def draw_kit(chance: random.Random, split: Split) -> int:
    """A drum kit: the standard one three times in four."""
    return 0 if chance.random() < _STANDARD_KIT_SHARE else chance.choice(KITS[split])
