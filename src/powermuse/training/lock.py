"""Whether a living process is writing a file: of this machine or, where the file system shares locks, of another."""

import fcntl
from contextlib import suppress
from pathlib import Path
from typing import IO


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
