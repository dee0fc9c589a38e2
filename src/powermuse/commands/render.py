"""`powermuse render`: triplets whose right answer is known, from scores and soundfonts."""

import argparse
from typing import Any

from powermuse.commands.shared import Handler, codec_options
from powermuse.terminal import progress, say

_STRONGEST = 10.0
"""Beyond it nothing is left of the music."""


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "render",
        help="make songs whose rhythm and harmony are known, to train on and to score against",
        description="Renders triplets of 16 s: a groove, a harmony, and the truth that has the rhythm of the one and\n"
        "the chords and instruments of the other. A triplet is a function of seed, split and number: any part of a\n"
        "data set can be made anywhere, and parts copied together. Run again after an interruption it goes on.",
        epilog="example: powermuse render -o datasets/triplets --triplets 5000\n"
        "         powermuse render -o datasets/triplets --triplets 200 --split val",
    )
    command.add_argument("-o", "--out", required=True, metavar="DATASET", help="directory of the data set")
    command.add_argument("--triplets", type=int, metavar="N", help="how many of the split: numbers 0 to N - 1")
    command.add_argument("--seed", type=int, default=0, help="of everything (default: 0)")
    command.add_argument("--split", choices=("train", "val", "test"), default="train", help="default: train")
    command.add_argument("--from", dest="begin", type=int, default=0, metavar="I", help="begin with triplet I")
    command.add_argument("--to", dest="end", type=int, metavar="J", help="end before triplet J")
    command.add_argument("--codec", default="mel", help="codec of the latents (default: mel)")
    command.add_argument(
        "-s", dest="options", action="append", default=[], metavar="KEY=VALUE", help="option of the codec"
    )
    command.add_argument("--workers", type=int, default=0, help="processes (default: one for each core)")
    command.add_argument(
        "--sound", action=argparse.BooleanOptionalAction, default=None,
        help="keep the waveforms, as flac (default: of val and test)",
    )  # fmt: skip
    command.add_argument(
        "--soundfonts", action="append", default=[], metavar="FOLDER",
        help="folder of soundfonts, beside those of the system and of POWERMUSE_SOUNDFONTS",
    )  # fmt: skip
    licences = command.add_mutually_exclusive_group()
    licences.add_argument(
        "--clean", action="store_true", help="only sources whose licence lets weights trained on them be given away"
    )
    licences.add_argument(
        "--all-sources",
        action="store_true",
        help="rhythms of every source that is on this machine (default: the clean ones; in test all)",
    )
    command.add_argument(
        "--strength", type=float, default=1.0, metavar="X",
        help=f"of equaliser, room, noise and levels; 0 for none, {_STRONGEST:g} at most (default: 1)",
    )  # fmt: skip
    return command, _render


def _render(options: argparse.Namespace) -> int:
    from powermuse.data.render import fonts
    from powermuse.data.render.augment import Strength
    from powermuse.data.render.plan import Plan, usual_kinds
    from powermuse.data.render.store import render
    from powermuse.types import BadInput

    end = options.triplets if options.end is None else options.end
    if end is None:
        raise BadInput("how many? Name --triplets N, or a part of them with --from I --to J")
    if options.workers < 0 or not 0.0 <= options.strength <= _STRONGEST or not 0 <= options.begin < end:
        raise BadInput(
            f"--workers must be at least 0, --strength from 0 to {_STRONGEST:g}, --from at least 0 and below --to or "
            "--triplets"
        )
    kinds = usual_kinds(options.split, options.clean, options.all_sources)
    plan = Plan(
        options.out, options.begin, end, options.split, options.seed, options.codec, codec_options(options.options),
        options.workers, options.sound, tuple(options.soundfonts), options.clean,
        kinds, Strength(*[options.strength] * len(Strength._fields)),
    )  # fmt: skip
    for font in fonts.missing(plan.split, fonts.at_hand(plan.split, plan.soundfonts, plan.clean), plan.clean):
        say(f"without the soundfont {font.name}, which is not on this machine; it comes with: {font.install}")
    with progress() as update:
        new = render(plan, lambda done, total: update("render", done, total))
    print(
        f"{options.out}: triplets {options.begin} to {end - 1} of {options.split} are there, {new} of them new "
        f"(rhythms: {', '.join(plan.kinds)})"
    )
    return 0
