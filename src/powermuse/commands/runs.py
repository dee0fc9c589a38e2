"""`powermuse runs`: the runs below a folder, with their key figures."""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from powermuse.commands.shared import Handler

if TYPE_CHECKING:
    from powermuse.training.listing import Listed

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
# What the numbers are best at stands first; a run that lacks the figure comes last.
_KEYS: dict[str, Callable[["Listed"], Any]] = {
    "changed": lambda run: -run.changed,
    "name": lambda run: run.name,
    "recipe": lambda run: run.recipe,
    "state": lambda run: run.state,
    "seen": lambda run: -run.seen,
    "best": lambda run: run.best,
    "loss": lambda run: run.loss,
    "speed": lambda run: None if run.pairs_per_s is None else -run.pairs_per_s,
}


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "runs",
        help="list the runs below a folder",
        description="Lists the runs below FOLDER: how far they are, their best validation loss and where it was,\n"
        "the last training loss, pairs a second, how many targets held, and when they last changed.\n"
        "`running` is being written to now; `stopped at N` goes on from the checkpoint of pair N.",
        epilog="example: powermuse runs runs --sort best",
    )
    command.add_argument("folder", nargs="?", default="runs", metavar="FOLDER", help="where to look (default: runs)")
    command.add_argument("--sort", choices=tuple(_KEYS), default="changed", metavar="KEY", help=", ".join(_KEYS))
    command.add_argument("--json", action="store_true", help="print a list of objects instead, None as null")
    return command, _runs


def _runs(options: argparse.Namespace) -> int:
    from powermuse.training import listing
    from powermuse.types import BadInput

    found = listing.runs(options.folder)
    if not found:
        make = f"powermuse train tiny --data DATASET --run {options.folder}/first"
        raise BadInput(f"{options.folder}: no run is in here; make one: {make}")
    key = _KEYS[options.sort]
    found.sort(key=lambda run: (key(run) is None, key(run)))
    if options.json:
        print(json.dumps([dataclasses.asdict(run) for run in found], indent=1))
    else:
        _show([_row(run, time.time()) for run in found])
    return 0


def _row(run: "Listed", now: float) -> dict[str, str]:
    stands = "stopped" if run.kept is None else f"stopped at {run.kept}"
    return {
        "run": run.name,
        "recipe": run.recipe or "-",
        "state": stands if run.state == "stopped" else run.state,
        "pairs": f"{run.seen} of {run.pairs if run.pairs is not None else '?'}",
        "best": "-" if run.best is None else f"{run.best:.4f} at {run.best_at}",
        "loss": _number(run.loss, ".4f"),
        "pairs/s": _number(run.pairs_per_s, ".3g"),
        "targets": "-" if run.targets_held is None else f"{run.targets_held} of {run.targets} held",
        "changed": f"{_age(now - run.changed)} ago",
        "trouble": run.trouble,
    }


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _age(seconds: float) -> str:
    name, size = next(((name, size) for name, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{max(0, int(seconds // size))} {name}"


def _show(rows: list[dict[str, str]]) -> None:
    """A table on a terminal; plain columns, two spaces between them, for a pipe."""
    if not any(row["trouble"] for row in rows):
        rows = [{name: cell for name, cell in row.items() if name != "trouble"} for row in rows]
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        from rich.table import Table
        from rich.text import Text

        table = Table(*rows[0])
        for row in rows:
            table.add_row(*map(Text, row.values()))
        console.print(table)
        return
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
