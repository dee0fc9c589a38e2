"""`powermuse stems`: a clip taken apart."""

import argparse
from typing import Any

from powermuse.commands.shared import Handler


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
    return command, _stems


def _stems(options: argparse.Namespace) -> int:
    from powermuse.audio import stems

    for path in stems.write(options.clip, options.out):
        print(path)
    return 0
