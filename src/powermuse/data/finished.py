"""Telling which of the files that are found are finished, wherever they were when they were prepared.

A file is known by where it lies; elsewhere (its folder was moved, or is mounted at another place) by the end of its
name and its content. Entries of before say neither: of those, name, size and time decide.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from powermuse import disk
from powermuse.data.shards import FileInfo
from powermuse.types import BadInput

Found = list[tuple[Path, str]]
"""Files with their names below what the folders that are walked have in common."""


def place(path: Path) -> str:
    """A digest of where a file lies, whatever the working directory: a data set that is passed on tells no folders."""
    return hashlib.blake2b(os.fsencode(_absolute(path)), digest_size=16).hexdigest()


def _absolute(path: Path) -> str:
    return os.path.normpath(path.absolute())


def still_to_do(found: Found, finished: Iterable[FileInfo], part: slice = slice(None)) -> Found:
    """What is not finished of a part of the files, under names that are no other file's; what could not be read is
    still to do, under the name that it had. Raises BadInput for a file of the part that has changed since."""
    entries = {f.path: f for f in finished}
    known = _known(found, entries)
    names = _free_names(found, known, entries)
    todo = []
    for path, name in found[part]:
        before = known.get(path)
        if before is None:
            todo.append((path, names[name]))
        elif before.try_again:
            todo.append((path, before.path))
        elif before.place in ("", place(path)) and _state(path) != (before.size, before.modified_ns):
            raise BadInput(f"{path}: has changed since it was prepared; prepare into another directory")
    return todo


def _known(found: Found, entries: dict[str, FileInfo]) -> dict[Path, FileInfo]:
    """The finished entry of each file that has one; an entry stands for one file."""
    by_place = {f.place: f for f in entries.values() if f.place}
    known = {path: by_place[place(path)] for path, _ in found if place(path) in by_place}
    there = {f.path for f in known.values()}
    left = {name: f for name, f in entries.items() if name not in there}
    for candidates in (_of_that_name, _Ends(left)):
        for path, name in found:
            if path not in known and (same := _first_same(path, name, candidates(name, left))):
                known[path] = left.pop(same.path)
    return known


def _of_that_name(name: str, left: dict[str, FileInfo]) -> Iterator[FileInfo]:
    if name in left:
        yield left[name]


class _Ends:
    """The entries whose name is the end of another, or the other way: another set of folders was named."""

    def __init__(self, entries: dict[str, FileInfo]) -> None:
        self.longer: dict[str, list[str]] = {}
        for name in entries:
            for end in _ends(name):
                self.longer.setdefault(end, []).append(name)

    def __call__(self, name: str, left: dict[str, FileInfo]) -> Iterator[FileInfo]:
        yield from (left[other] for other in (*_ends(name), *self.longer.get(name, ())) if other in left)


def _ends(name: str) -> list[str]:
    """What is left of a name below each of its folders."""
    parts = name.split("/")
    return ["/".join(parts[i:]) for i in range(1, len(parts))]


def _first_same(path: Path, name: str, candidates: Iterator[FileInfo]) -> FileInfo | None:
    """The first of the entries that is of this file, though not, as far as it says, of this place."""
    for entry in candidates:
        size, modified_ns = _state(path)
        if entry.place and not entry.try_again:
            same = size == entry.size and _digest(path) == entry.digest
        else:  # of before: under its very name the file may only have changed
            same = entry.try_again or entry.path == name or (size, modified_ns) == (entry.size, entry.modified_ns)
        if same:
            return entry
    return None


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _digest(path: Path) -> str:
    """None that a file has, where it cannot be read."""
    try:
        return disk.sha256(path)
    except OSError:
        return ""


def _free_names(found: Found, known: dict[Path, FileInfo], entries: dict[str, FileInfo]) -> dict[str, str]:
    """The names, all longer by as many folders above as are needed for none to be the name of another file's entry. All
    the same way, so that the files of a folder stay together; by all that is found, so that a restart names alike."""
    most = max((len(PurePath(_absolute(path)).parts) for path, _ in found), default=0)
    for above in range(most):
        names = {name: _longer(path, name, above) for path, name in found}
        if all(entries.get(names[name]) in (None, known.get(path)) for path, name in found):
            break
    return names


def _longer(path: Path, name: str, above: int) -> str:
    parts = PurePath(_absolute(path)).parts[1:]
    return "/".join(parts[-len(PurePath(name).parts) - above :]) if above else name
