"""`powermuse prepare`: folders of music into a data set."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from powermuse.commands.shared import Handler, codec_options, settings
from powermuse.terminal import progress, say

if TYPE_CHECKING:
    from powermuse.data.index import Summary


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
    command.add_argument(
        "--part", type=_part, metavar="I/N",
        help="prepare the I-th of N parts only; N of them may run at once, then the command without --part",
    )  # fmt: skip
    command.add_argument("--jobs", type=int, default=0, metavar="N", help="prepare in N jobs of a cluster")
    command.add_argument(
        "--cluster", choices=("auto", "slurm", "local"), default="auto",
        help="where the jobs run (auto: on SLURM where there is one, else on this machine)",
    )  # fmt: skip
    command.add_argument(
        "--job", dest="wishes", action="append", default=[], metavar="KEY=VALUE",
        help="what a job asks for, in submitit's names, as cpus_per_task=8 or slurm_partition=cpu",
    )  # fmt: skip
    return command, _prepare


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r}: I/N with I from 1 to N is wanted, as 3/8")
    return int(number) - 1, int(of)


def _prepare(options: argparse.Namespace) -> int:
    from powermuse.data.prepare import Part, Plan, prepare, prepare_part
    from powermuse.types import BadInput

    if options.workers < 0 or options.jobs < 0 or not 0.0 <= options.validation < 1.0:
        raise BadInput("--workers and --jobs must be at least 0 and --validation from 0 to below 1")
    if options.part and options.jobs:
        raise BadInput("--part is for jobs that you start yourself, --jobs starts them; name one of the two")
    plan = Plan(
        tuple(options.folders), options.out, options.codec, codec_options(options.options), options.workers,
        options.validation, options.songs_are, options.loop_short,
    )  # fmt: skip
    with progress() as update:

        def tell(done: int, total: int, file: str, clips: int) -> None:
            update("prepare", done, total)

        if options.part:
            files, clips = prepare_part(plan, Part(*options.part), tell)
        elif options.jobs:
            from powermuse.data.cluster import Jobs, prepare_in_jobs

            summary = prepare_in_jobs(plan, Jobs(options.jobs, options.cluster, settings(options.wishes)), tell)
        else:
            summary = prepare(plan, tell)
    if options.part:
        number, of = options.part
        print(
            f"{options.out}: part {number + 1} of {of} is done, {files} files and {clips} clips were new; "
            "when all parts are, run the command without --part"
        )
        return 0
    return _report(options.out, summary)


def _report(out: str, summary: "Summary") -> int:
    for file in summary.left_out:
        print(f"{'unreadable' if file.unreadable else 'left out'}: {file.path}: {file.skipped}", file=sys.stderr)
    print(
        f"{out}: {summary.hours:.2f} h, "
        f"{summary.clips['train']} clips of {summary.songs['train']} songs to train on, "
        f"{summary.clips['val']} of {summary.songs['val']} to validate"
    )
    unreadable = sum(file.unreadable for file in summary.left_out)
    return say(f"{unreadable} file(s) could not be read; the others were kept", 2) if unreadable else 0
