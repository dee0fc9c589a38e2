"""How bands play, as tables: the parts of each style and the patterns of each way to play.

A row of a pattern is one bar on a grid of 16 steps (4/4) or 12 (3/4 and 6/8): a letter begins a note, - holds it.
"""

from typing import Literal, NamedTuple

from powermuse.data.render.programs import Role

Way = Literal["pad", "comp", "strum", "arpeggio", "bass", "lead"]


class PartStyle(NamedTuple):
    """A part of a band: its name, who may play it, how."""

    name: str
    roles: tuple[Role, ...]
    way: Way
    low: int
    high: int
    """Register in MIDI pitches."""
    patterns: str = ""
    """A table of BASS_ROWS or COMP_ROWS."""


class Style(NamedTuple):
    """Parts, and how much swing there may be."""

    parts: tuple[PartStyle, ...]
    lead_share: float = 0.0
    swing: tuple[float, float] = (0.5, 0.5)


def _bass(patterns: str) -> PartStyle:
    return PartStyle("bass", ("bass",), "bass", 28, 50, patterns)


_PAD = PartStyle("pad", ("pads", "strings"), "pad", 50, 76)
_ORGAN = PartStyle("chords", ("keys",), "pad", 52, 76)
_STRUM = PartStyle("chords", ("guitar",), "strum", 45, 76, "strum")
_PICKED = PartStyle("arpeggio", ("guitar", "keys"), "arpeggio", 52, 79)
_BELLS = PartStyle("arpeggio", ("mallets", "keys"), "arpeggio", 60, 88)
_BRASS = PartStyle("stab", ("brass",), "comp", 55, 79, "stab")
LEAD = PartStyle("lead", ("leads", "brass"), "lead", 64, 84)

PAD_STYLES: dict[str, Style] = {
    "organ": Style((_bass("whole"), _ORGAN)),
    "keys and pad": Style((_bass("whole"), PartStyle("chords", ("keys", "mallets"), "pad", 52, 76), _PAD)),
    "strings and guitar": Style(
        (PartStyle("chords", ("guitar",), "pad", 50, 74), PartStyle("pad", ("strings",), "pad", 55, 79))
    ),
    "choir and keys": Style(
        (_bass("whole"), PartStyle("pad", ("pads",), "pad", 52, 76), PartStyle("chords", ("keys",), "pad", 57, 81))
    ),
    "brass": Style((_bass("whole"), PartStyle("chords", ("brass", "keys"), "pad", 53, 75))),
}

BAND_STYLES: dict[str, Style] = {
    "pop": Style((_bass("eighths"), _STRUM, _PAD), 0.4),
    "ballad": Style((_bass("slow"), PartStyle("arpeggio", ("keys",), "arpeggio", 48, 76), _PAD), 0.5),
    "funk": Style(
        (_bass("syncopated"), PartStyle("chords", ("guitar", "keys"), "comp", 55, 77, "offbeat"), _BRASS),
        0.3,
        (0.5, 0.57),
    ),
    "jazz": Style(
        (_bass("walking"), PartStyle("chords", ("keys", "mallets"), "comp", 54, 74, "charleston")), 0.6, (0.58, 0.67)
    ),
    "latin": Style((_bass("tresillo"), PartStyle("chords", ("keys", "guitar"), "comp", 55, 79, "montuno")), 0.5),
    "electronic": Style((_bass("offbeat"), PartStyle("arpeggio", ("leads", "mallets"), "arpeggio", 60, 84), _PAD)),
    "folk": Style((_bass("fifths"), _STRUM, _PICKED), 0.5),
    "rock": Style(
        (
            _bass("eighths"),
            PartStyle("chords", ("guitar", "keys"), "comp", 50, 72, "driving"),
            _ORGAN._replace(name="pad"),
        ),
        0.3,
    ),
    "minimal": Style((_bass("slow"), _BELLS, PartStyle("pad", ("strings", "pads", "keys"), "pad", 52, 76))),
    "reggae": Style(
        (_bass("syncopated"), PartStyle("chords", ("keys", "guitar"), "comp", 55, 76, "skank")), 0.4, (0.5, 0.6)
    ),
}

BASS_ROWS: dict[str, dict[int, tuple[str, ...]]] = {
    # R root, 5 fifth, 3 third, 8 octave, A a step below or above the next root
    "whole": {16: ("R---------------",), 12: ("R-----------",)},
    "slow": {16: ("R-------5-------", "R-----------5---", "R-----R-5-------"), 12: ("R-------5---", "R-----5-----")},
    "eighths": {16: ("R-R-R-R-R-R-R-R-", "R-R-R-R-R-R-R-A-", "R---R-R-R---R-5-"), 12: ("R-R-R-R-R-R-", "R---R-R-5-R-")},
    "syncopated": {
        16: ("R--R....R.8.R...", "R..R..R...5.8.A.", "R.R...8..R..R.5."),
        12: ("R..R..8.R...", "R..R..5..R.."),
    },
    "walking": {16: ("R---3---5---A---", "R---5---8---A---", "R---3---5---3---"), 12: ("R---3---A---", "R---5---A---")},
    "tresillo": {
        16: ("R-----5-----8---", "R-----5-R-----5-", "......R-----5---"),
        12: ("R-----5---8-", "R---5-----8-"),
    },
    "offbeat": {16: ("..R-..R-..R-..R-", "R.R.R.R.R.R.R.R.", "..RR..RR..RR..88"), 12: ("..R-..R-..R-", "R.R.R.R.R.R.")},
    "fifths": {16: ("R---....5---....", "R-------5-----A-"), 12: ("R---5---5---", "R-----5-----")},
}
COMP_ROWS: dict[str, dict[int, tuple[str, ...]]] = {
    # X accent, x chord; in strums u is an upward stroke
    "strum": {
        16: ("X---x-u-..u-x-u-", "X---X-u-X---X-u-", "X---x---X---x-u-", "X-xuX-xuX-xuX-xu"),
        12: ("X---x-u-x-u-", "X-x-u-X-x-u-"),
    },
    "stab": {16: ("........X..x....", "X.....x.........", "..........X.X..."), 12: ("......X.....", "X.....x.....")},
    "offbeat": {16: ("..x.x..x..x.x..x", "....x..x....x...", "x..x..x...x.x..."), 12: ("..x...x...x.", "..x..x..x.x.")},
    "charleston": {
        16: ("x-----x---......", "..x---....x-----", "x-----x-....x---", "....x-----x-...."),
        12: ("x-----x---..", "..x-....x---"),
    },
    "montuno": {16: ("x-x.x-x.x-xx-x.x", "X..x..x..x..x.x.", "x.xx.x.xx.x.xx.x"), 12: ("x.xx.xx.xx.x", "X..x..x..x..")},
    "driving": {16: ("X-x-x-x-X-x-x-x-", "X---x-x-....x---", "X-----X---x-X---"), 12: ("X-x-x-X-x-x-", "X-----X---x-")},
    "skank": {16: ("....x.......x...", "..x...x...x...x.", "....x.x.....x.x."), 12: ("....x...x...", "..x...x...x.")},
}
LEAD_ROWS: dict[int, tuple[str, ...]] = {
    16: (
        "x---x-x-x-------",
        "....x-x-x---x---",
        "x-----x-x---....",
        "x-x-x---........",
        "..x-x-x-x---x-x-",
        "x-------....x-x-",
        "x---x---x-x-x---",
        "............x-x-",
    ),
    12: ("x---x-x-x---", "x-------x-x-", "....x-x-x---", "x-----x-----", "x-x-x-......"),
}
ORDERS = ("up", "down", "up and down", "alberti", "skipping")
"""Ways through the tones of an arpeggio."""
