"""`powermuse stems`: a clip taken apart."""

import argparse
from typing import Any

from powermuse.commands.shared import Handler, check_new
from powermuse.terminal import progress


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "stems",
        help="take a clip apart",
        description="Writes the percussive, harmonic, melodic and treble (over 2 kHz) parts of CLIP into FOLDER.",
        epilog="example: powermuse stems examples/harmony.ogg -o stems",
    )
    command.add_argument("clip", metavar="CLIP")
    command.add_argument("-o", "--out", required=True, metavar="FOLDER")
    command.add_argument("--force", action="store_true", help="replace the parts that FOLDER holds of another clip")
    return command, _stems


def _stems(options: argparse.Namespace) -> int:
    from powermuse.audio import stems
    from powermuse.types import BadInput

    if not options.out:
        raise BadInput("-o: a folder is wanted")
    check_new(stems.paths(options.out).values(), options.force)
    with progress() as update:
        written = stems.write(options.clip, options.out, update)
    for path in written:
        print(path)
    return 0
