"""Finding the sound files of a user, and telling whether they have changed."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from powermuse.audio import files
from powermuse.data.shards import FileInfo
from powermuse.types import BadInput


def sound_files(folders: tuple[str, ...]) -> list[tuple[Path, str]]:
    """Every sound file with its name, its path below what all the folders have in common, sorted by name.

    Raises BadInput for a folder that is none, or where no sound is found.
    """
    found: dict[str, Path] = {}
    common = Path(os.path.commonpath([Path(f).absolute() for f in folders]))
    for folder in map(Path, folders):
        if not folder.exists():
            raise BadInput(f"{folder}: no such directory")
        if not folder.is_dir():
            raise BadInput(f"{folder}: is a file; name the directory that holds the music")
        for path in _files_below(folder):
            if path.suffix.lower() in files.SUFFIXES and not path.name.startswith(".") and path.is_file():
                found[str(path.absolute().relative_to(common))] = path
    if not found:
        raise BadInput(f"{', '.join(folders)}: no sound files found (looked for {' '.join(sorted(files.SUFFIXES))})")
    return [(found[name], name) for name in sorted(found)]


def _files_below(folder: Path) -> Iterator[Path]:
    """Files in a folder and all below it, links to folders followed, each real folder once."""
    visited: set[str] = set()
    for where, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in visited:
            below.clear()
            continue
        visited.add(real)
        yield from (Path(where) / name for name in names)


def still_to_do(found: list[tuple[Path, str]], finished: Iterable[FileInfo]) -> list[tuple[Path, str]]:
    """What is found and not finished. A file is the same under a longer or a shorter name (another set of folders was
    named) where size and time agree. Raises BadInput for a file that has changed since."""
    by_name: dict[str, FileInfo] = {}
    by_state: dict[tuple[int, int], list[FileInfo]] = {}
    for f in finished:
        by_name[f.path] = f
        by_state.setdefault((f.size, f.modified_ns), []).append(f)
    todo = []
    for path, name in found:
        status = path.stat()
        state = (status.st_size, status.st_mtime_ns)
        before = by_name.get(name)
        if before is not None and (before.size, before.modified_ns) != state:
            raise BadInput(f"{path}: has changed since it was prepared; prepare into another directory")
        if before is None and not any(_same_end(name, f.path) for f in by_state.get(state, [])):
            todo.append((path, name))
    return todo


def _same_end(name: str, other: str) -> bool:
    return name.endswith(f"/{other}") or other.endswith(f"/{name}")
