"""What other instruments cost: truths of a split played again from their own scores, every note right, on the same
General MIDI programs of every other soundfont here, and on others of the same role; beside another orchestration.
Fréchet distance by the judges' embedding and mel distance to the nearest truth, whose bars ask for the instruments of
the harmony clip: `python bench/instruments.py TRIPLETS [--split val] [--count 20]` (rendered with `--sound`)."""

import argparse
import random
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from parts import Heard, hear

from powermuse.data.render import fonts, programs
from powermuse.data.render.augment import Strength
from powermuse.data.render.perform import perform
from powermuse.data.render.score import Part, Score
from powermuse.data.render.synth import loaded
from powermuse.data.triplets import Triplets
from powermuse.metrics import quality, truth

_ROLES = {program: role for one in programs.SETS.values() for role, of in one.items() for program in of}


class Row(NamedTuple):
    """How one playing sounds, and how far it is from the nearest truth."""

    heard: Heard
    mel: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("triplets")
    parser.add_argument("--split", default="val")
    parser.add_argument("--count", type=int, default=20)
    told = parser.parse_args()
    known = Triplets(told.triplets, told.split, told.count)
    right: dict[int, Heard] = {}
    rows: dict[str, dict[int, Row]] = defaultdict(dict)
    for index in list(known.numbers)[: told.count]:
        right[index], made = played(known, index, told.split)
        for name, row in made.items():
            rows[name][index] = row
    for name, of in rows.items():
        far = quality.evaluate([right[index].windows for index in of], [row.heard.windows for row in of.values()])
        mel = np.array([row.mel for row in of.values()])
        error = mel.std(ddof=1) / len(mel) ** 0.5 if len(mel) > 1 else 0.0
        print(
            f"{name:36} {len(of):3} triplets  Fréchet {far.value:5.1f} [{far.low:.1f}, {far.high:.1f}]  "
            f"mel {mel.mean():.3f} (standard error {error:.3f})"
        )


def played(known: Triplets, index: int, split: str) -> tuple[Heard, dict[str, Row]]:
    """The first truth of a triplet, and its notes on other instruments."""
    truths = [hear(known.sound(index, f"truth.{i}")) for i in range(known.truths(index))]
    score, own_font = known.score(index, "truth.0"), known.origin(index)["font"]
    found = {}
    if len(truths) > 1:
        found["another orchestration"] = Row(truths[1], _nearest(truths[1], [truths[0], *truths[2:]]))
    for name, path in _every_font().items():
        # The truth's own font would play the truth again, but for its equaliser.
        if name != own_font:
            found[f"the same programs, {name}"] = _row(score, index, path, truths)
        found[f"others of their roles, {name}"] = _row(_others(score, index, split), index, path, truths)
    return truths[0], found


def _every_font() -> dict[str, Path]:
    return {each.font.name: each.path for split in fonts.SPLITS for each in fonts.at_hand(split)}


def _row(score: Score, index: int, font: Path, truths: list[Heard]) -> Row:
    heard = hear(perform(score, "truth.0", f"instruments {index}", loaded(str(font)), Strength()).mix_N)
    return Row(heard, _nearest(heard, truths))


def _nearest(heard: Heard, truths: list[Heard]) -> float:
    return min(truth.mel_distance(heard.mel_MT, right.mel_MT) for right in truths)


def _others(score: Score, index: int, split: str) -> Score:
    """The score on programs of other splits' sets, each of its own role."""
    chance = random.Random(index)
    sets = [one for name, one in programs.SETS.items() if name.split("-")[0] != split]

    def other(part: Part) -> Part:
        return part._replace(program=chance.choice(chance.choice(sets)[_ROLES[part.program]]))

    return score._replace(parts=tuple(part if part.is_drums else other(part) for part in score.parts))


if __name__ == "__main__":
    main()
