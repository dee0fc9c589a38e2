"""Drum patterns as one would write them down, in families; a family belongs to one split.

A row is one bar or two on the family's grid: X accent, x hit, o soft, g ghost note, ? as often as not, . rest.
"""

from typing import NamedTuple

from powermuse.data.render.programs import Split


class Family(NamedTuple):
    """Patterns of a kind: of each voice one row is taken (an empty one: the voice is silent)."""

    split: Split
    metre: str
    steps: int
    """Of a bar: 16 sixteenths or 12 triplets in 4/4, 12 in 3/4 and 6/8."""
    tempo_bpm: tuple[float, float]
    swing: tuple[float, float]
    """Where the second eighth of a beat falls, see `metres.swung`."""
    voices: dict[str, tuple[str, ...]]


VOICES: dict[str, tuple[int, ...]] = {
    "kick": (36, 35),
    "snare": (38, 40),
    "rim": (37,),
    "clap": (39,),
    "hat": (42,),
    "pedal": (44,),
    "open": (46,),
    "time": (42, 42, 51, 51, 70, 54),  # what keeps the time: hats, ride, maracas, tambourine
    "ride": (51, 59, 53),
    "tom": (45, 47, 48),
    "low_tom": (41, 43),
    "conga": (63, 62, 60),
    "low_conga": (64, 61),
    "clave": (75, 76),
    "bell": (56, 80, 53),
    "shaker": (70, 69, 82),
}
"""General MIDI percussion keys of each voice; a rhythm keeps the one that it drew."""

_STRAIGHT = (0.5, 0.5)
_BACKBEAT = ("....X.......X...", "....X.......X..o", "....X..g.g..X..g", "....X.......X.?.")
_EIGHTHS = ("x.o.x.o.x.o.x.o.", "X.x.X.x.X.x.X.x.", "x.x.x.x.x.x.x.x.")
_SIXTEENTHS = ("xoooxoooxoooxooo", "x.ooxo.ox.ooxoo?", "XoxoXoxoXoxoXoxo")
_OFFBEAT = ("..x...x...x...x.", "..X...X...X...X.")

FAMILIES: dict[str, Family] = {
    "rock": Family("train", "4/4", 16, (90, 150), _STRAIGHT, {
        "kick": ("X.......X.......", "X.....x.X.......", "X.x.....X.x.....", "X.......X.x...?.", "X..x..x...x....."),
        "snare": _BACKBEAT,
        "time": (*_EIGHTHS, "X...x...X...x..."),
        "open": ("", "", "..............?.", "......x........."),
    }),
    "pop_sixteenths": Family("train", "4/4", 16, (72, 110), (0.5, 0.56), {
        "kick": ("X..x....x.?.....", "X.....x..x......", "X.x....x..x.....", "X......xX......."),
        "snare": _BACKBEAT,
        "time": _SIXTEENTHS,
        "shaker": ("", "", "..o...o...o...o."),
    }),
    "funk": Family("train", "4/4", 16, (88, 118), (0.5, 0.58), {
        "kick": ("X.x....x..x..x..", "X..x..x...x....?", "X.x.......xx.x..", "X......x.xx....."),
        "snare": ("....X..g.g..X...", ".g..X..g.gg.X..g", "....X..x.x..X...", "....X.g.g...?.X."),
        "time": (*_SIXTEENTHS, *_EIGHTHS),
        "open": ("", "..............x.", "......x........."),
    }),
    "bossa": Family("train", "4/4", 16, (60, 84), _STRAIGHT, {
        "kick": ("X..xX..xX..xX..x", "x..xx..xx..xx..x"),
        "rim": ("x..x..x...x..x..", "..x...x.x..x...x", "x..x...x..x..x.."),
        "time": ("xoxoxoxoxoxoxoxo", "x.o.x.o.x.o.x.o."),
    }),
    "tresillo": Family("train", "4/4", 16, (84, 108), _STRAIGHT, {
        "kick": ("X...X...X...X...", "X.......X......."),
        "snare": ("...x..x....x..x.", "...X..X....X..X."),
        "time": ("x.x.x.x.x.x.x.x.", "xoxoxoxoxoxoxoxo", ""),
        "conga": ("", "..o..o..?.o..o.x"),
    }),
    "half_time": Family("train", "4/4", 16, (120, 160), _STRAIGHT, {
        "kick": ("X.....x.....x...", "X..........x....", "X..x......x.....", "X......x....?..."),
        "snare": ("........X.......", "........X......g", "........X....?.."),
        "hat": ("x.x.x.x.x.x.x.x.", "x.x.xxx.x.x.x.xx", "x...x...x...x..."),
        "clap": ("", "........x......."),
    }),
    "breakbeat": Family("train", "4/4", 16, (92, 140), (0.5, 0.57), {
        "kick": ("X.X.......XX....", "X..x......x..x..", "X.x....?..x....."),
        "snare": ("....X..g.g..X..g", "....X..x.x....X.", "....X..g.x..?.X."),
        "time": (*_EIGHTHS, "x.xxx.x.x.xxx.x."),
    }),
    "house": Family("train", "4/4", 16, (116, 130), (0.5, 0.56), {
        "kick": ("X...X...X...X...", "X...X...X...X.?."),
        "clap": ("....X.......X...", ""),
        "open": _OFFBEAT,
        "hat": ("x.x.x.x.x.x.x.x.", "xoxoxoxoxoxoxoxo", ""),
        "conga": ("", "", "..x..x.x..x..x.."),
    }),
    "shuffle": Family("train", "4/4", 12, (84, 140), _STRAIGHT, {
        "kick": ("X.....X.....", "X....xX.....", "X....xX...?."),
        "snare": ("...X.....X..", "...X..g..X.g", "...X.....X.?"),
        "time": ("x.xx.xx.xx.x", "X.oX.oX.oX.o", "x..x.xx..x.x"),
    }),
    "swing": Family("train", "4/4", 12, (100, 176), _STRAIGHT, {
        "kick": ("X..x..x..x..", "x.....x....."),
        "ride": ("x..x.xx..x.x", "X..x.oX..x.o", "x.ox.xx.ox.x"),
        "pedal": ("...x.....x..",),
        "snare": ("", "..........o.", ".....g.....o", "..o.....g..."),
    }),
    "sparse": Family("train", "4/4", 16, (76, 116), _STRAIGHT, {
        "kick": ("X.......?.......", "X.........x.....", "X..............."),
        "rim": ("............X...", "....x.......x...", "........X......."),
        "time": ("x...x...x...x...", "..x...x...x...x.", "x.......x......."),
    }),
    "waltz": Family("train", "3/4", 12, (84, 180), (0.5, 0.6), {
        "kick": ("X...........", "X.........?."),
        "snare": ("....x...x...", "........X...", "....X...x.g."),
        "time": ("x...x...x...", "x.o.x.o.x.o.", "..x...x...x."),
    }),
    "six_eight": Family("train", "6/8", 12, (46, 80), _STRAIGHT, {
        "kick": ("X.....?...x.", "X.........x.", "X..........."),
        "snare": ("......X.....", "......X..g.g"),
        "time": ("x.o.o.x.o.o.", "x.x.x.x.x.x.", "xoxoxoxoxoxo"),
    }),
    "euclid": Family("train", "4/4", 16, (80, 140), (0.5, 0.6), {}),
    "motorik": Family("val", "4/4", 16, (128, 160), _STRAIGHT, {
        "kick": ("X.x.X.x.X.x.X.x.", "X...X.x.X...X.x."),
        "snare": ("....X.......X...", "....X...g...X..."),
        "time": ("x.x.x.x.x.x.x.x.", "xxxxxxxxxxxxxxxx", "X.x.X.x.X.x.X.x."),
    }),
    "samba": Family("val", "4/4", 16, (84, 112), _STRAIGHT, {
        "kick": ("x..oX..ox..oX..o", "x..oX...x..oX..."),
        "low_tom": ("....X.......X...",),
        "shaker": ("XooXXooXXooXXooX", "xoxxxoxxxoxxxoxx"),
        "clave": ("x.x.x..x.x.x..x.", "x..x..x.x.x..x.."),
    }),
    "garage": Family("val", "4/4", 16, (124, 136), (0.54, 0.64), {
        "kick": ("X.........x.....", "X......x..x.....", "X.........?..x.."),
        "snare": ("....X.......X...", "....X..g....X..g"),
        "hat": ("..x...x...x...x.", "..x..xx...x..xx."),
        "shaker": ("", "xoxoxoxoxoxoxoxo"),
    }),
    "half_shuffle": Family("val", "4/4", 12, (84, 112), _STRAIGHT, {
        "kick": ("X....x....x.", "X.x.......x."),
        "snare": (".g..g.X.g.g.", "......X....g"),
        "hat": ("x.xx.xx.xx.x", "X.oX.oX.oX.o"),
    }),
    "jazz_waltz": Family("val", "3/4", 12, (110, 180), (0.58, 0.67), {
        "kick": ("X...........", "x.........o."),
        "ride": ("x...x.x.x...", "x...x.x.x.x."),
        "pedal": ("....x.......", "....x...x..."),
        "snare": ("", "......o.....", "..........g."),
    }),
    "slow_six": Family("val", "6/8", 12, (44, 72), _STRAIGHT, {
        "kick": ("X....x......", "X...x...x..."),
        "snare": ("......X.....", "......X...o."),
        "hat": ("x.xxx.x.xxx.", "xxxxxxxxxxxx", "x...x.x...x."),
    }),
    "disco": Family("test", "4/4", 16, (108, 128), _STRAIGHT, {
        "kick": ("X...X...X...X...",),
        "snare": ("....X.......X...", "....X.......X..x"),
        "hat": ("xo.oxo.oxo.oxo.o", "x...x...x...x..."),
        "open": ("..x...x...x...x.",),
        "conga": ("", "x..x..x.x..x..x."),
    }),
    "chacha": Family("test", "4/4", 16, (104, 132), _STRAIGHT, {
        "kick": ("X.....x.X.....x.", "......x.......x."),
        "bell": ("X...x...X...x...", "X.x.x.x.X.x.x.x."),
        "conga": ("..o.X...o.o.X.x.", "....X.......X.x."),
        "shaker": ("x.oox.oox.oox.oo", "x.o.x.o.x.o.x.o."),
    }),
    "jungle": Family("test", "4/4", 16, (150, 172), _STRAIGHT, {
        "kick": ("X.........X.....", "X.X.......X.....", "X.........x..x.."),
        "snare": ("....X..g.x..X..g", "....X.......X...", "....X..x.x....X."),
        "time": ("x.x.x.x.x.x.x.x.", "x.xxx.x.x.x.x.xx"),
    }),
    "train_beat": Family("test", "4/4", 16, (90, 124), _STRAIGHT, {
        "kick": ("X.......X.......", "X...x...X...x..."),
        "snare": ("goXogoXogoXogoXo", "ooXoooXoooXoooXx"),
        "pedal": ("....x.......x...", ""),
    }),
    "mazurka": Family("test", "3/4", 12, (96, 168), _STRAIGHT, {
        "kick": ("X...........", "X.....x....."),
        "snare": ("....X...o...", "....o...X.x.", "..o.X...X..."),
        "ride": ("x...x...x...", "x.o.x...x.o."),
        "shaker": ("", "..x...x...x."),
    }),
    "afro_six": Family("test", "6/8", 12, (60, 96), _STRAIGHT, {
        "kick": ("X.....X.....", "X...x.....x."),
        "bell": ("x.x.xx.x.x.x", "x.x..x.x..x."),
        "conga": ("..oo..x.oo..", "....x.....xx"),
        "low_conga": ("x.....x.....", ""),
        "rim": ("", "......X....."),
    }),
}  # fmt: skip

FILLS = (
    "snare:xxxxxXxX",
    "snare:xx.xx.xX",
    "tom:xx......|low_tom:....xx..|snare:..xx..xX",
    "snare:x.x.....|tom:....xx..|low_tom:......xX",
    "kick:x..x..x.|snare:.xx.xx.X",
    "open:X.......|kick:X.......|snare:....xxxx",
    "clap:..x..x.X|kick:x...x...",
)
"""Half bars of eight steps, squeezed into the last half of a bar."""
