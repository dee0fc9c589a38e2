"""`powermuse prepare`: folders of music into a data set."""

import argparse
import sys
from typing import Any

from powermuse.commands.shared import Handler, codec_options
from powermuse.terminal import progress, say


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "prepare",
        help="encode folders of music for training",
        description="Cuts the music of FOLDER into clips of 16 s, encodes each once, writes a data set to train on.\n"
        "Run again after an interruption it goes on where it was. Files that cannot be used are listed at the end;\n"
        "the exit status is 2 where one of them could not be read.",
        epilog="example: powermuse prepare ~/Music/loops -o datasets/loops",
    )
    command.add_argument("folders", nargs="+", metavar="FOLDER", help="directories to walk")
    command.add_argument("-o", "--out", required=True, metavar="DATASET", help="directory of the data set")
    command.add_argument("--codec", default="mel", help="codec of the latents (default: mel)")
    command.add_argument(
        "-s", dest="options", action="append", default=[], metavar="KEY=VALUE", help="option of the codec"
    )
    command.add_argument("--workers", type=int, default=0, help="processes (default: one for each core)")
    command.add_argument(
        "--validation", type=float, default=0.1, metavar="SHARE", help="share of songs kept from training"
    )
    command.add_argument(
        "--songs-are", choices=("files", "folders"), default="files",
        help="folders: the files of a folder belong to one song and stay on one side of the split (default: files)",
    )  # fmt: skip
    command.add_argument(
        "--loop-short", action="store_true", help="repeat files of 1 to 16 s instead of leaving them out"
    )
    return command, _prepare


def _prepare(options: argparse.Namespace) -> int:
    from powermuse.data.prepare import Plan, prepare
    from powermuse.types import BadInput

    if options.workers < 0 or not 0.0 <= options.validation < 1.0:
        raise BadInput("--workers must be at least 0 and --validation from 0 to below 1")
    plan = Plan(
        tuple(options.folders), options.out, options.codec, codec_options(options.options), options.workers,
        options.validation, options.songs_are, options.loop_short,
    )  # fmt: skip
    with progress() as update:
        summary = prepare(plan, lambda done, total, file, clips: update("prepare", done, total))
    for file in summary.left_out:
        print(f"{'unreadable' if file.unreadable else 'left out'}: {file.path}: {file.skipped}", file=sys.stderr)
    print(
        f"{options.out}: {summary.hours:.2f} h, "
        f"{summary.clips['train']} clips of {summary.songs['train']} songs to train on, "
        f"{summary.clips['val']} of {summary.songs['val']} to validate"
    )
    unreadable = sum(file.unreadable for file in summary.left_out)
    return say(f"{unreadable} file(s) could not be read; the others were kept", 2) if unreadable else 0
