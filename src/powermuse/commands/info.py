"""`powermuse info`: what a model, data set, run or codec is."""

import argparse
import json
from typing import Any

from powermuse.commands.shared import Handler


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "info", help="describe a model, data set, run or codec", description="Prints what it is, as JSON.",
        epilog="example: powermuse info factors",
    )  # fmt: skip
    command.add_argument("thing", metavar="MODEL|DATASET|RUN|CODEC")
    return command, _info


def _info(options: argparse.Namespace) -> int:
    from powermuse import about

    print(json.dumps(about.describe(options.thing), indent=1))
    return 0
