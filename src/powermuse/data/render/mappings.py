"""Ways to orchestrate drums, as tables: what each kind of stroke makes an orchestra play."""

import functools
from collections.abc import Iterable
from typing import Literal, NamedTuple

Kind = Literal["kick", "snare", "tom", "hat", "cymbal", "perc"]
Lane = Literal["bass", "chords", "line"]
Play = Literal["root", "octaves", "low dyad", "high dyad", "triad", "voicing", "full", "top", "next", "descent"]

KINDS: dict[Kind, tuple[int, ...]] = {
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "tom": (41, 43, 45, 47, 48, 50, 60, 61, 62, 63, 64, 65, 66),
    "cymbal": (46, 49, 52, 55, 57),
    "hat": (42, 44, 51, 53, 59),
}
"""Percussion keys of each kind; all others are `perc`."""
LOUDNESS: dict[Kind, float] = {"kick": 1.0, "snare": 1.15, "tom": 0.8, "cymbal": 0.65, "hat": 0.5, "perc": 0.55}
"""How an answer's velocity relates to its drum's."""
GHOST = 40
"""Drum hits below this velocity need no answer."""


class Gesture(NamedTuple):
    """One answer to a stroke; a lane's next answer ends it."""

    lane: Lane
    play: Play
    hold_s: float


class Mapping(NamedTuple):
    """Answers by kind of stroke. Where `states`, a chord's first stroke of any kind states it: bass and voicing."""

    answers: dict[Kind, tuple[Gesture, ...]]
    states: bool = True
    order: str = "up"
    """In which `next` goes through the tones of a line."""


_LONG = 8.0
_ROOT = Gesture("bass", "root", _LONG)
_SHORT_ROOT = Gesture("bass", "root", 0.4)
_NEXT = Gesture("line", "next", 0.5)
_TOP = Gesture("line", "top", 0.12)
_HELD = Gesture("chords", "voicing", _LONG)
_FULL = Gesture("chords", "full", _LONG)
_STAB = Gesture("chords", "full", 0.3)
_DYAD = Gesture("chords", "low dyad", 1.0)
_HIGH_DYAD = Gesture("chords", "high dyad", 0.25)

MAPPINGS: dict[str, Mapping] = {
    "dyads and stabs": Mapping({
        "kick": (_ROOT, _DYAD), "snare": (_STAB,), "tom": (_DYAD,), "hat": (_NEXT,), "cymbal": (_STAB, _NEXT),
        "perc": (_NEXT,),
    }, order="skipping"),
    "arpeggio": Mapping({
        "kick": (_ROOT, _NEXT), "snare": (Gesture("chords", "full", 0.9), _NEXT), "tom": (_NEXT,), "hat": (_NEXT,),
        "cymbal": (_ROOT, _NEXT), "perc": (_NEXT,),
    }, order="up and down"),
    "blocks": Mapping({
        "kick": (_ROOT, _HELD), "snare": (_FULL,), "tom": (Gesture("chords", "triad", _LONG),), "hat": (_TOP,),
        "cymbal": (_HELD,), "perc": (_TOP,),
    }),
    "held voices": Mapping({
        "kick": (_ROOT,), "snare": (_FULL,), "tom": (Gesture("line", "descent", 0.4),), "hat": (_TOP,),
        "cymbal": (_HELD,), "perc": (_TOP,),
    }),
    "broken chord": Mapping({
        "kick": (_ROOT, Gesture("line", "next", 1.2)),
        "snare": (Gesture("line", "next", 1.2), Gesture("chords", "full", 1.0)),
        "tom": (Gesture("line", "next", 1.2),), "hat": (Gesture("line", "next", 1.2),),
        "cymbal": (Gesture("line", "next", 1.2), _DYAD), "perc": (Gesture("line", "next", 1.2),),
    }, order="up"),
    "octaves and offbeats": Mapping({
        "kick": (Gesture("bass", "octaves", 0.8),),
        "snare": (Gesture("chords", "full", 0.6), Gesture("bass", "root", 0.6)),
        "tom": (_SHORT_ROOT,), "hat": (_HIGH_DYAD,),
        "cymbal": (Gesture("chords", "voicing", 0.9),), "perc": (_HIGH_DYAD,),
    }),
    "hocket": Mapping({
        "kick": (_ROOT,), "snare": (Gesture("chords", "full", 0.35), _SHORT_ROOT),
        "tom": (Gesture("line", "descent", 0.6),),
        "hat": (Gesture("line", "next", 0.3),), "cymbal": (Gesture("chords", "triad", _LONG),), "perc": (_HIGH_DYAD,),
    }, order="alberti"),
    "chorale and bells": Mapping({
        "kick": (_ROOT, Gesture("chords", "triad", _LONG)),
        "snare": (_FULL, Gesture("line", "top", 0.8)),
        "tom": (Gesture("chords", "low dyad", _LONG),), "hat": (Gesture("line", "next", 0.8),),
        "cymbal": (Gesture("line", "top", 1.5), _HELD), "perc": (Gesture("line", "next", 0.8),),
    }, order="down"),
}  # fmt: skip


_STAND_INS: tuple[tuple[Kind, tuple[Kind, ...]], ...] = (
    ("kick", ("tom", "perc", "hat")),
    ("snare", ("perc", "tom", "cymbal", "hat")),
)


def stand_ins(kinds: set[Kind]) -> dict[Kind, Kind]:
    """What plays the part of the kick where drums have none, and of the snare; one kind is always left as it is."""
    found: dict[Kind, Kind] = {}
    for missing, others in _STAND_INS:
        free = [kind for kind in others if kind in kinds and kind not in found]
        if missing not in kinds and len(kinds - set(found)) > 1 and free:
            found[free[0]] = missing
    return found


def answerable(keys: Iterable[int]) -> bool:
    """Whether drums have strokes of two kinds, among them kicks, snares or toms: else all mappings would be alike."""
    kinds = {kind_of(key) for key in keys}
    return len(kinds) > 1 and bool(kinds & {"kick", "snare", "tom"})


@functools.cache
def kind_of(key: int) -> Kind:
    """What kind of stroke a percussion key is."""
    return next((kind for kind, keys in KINDS.items() if key in keys), "perc")
