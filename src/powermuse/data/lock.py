"""One writer at a time of a data set, or of a part of one: on this machine or, where the file system shares locks, on
any."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from powermuse import disk
from powermuse.types import BadInput

# `.plan.*` is what a directory may hold that is not begun yet. Never renamed, as `plan.json` is: another file of the
# same name has another lock.
_WHOLE, _PART = ".plan.lock", ".plan.{}.lock"


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Keeps a data set to this process. Raises BadInput where another one prepares it, or a part. Some file systems
    know no locks: there it goes on without."""
    with ExitStack() as held:
        _take(held, out / _WHOLE, fcntl.LOCK_EX, f"{out}: another process is preparing")
        for path in out.glob(_PART.format("*")):  # no part is being prepared now
            with suppress(OSError):
                path.unlink(missing_ok=True)
        yield


@contextmanager
def only_writer_of_part(out: Path, number: int) -> Iterator[None]:
    """Keeps a part (from 0) to this process, beside those of other parts. Raises BadInput as `only_writer` does."""
    with ExitStack() as held:
        _take(held, out / _WHOLE, fcntl.LOCK_SH, f"{out}: another process is preparing")
        _take(held, out / _PART.format(number), fcntl.LOCK_EX, f"{out}: another process is preparing part {number + 1}")
        yield


def _take(held: ExitStack, path: Path, kind: int, complaint: str) -> None:
    try:
        file: IO[str] = held.enter_context(path.open("a+"))
    except OSError:  # a part that is read alone, say: what is written to it will say why not
        return
    if not disk.locked(file, kind):
        raise BadInput(f"{complaint}; wait until it has ended, or name another directory")
