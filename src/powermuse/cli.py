"""The command line. Parses, shows progress, prints what came out; everything else is done elsewhere.

Exit status: 0 done, 1 our fault, 2 yours (with what to do), 130 and 143 stopped by SIGINT and SIGTERM.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from powermuse.terminal import UsageError, explain, progress, say

Handler = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        options = _parser().parse_args(arguments)
        handler: Handler = options.handler
        return handler(options)
    except KeyboardInterrupt:
        return say("stopped", 128 + signal.SIGINT)
    except Exception as error:
        if debug:
            raise
        return explain(error)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


def _parser() -> _Parser:
    parser = _Parser(
        prog="powermuse", description="The rhythm of one clip and the harmony of another, composed into a third."
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(handler=_version_or_help(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for add in (_add_compose, _add_prepare, _add_train, _add_info, _add_codec_check, _add_stems):
        command, handler = add(commands)
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.add_argument("--debug", action="store_true", help="show a traceback when something fails")
        command.set_defaults(handler=handler)
    return parser


def _version_or_help(parser: argparse.ArgumentParser) -> Handler:
    def handler(options: argparse.Namespace) -> int:
        if not options.version:
            raise UsageError(
                "a command is wanted, such as: powermuse compose GROOVE HARMONY -o blend.wav (see: powermuse --help)"
            )
        from importlib.metadata import version

        print(version("powermuse"))
        return 0

    return handler


def _add_compose(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    command = commands.add_parser(
        "compose",
        help="compose a third clip from two",
        description="Composes a clip with the rhythm of GROOVE and the harmony of HARMONY. Beside OUT it writes a\n"
        "report (OUT's name with .json) and a picture (.png). The blend is as long as the longer\n"
        "clip; the shorter is looped.",
        epilog="example: powermuse compose examples/groove.ogg examples/harmony.ogg -o blend.wav",
    )
    command.add_argument("groove", metavar="GROOVE", help="sound file that gives the rhythm")
    command.add_argument("harmony", metavar="HARMONY", help="sound file that gives chords, melody and colour")
    command.add_argument("-o", "--out", required=True, metavar="OUT", help="the blend: a .wav or .flac file")
    command.add_argument("--model", default="starter", help="a shipped model, a run or a folder (default: starter)")
    command.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    command.add_argument(
        "--length", choices=("longer", "shorter", "groove", "harmony"), default="longer",
        help="whose length the blend has: the shorter clip is looped, the longer one cut (default: longer)",
    )  # fmt: skip
    return command, _compose


def _compose(options: argparse.Namespace) -> int:
    from powermuse.types import BadInput

    _check_out(options.out, options.groove, options.harmony)
    if not 0 <= options.seed < 2**63:
        raise BadInput(f"--seed must be from 0 to below 2^63, not {options.seed}")
    from powermuse import weights
    from powermuse.composing import report
    from powermuse.composing.composer import Composer, report_paths

    report.check_free(options.out)

    composer = Composer(weights.load_model(options.model), options.seed)
    groove, harmony = composer.listen(options.groove), composer.listen(options.harmony)
    with progress() as update:
        blend = composer.compose(groove, harmony, options.length, update)
        update("report", 0, 1)
        told = report.write(blend, options.out)
    rhythm = told["rhythm"]
    print(
        f"{options.out}: {told['blend']['seconds']:.1f} s at {told['blend']['level_db']:.1f} dBFS, onset correlation "
        f"{rhythm['groove']['onset_correlation']:.2f} to the groove, "
        f"{rhythm['harmony']['onset_correlation']:.2f} to the harmony"
    )
    print(f"report and picture: {', '.join(map(str, report_paths(options.out)))}")
    return 0


def _add_prepare(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
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
        tuple(options.folders), options.out, options.codec, _codec_options(options.options), options.workers,
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


def _add_train(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    command = commands.add_parser(
        "train",
        help="train a recipe on a data set",
        description="Trains RECIPE, a shipped name or a YAML file. The same command again goes on where\n"
        "the run stopped. "
        "Ctrl-C saves and leaves.",
        epilog="example: powermuse train tiny --data datasets/loops --run runs/first -s training.pairs=4000",
    )
    command.add_argument("recipe", metavar="RECIPE", help="shipped recipe or .yaml file")
    command.add_argument("--data", required=True, metavar="DATASET", help="what `powermuse prepare` made")
    command.add_argument("--run", metavar="RUN", help="directory of the run (default: runs/ and the recipe's name)")
    command.add_argument(
        "-s",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, as training.batch=4",
    )
    return command, _train


def _train(options: argparse.Namespace) -> int:
    from powermuse import recipe as recipes

    recipe = recipes.load(options.recipe, options.overrides)
    run = options.run or f"runs/{recipe.name}"
    from powermuse.training.trainer import Progress, Trainer

    with progress() as update:

        def show(now: Progress) -> None:
            if now.message:
                print(f"powermuse: {now.message}", file=sys.stderr)
            loss = now.scalars.get("loss")
            speed = now.scalars.get("clock.pairs_per_s")
            note = "" if loss is None else f"loss {loss:.4f}  {speed:.0f} pairs/s"
            update("train", now.seen, now.pairs, note)

        trainer = Trainer(recipe, options.data, run, show)
        ended = trainer.fit()
    for verdict in trainer.targets.verdicts():
        print(verdict)
    if ended.signal:
        return say(f"stopped at pair {ended.seen}, saved; the same command goes on", 128 + ended.signal)
    best = "" if ended.best == float("inf") else f", best validation loss {ended.best:.4f}"
    print(f"{run}: {ended.seen} pairs{best}; compose with it: powermuse compose A B -o OUT.wav --model {run}")
    return 0


def _add_info(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    command = commands.add_parser(
        "info", help="describe a model, data set, run or codec", description="Prints what it is, as JSON.",
        epilog="example: powermuse info starter",
    )  # fmt: skip
    command.add_argument("thing", metavar="MODEL|DATASET|RUN|CODEC")
    return command, _info


def _info(options: argparse.Namespace) -> int:
    from powermuse import about

    print(json.dumps(about.describe(options.thing), indent=1))
    return 0


def _add_codec_check(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    command = commands.add_parser(
        "codec-check", help="send a sound through a codec and back",
        description="Encodes and decodes FILE, prints how well it came back, and writes it with -o.",
        epilog="example: powermuse codec-check examples/groove.ogg --codec mel -o back.wav",
    )  # fmt: skip
    command.add_argument("file", metavar="FILE")
    command.add_argument("--codec", default="mel")
    command.add_argument(
        "-s", dest="options", action="append", default=[], metavar="KEY=VALUE", help="option of the codec"
    )
    command.add_argument("-o", "--out", metavar="OUT", help="a .wav or .flac file for what came back")
    return command, _codec_check


def _codec_check(options: argparse.Namespace) -> int:
    from powermuse import about
    from powermuse.audio import files

    if options.out:
        _check_out(options.out, options.file)
    figures, wav_CN, rate_hz = about.codec_check(options.file, options.codec, _codec_options(options.options))
    if options.out:
        files.write(options.out, wav_CN, rate_hz)
    print(json.dumps(figures, indent=1))
    return 0


def _add_stems(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    command = commands.add_parser(
        "stems",
        help="take a clip apart",
        description="Writes the percussive, harmonic, melodic and treble (over 2 kHz) parts of CLIP into FOLDER.",
        epilog="example: powermuse stems examples/harmony.ogg -o stems",
    )
    command.add_argument("clip", metavar="CLIP")
    command.add_argument("-o", "--out", required=True, metavar="FOLDER")
    return command, _stems


def _stems(options: argparse.Namespace) -> int:
    from powermuse.audio import stems

    for path in stems.write(options.clip, options.out):
        print(path)
    return 0


def _check_out(out: str, *sources: str) -> None:
    """Raises BadInput, before any work, where the output could not be written or would replace a source."""
    from powermuse.audio import files
    from powermuse.types import BadInput

    files.check_writable(out)
    if Path(out).resolve() in {Path(source).resolve() for source in sources}:
        raise BadInput(f"{out}: is also a source; name another file with -o")


def _codec_options(pairs: list[str]) -> dict[str, Any]:
    from powermuse import recipe as recipes

    return (
        recipes.parse("name: options", "codec option", [f"codec.options.{pair}" for pair in pairs]).codec.options
        if pairs
        else {}
    )


if __name__ == "__main__":
    raise SystemExit(main())
