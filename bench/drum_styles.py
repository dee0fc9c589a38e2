"""Drum patterns of many musics, written down from what drummers' books teach of each; none is a file's. The net of
`powermuse.audio.beatnet` learns of them where a bar begins whose first beat no bass drum strikes: by a conga's open
strokes before it, by claps on two and four, by a cymbal (`bench/metres.py`).

Rows as in `powermuse.data.render.patterns`; none of the families of the val and test splits, ours or mma's, is here."""

from powermuse.data.render.patterns import Family

_TUMBAO = ("o.o.X.o.o.o.x.x.", "o.x.X.o.x.o.x.xx", "....X.......x.x.", "....X..xx...x.x.")
"""Slap on two, open strokes on four and after it."""
_MARTILLO = ("X.o.x.o.X.o.x.o.", "Xooox.o.Xooox.o.")
_CLAVES = (
    "x.....x.....x.......x...x.......",
    "....x...x.......x.....x.....x...",
    "x.....x.......x.....x...x.......",
    "x..x...x..x.x...",
)


def _four(tempo: tuple[float, float], swing: tuple[float, float] = (0.5, 0.5), **voices: tuple[str, ...]) -> Family:
    return Family("train", "4/4", 16, tempo, swing, voices)


def _triplets(tempo: tuple[float, float], **voices: tuple[str, ...]) -> Family:
    return Family("train", "4/4", 12, tempo, (0.5, 0.5), voices)


def _three(tempo: tuple[float, float], swing: tuple[float, float] = (0.5, 0.5), **voices: tuple[str, ...]) -> Family:
    return Family("train", "3/4", 12, tempo, swing, voices)


def _six(tempo: tuple[float, float], **voices: tuple[str, ...]) -> Family:
    return Family("train", "6/8", 12, tempo, (0.5, 0.5), voices)


STYLES: dict[str, Family] = {
    "ride and brushes": _triplets(
        (90, 180),
        ride=("X..x.xX..x.x", "x..X.xx..X.x", "x..x..x..x.x", "x..x.xx..x.."),
        pedal=("...x.....x..", "...X.....X..", ""),
        snare=("", "o..o.oo..o.o", "...x.....x..", ".....o......", "...........o"),
        kick=("", "", "o..o..o..o..", "x...........", "x.....x....."),
    ),
    "two beat": _triplets(
        (90, 180),
        kick=("x.....x.....", "X.....X.....", ""),
        pedal=("...x.....x..", "...X.....X.."),
        snare=("...x.ox..x.o", "...x.....x..", "o..x.oo..x.o"),
    ),
    "shuffled blues": _triplets(
        (60, 132),
        kick=("X.....X.....", "X....xX.....", "x..x..x..x..", "X.....X....x"),
        snare=("...X.....X..", "...X.....X.o", "..oX..o..X.."),
        time=("xxxxxxxxxxxx", "x.xx.xx.xx.x", "xooxooxooxoo", "..x..x..x..x"),
    ),
    "slow triplets": _triplets(
        (60, 84),
        kick=("X.....X.....", "X....xX.....", "X.........x.", "X...........", ""),
        rim=("...X.....X..", "......X.....", "...X.....X.."),
        time=("XooXooXooXoo", "xxxxxxxxxxxx", "x..x..x..x.."),
    ),
    "charleston": _four(
        (100, 180),
        (0.5, 0.62),
        kick=("X.....x.........", "X.....x.X.......", "X.......X......."),
        snare=("....X.......X...", "....x.......x.x.", ""),
        hat=("x.x.x.x.x.x.x.x.", "x...x.x.x...x.x.", "..x...x...x...x."),
    ),
    "boom and chick": _four(
        (84, 150),
        kick=("X.......X.......", "X.......X.....x.", "X.......x......."),
        rim=("....X.......X...", "....x..o....x..o"),
        time=("x.x.x.x.x.x.x.x.", "xoxoxoxoxoxoxoxo", "..x...x...x...x.", ""),
    ),
    "tambourine folk": _four(
        (76, 132),
        kick=("X...............", "X.......X.......", "X.........x.....", ""),
        shaker=("xoXoxoXoxoXoxoXo", "x.X.x.X.x.X.x.X.", "XoooXoooXoooXooo"),
        clap=("....X.......X...", "............X...", ""),
        low_tom=("", "X.......x.......", "X..x..x.X..x..x."),
    ),
    "four on the snare": _four(
        (96, 140),
        snare=("X...X...X...X...", "x...X...x...X...", "X...X...X...X.X."),
        kick=("X.....x.X.x.....", "X.......x.......", "X..x....X.......", "x.x...x.x.x...x."),
        shaker=("", "..x...x...x...x.", "xoxoxoxoxoxoxoxo"),
    ),
    "d-beat": _four(
        (76, 110),
        kick=("X.x...x.X.x...x.", "X.x..xx.X.x..xx.", "X.x...xxX.x...x."),
        snare=("....X.......X...", "....X......xX..."),
        hat=("X.x.X.x.X.x.X.x.", "X...X...X...X..."),
    ),
    "double time": _four(
        (80, 110),
        kick=("X...X...X...X...", "X..xX...X.x.X...", "X...X.x.X...X..."),
        snare=("..X...X...X...X.", "..X...X...X...Xx"),
        hat=("X.X.X.X.X.X.X.X.", "x...x...x...x..."),
    ),
    "machine": _four(
        (118, 150),
        kick=("X...X...X...X...",),
        open=("..X...X...X...X.", "..x...x...x...x."),
        clap=("............X...", "....X.......X...", "......x.........", ""),
        low_tom=("...........x..x.", "......x..x......", "..............x.", ""),
        time=("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx", ""),
    ),
    "broken machine": _four(
        (118, 140),
        kick=("X......x..X.....", "X..x......X..x..", "X.....X...X....."),
        snare=("....X.......X...", "....X.......X..x"),
        hat=("..x...x...x...x.", "x.xxx.xxx.xxx.xx", "..X..xX...X..xX."),
        rim=("", ".......x.....x..", "...x..x........."),
    ),
    "march": _four(
        (96, 130),
        kick=("X.......X.......", "X...X...X...X...", "X...X...X...X.X."),
        snare=("X.xxX.x.X.xxX.xx", "X...x.xxX...x.x.", "x.ooX.ooxooox.X.", "..xx..xx..xx..xx"),
        bell=("", "X...............", "....x.......x..."),
    ),
    "habanera": _four(
        (60, 120),
        kick=("X.....x.X...x...", "X.....X.....X...", "X.....x.X.......", ""),
        snare=("X.....x.X...x...", "x...x...x...x.xx", "X..xx...X..xx.x."),
        rim=("", "....x.......x..."),
        time=("", "x.x.x.x.x.x.x.x."),
    ),
    "soca": _four(
        (104, 160),
        kick=("X...X...X...X...", "X.......X......."),
        snare=("...x..x....x..x.", "...X..X....X..Xx", "......x.......x."),
        bell=("..x...x...x...x.", "x..x..x.x..x..x.", ""),
    ),
    "salsa": _four(
        (84, 116),
        conga=_TUMBAO,
        clave=_CLAVES,
        bell=("X...x...X...x...", "X.x.x.x.X.xxx.x.", "x.x.xx.xx.xx.x.x", ""),
        kick=("", "......x.......x.", "......x.....x..."),
    ),
    "bolero": _four(
        (64, 100),
        conga=("....o.......x.x.", "x.o.x.o.x.o.X.X.", "..o.X.o...o.X.X."),
        clave=("", "x.....x.....x...", "X...xxxxX...x..."),
        shaker=("x.oox.oox.oox.oo", "x.x.x.x.x.x.x.x.", "X.xxX.x.X.x.X.x."),
        low_conga=("", "............X...", "x.............x."),
    ),
    "rhumba": _four(
        (84, 124),
        clave=_CLAVES,
        conga=("X.o.x.o.X.o.x.o.", "o.o.X.o.o.o.X.X.", "..x..x....x..xx."),
        low_conga=("............X...", "............X.X.", "......X.....X...", ""),
        shaker=("x.x.x.x.x.x.x.x.", "XoxoXoxoXoxoXoxo", ""),
    ),
    "beguine": _four(
        (88, 124),
        conga=("x.X.x...x.x.x.x.", "x.X...x.x...x.x.", "....X.......x.x."),
        rim=("x.....x...x.x...", "......x.....x...", ""),
        shaker=("x.xxx.x.x.x.x.x.", "x.x.x.x.x.x.x.x."),
        kick=("", "x.....x.x.......", "X.......X......."),
    ),
    "martillo": _four(
        (80, 126),
        conga=_MARTILLO,
        low_conga=("............X...", "............X.x."),
        clave=(*_CLAVES, ""),
        kick=("", "......x.......x.", "X..............."),
    ),
    "cumbia": _four(
        (84, 110),
        shaker=("X.oxX.oxX.oxX.ox", "x.xxx.xxx.xxx.xx"),
        kick=("X.......X.......", "X.....x.X.....x."),
        conga=("......xx......xx", "..x...xx..x...xx", "....x...x...x.xx"),
        bell=("X...X...X...X...", "x...x.x.x...x.x.", ""),
        low_tom=("", "............x.x."),
    ),
    "baiao": _four(
        (92, 124),
        kick=("X.....x.........", "X.....x.......x.", "X..x....X..x...."),
        rim=("....x.......x.x.", "......x.....x...", ""),
        bell=("xoXoxoXoxoXoxoXo", "o.X.o.X.o.X.o.X.", "x..x..x.x..x..x."),
    ),
    "afrobeat": _four(
        (92, 128),
        kick=("x.....x...x..x..", "X..x......X..x..", "x..x..x...x....."),
        snare=("....x..x....x..x", ".......x..x..x..", "....X.......X..o"),
        hat=("x.xxx.xxx.xxx.xx", "x.x.x.x.x.x.x.x."),
        bell=("x.x.x..x.x..x...", "x...x...x.x.x...", ""),
    ),
    "washboard": _four(
        (100, 150),
        (0.5, 0.6),
        shaker=("XooXooXoXooXooXo", "XoxxXoxxXoxxXoxx", "xoXoxoXoxoXoxoXo"),
        kick=("X.......X.......", "X...X...X...X...", ""),
        snare=("....X.......X...", "....x..x....x..x", "..x...x...x...x."),
    ),
    "ballad": _four(
        (60, 84),
        kick=("X......xX.......", "X.........x.....", "X.....x.........", "X..............."),
        rim=("....X.......X...", "............X...", "........X......."),
        time=("x.x.x.x.x.x.x.x.", "xoxoxoxoxoxoxoxo", "x...x...x...x...", "XoooxoooXoooxooo"),
    ),
    "funk without a one": _four(
        (84, 116),
        (0.5, 0.56),
        kick=("..x....x..x..x..", "...x..x...x....x", "..X.......X..x.."),
        snare=("....X..g.g..X...", "....X.......X...", "....X..x....X.x."),
        time=("xoxoxoxoxoxoxoxo", "x.x.x.x.x.x.x.x.", "x.xxx.x.x.xxx.x."),
    ),
    "ballroom waltz": _three(
        (84, 190),
        kick=("X...........", "X.......x...", ""),
        snare=("....x...x...", "....X...x...", "....x...X..."),
        ride=("X...........", "x...x...x...", ""),
        shaker=("", "....x...x...", "X...x...x..."),
    ),
    "slow waltz": _three(
        (72, 120),
        kick=("X...........", "X.....x.....", "X.........x."),
        rim=("........X...", "....x...x...", "....X......."),
        time=("x.x.x.x.x.x.", "x.o.x.o.x.o.", "xoxoxoxoxoxo"),
    ),
    "tambourine waltz": _three(
        (90, 180),
        (0.5, 0.62),
        low_tom=("X...........", "X.........x.", ""),
        shaker=("x.o.X.o.X.o.", "..x.X.x.X.x.", "x...X...X..."),
        snare=("", "....x.x.x...", "........x.x."),
    ),
    "three with a ride": _three(
        (80, 150),
        kick=("X.......x...", "X.....x.....", "X..x........"),
        snare=("....X.......", "........X...", "....X...X..."),
        hat=("x.x.x.x.x.x.", "x.xxx.xxx.xx", "X.x.x.x.x.x."),
    ),
    "six ballad": _six(
        (44, 76),
        kick=("X.......x...", "X.........xx", "X...........", "X...x......."),
        snare=("......X.....", "......X....o"),
        time=("x.x.x.x.x.x.", "X.x.x.X.x.x.", "xoxoxoXoxoxo"),
    ),
    "six without a kick": _six(
        (46, 84),
        rim=("......X.....", "......x...x."),
        time=("X.o.o.X.o.o.", "x.x.x.x.x.x.", "X.x.x.x.x.x."),
        low_tom=("", "X...........", "X.........x."),
        shaker=("", "xoxoxoxoxoxo"),
    ),
    "jig": _six(
        (84, 110),
        low_tom=("X...x.X...x.", "X.x.x.X.x.x.", "X.....X...x."),
        shaker=("", "X.x.x.X.x.x.", "..x.x...x.x."),
        snare=("", "....x.....x.", "X.xxx.X.x.x."),
    ),
    "tarantella": _six(
        (80, 110),
        shaker=("X.xxX.X.xxX.", "X.x.X.X.x.X.", "X.o.x.X.o.x."),
        kick=("X.....x.....", "X...........", ""),
        clap=("", "......x.....", "....x.....x."),
    ),
}
