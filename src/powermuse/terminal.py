"""What the commands share at the terminal: a progress bar, and one line for whatever goes wrong."""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_DISK = {errno.ENOSPC: "no space left on the disk", errno.EDQUOT: "the disk quota is used up", errno.EFBIG: "too large"}

LINE_EVERY_S = 60.0


class UsageError(Exception):
    """The words of the command do not fit."""


def explain(error: Exception) -> int:
    """Prints one line for an error and returns the exit status that it deserves: 2 for the user's, 1 for ours."""
    if isinstance(error, UsageError):
        return say(str(error), 2)
    from powermuse.types import BadInput, MissingExtra

    if isinstance(error, BadInput | MissingExtra):
        return say(str(error), 2)
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in _DISK:
            return say(f"{where}{_DISK[error.errno]}; nothing half-written was left, make room and run it again", 2)
        return say(f"{where}{os.strerror(error.errno)}", 2)
    return say(f"{type(error).__name__}: {error} (--debug shows where)", 1)


def say(message: str, status: int = 0) -> int:
    """One line on standard error; gives the status back."""
    print(f"powermuse: {' '.join(message.split())}", file=sys.stderr)
    return status


def _lines() -> Callable[..., None]:
    told_s = time.monotonic()

    def update(what: str, done: int, total: int, note: str = "") -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= LINE_EVERY_S:
            told_s = time.monotonic()
            say(f"{what} {done} of {total} {note}")

    return update


@contextmanager
def progress() -> Iterator[Callable[..., None]]:
    """A bar on standard error: update(what, done, total, note). Where that is no terminal, such as the log of a job, a
    line now and then of what takes long."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = Console(stderr=True)
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=console) as bar:

        def update(what: str, done: int, total: int, note: str = "") -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, note="")
            bar.update(tasks[what], completed=done, total=total, note=note)

        yield update
