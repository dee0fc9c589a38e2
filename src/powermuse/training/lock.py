"""Whether a living process is writing a file: of this machine or, where the file system shares locks, of another."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from powermuse.types import BadInput

PATIENCE_S = 5.0
"""How long a process that is about to end is waited for: a job that was requeued, say."""
_OWNED = "lock"


@contextmanager
def own(folder: Path) -> Iterator[None]:
    """The run of a folder is this process's alone. Raises BadInput where another trains it. Some file systems know no
    locks: then nobody is held off."""
    with (folder / _OWNED).open("a") as file:  # never renamed, as files of the run are
        until_s = time.monotonic() + PATIENCE_S
        while not _taken(file):
            if time.monotonic() > until_s:
                raise BadInput(f"{folder}: is being trained by another process; wait for it, or name another --run")
            time.sleep(0.2)
        yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def hold(file: IO[str]) -> None:
    """Marks a file as being written until it is closed or its process is gone. Some file systems know no locks: then
    nobody is told."""
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(path: Path) -> bool:
    """Whether somebody holds it."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
