"""Renders triplets whose rhythms are of none of the families that the composer learns of: metre, feel, backbeat and
what keeps the time are drawn by chance, or they are of the styles of `drum_styles`. The net of
`powermuse.audio.beatnet` learns of them what `patterns.FAMILIES` have little of: bars of three, bars of six, half time,
triplets, bars whose first beat is told by what surrounds it (`bench/align.py`).

    python bench/metres.py OUT --triplets 2560
    python bench/metres.py OUT --triplets 2560 --styles 1"""

import argparse
import random
from dataclasses import dataclass
from functools import partial

from drum_styles import STYLES

from powermuse.data.render import rhythms, triplets
from powermuse.data.render.metres import METRES, Metre
from powermuse.data.render.patterns import Family
from powermuse.data.render.plan import Plan
from powermuse.data.render.programs import Split
from powermuse.data.render.rhythms import Rhythm
from powermuse.data.render.score import TripletScore
from powermuse.data.render.sources import OWN, Sources
from powermuse.data.render.store import render
from powermuse.terminal import progress

_FEELS = {("4/4", 16): 0.35, ("4/4", 12): 0.15, ("3/4", 12): 0.25, ("6/8", 12): 0.25}
"""Metres and steps of a bar, and how often each is drawn."""
_BACKBEATS: dict[str, tuple[tuple[int, ...], ...]] = {
    "4/4": ((1, 3), (1, 3), (1, 3), (2,), (2,), (3,), ()),
    "3/4": ((1, 2), (1, 2), (2,), (1,), ()),
    "6/8": ((1,), (1,), (1,), ()),
}
"""Beats of a bar that the snare strikes."""
_PERCUSSION = ("conga", "low_conga", "clave", "bell", "shaker", "low_tom", "open")


@dataclass(frozen=True)
class AnyMetre(Sources):
    """Invented rhythms, and some of the styles, in the place of those of the split."""

    styles: float = 0.0
    """The share of rhythms that are of the styles."""

    def rhythm(self, chance: random.Random, metre: Metre | None = None) -> Rhythm:
        """One of a family that is invented for it, or of a style of the metre."""
        if self.styles and chance.random() < self.styles:
            names = [name for name, style in STYLES.items() if metre is None or style.metre == metre.name]
            name = chance.choice(names)
            return rhythms.of_family(chance, f"invented: {name}", STYLES[name])
        return rhythms.of_family(chance, "invented", invented(chance, metre))


def invented(chance: random.Random, metre: Metre | None) -> Family:
    """A family of one row for each voice."""
    feels = {feel: often for feel, often in _FEELS.items() if metre is None or metre.name == feel[0]}
    name, steps = chance.choices(list(feels), list(feels.values()))[0]
    beat = steps // METRES[name].beats
    voices: dict[str, tuple[str, ...]] = {
        "kick": (_kick(chance, steps, beat),),
        chance.choice(("snare", "snare", "snare", "rim", "clap", "tom")): (_backbeat(chance, name, steps, beat),),
        chance.choice(("time", "time", "hat", "ride", "shaker")): (_time(chance, steps, beat),),
        chance.choice(_PERCUSSION): (_percussion(chance, steps, beat),) if chance.random() < 0.4 else ("",),
    }
    swings = beat == 4 and chance.random() < 0.4
    swing = (0.54, 0.67) if swings else (0.5, 0.5)
    return Family("train", name, steps, METRES[name].tempo_bpm, swing, voices)


def _kick(chance: random.Random, steps: int, beat: int) -> str:
    if chance.random() < 0.12:
        return "".join("X" if step % beat == 0 else "." for step in range(steps))
    often = {**dict.fromkeys(range(0, steps, beat), 0.3), steps // 2: 0.45, 0: 0.95}
    busy = chance.uniform(0.02, 0.15)
    return "".join(chance.choice("XXx?") if chance.random() < often.get(step, busy) else "." for step in range(steps))


def _backbeat(chance: random.Random, metre: str, steps: int, beat: int) -> str:
    struck = {place * beat for place in chance.choice(_BACKBEATS[metre])}
    ghosts = chance.choice((0.0, 0.0, 0.08, 0.2))
    return "".join(
        "X" if step in struck else chance.choice("gg?o") if chance.random() < ghosts else "." for step in range(steps)
    )


def _time(chance: random.Random, steps: int, beat: int) -> str:
    """Every beat, every part of a beat, or what falls between them; some accents, some left out."""
    parts = [1, 2, beat] if beat != 3 else [1, 3]
    every = chance.choice(parts)
    first = every // 2 if every == beat and beat % 2 == 0 and chance.random() < 0.3 else 0
    accents, gone = chance.choice((beat, beat, 2 * every, steps)), chance.choice((0.0, 0.0, 0.15, 0.35))
    return "".join(
        "."
        if (step - first) % every or (step % beat and chance.random() < gone)
        else "X"
        if step % accents == 0
        else chance.choice("xo")
        for step in range(steps)
    )


def _percussion(chance: random.Random, steps: int, beat: int) -> str:
    """Strokes spread evenly from any of them on (Toussaint, BRIDGES 2005), or by chance on parts of the beat."""
    if chance.random() < 0.5:
        strokes, turn = chance.randint(2, steps // 2 + 1), chance.randrange(steps)
        return "".join("x" if (step - turn) * strokes % steps < strokes else "." for step in range(steps))
    part = 2 if beat % 2 == 0 else 1
    return "".join(chance.choice("x.o.") if step % part == 0 else "." for step in range(steps))


def compose(styles: float, seed: int, split: Split, index: int, kinds: tuple[str, ...]) -> TripletScore:
    """As the house composes, over invented rhythms and a share of styles."""
    return triplets.compose(seed, split, index, AnyMetre(split, kinds, styles=styles))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--triplets", type=int, default=2560)
    parser.add_argument("--split", default="train", choices=("train", "val"), help="instruments and chords of which")
    parser.add_argument("--styles", type=float, default=0.0, help="share of rhythms that are of the written styles")
    told = parser.parse_args()
    composes = partial(compose, told.styles)
    plan = Plan(told.out, 0, told.triplets, told.split, 7, sound=False, clean=True, kinds=(OWN,), compose=composes)
    with progress() as update:
        render(plan, lambda done, total: update("render", done, total))


if __name__ == "__main__":
    main()
