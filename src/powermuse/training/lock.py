"""Whether a living process is writing a file, or trains a run."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from powermuse import disk
from powermuse.types import BadInput

PATIENCE_S = 5.0
"""How long a process that is about to end is waited for: a job that was requeued, say."""
OWNED = "lock"
"""In the folder of a run; never renamed, as its other files are."""


@contextmanager
def own(folder: Path) -> Iterator[None]:
    """The run of a folder, which is made where it is not there, is this process's alone. Raises BadInput where another
    trains it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / OWNED).open("a") as file:
        until_s = time.monotonic() + PATIENCE_S
        while not disk.locked(file):
            if time.monotonic() > until_s:
                raise BadInput(f"{folder}: is being trained by another process; wait for it, or name another --run")
            time.sleep(0.2)
        yield


def hold(file: IO[str]) -> None:
    """Marks a file as being written."""
    disk.locked(file)


def is_held(path: Path) -> bool:
    """Whether somebody holds it."""
    try:
        with path.open("rb") as file:
            return not disk.locked(file, fcntl.LOCK_SH)
    except OSError:
        return False
