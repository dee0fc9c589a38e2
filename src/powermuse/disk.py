"""Writing files so that none is ever half there: aside, synced, renamed; and by one process at a time."""

import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

_UNFINISHED = (".*.part*", ".tmp??????")
"""What `aside` writes to, and what safetensors in its turn writes to aside of that."""


@contextmanager
def aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`; synced and renamed to it on success, removed on failure."""
    path = Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{short(path.stem)}.{uuid.uuid4().hex[:12]}.part{path.suffix}")


def short(stem: str) -> str:
    """At most sixty bytes of a name, which itself may be as long as names can be."""
    return os.fsencode(stem)[:60].decode(errors="ignore")


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """The whole content or, on any failure, what was there before."""
    with aside(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """The whole text as UTF-8 or, on any failure, what was there before. Names of files that are no UTF-8 are written
    as the bytes that they are."""
    write_bytes(path, content.encode(errors="surrogateescape"))


def write_first(path: Path, content: str) -> None:
    """The whole text where there is nothing yet; of several processes that write, the first one's stays."""
    made = _beside(path)
    try:
        made.write_text(content)
        os.link(made, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP):
            raise
        made.replace(path)  # a file system without links
    finally:
        made.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Removes what a killed process had written aside in a folder of which it was the only writer."""
    for pattern in _UNFINISHED:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def locked(file: IO[Any], kind: int = fcntl.LOCK_EX) -> bool:
    """Locks an open file until it is closed or its process is gone; False where another process has it, of this machine
    or, where the file system shares locks, of another. Some file systems know no locks: then nobody is held off."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex digest of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_all(contents: dict[Path, bytes]) -> None:
    """Several files, all or none: everything is on the disk before the first name changes."""
    for path in contents:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with ExitStack() as stack:
        for path, content in contents.items():
            temporary = stack.enter_context(aside(path))
            temporary.write_bytes(content)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
