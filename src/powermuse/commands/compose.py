"""`powermuse compose`: a third clip from two."""

import argparse
from typing import Any

from powermuse.commands.shared import Handler, check_out
from powermuse.terminal import progress


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
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

    check_out(options.out, options.groove, options.harmony)
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
