"""Finding the sound files of a user."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from powermuse.audio import files
from powermuse.data.shards import FileInfo
from powermuse.types import BadInput

OnError = Callable[[OSError], object]
"""Called with what kept a folder from being read; `filename` is the folder."""


def _refuse(error: OSError) -> None:
    raise BadInput(f"{error.filename}: {_reason(error)}; make it readable, or name folders without it")


def sound_files(folders: tuple[str, ...], on_error: OnError = _refuse) -> list[tuple[Path, str]]:
    """Every sound file with its name, its path below what all the folders have in common, sorted by name.

    Raises BadInput for a folder that is none, where no sound is found and, unless `on_error` takes it, for a folder
    that may not be read.
    """
    found: dict[str, Path] = {}
    common = _common(folders)
    unreadable: list[OSError] = []
    for folder in map(Path, folders):
        if not folder.exists():
            raise BadInput(f"{folder}: no such directory")
        if not folder.is_dir():
            raise BadInput(f"{folder}: is a file; name the directory that holds the music")
        for path in _files_below(folder, unreadable.append):
            if path.suffix.lower() in files.SUFFIXES and not path.name.startswith(".") and path.is_file():
                found[str(path.absolute().relative_to(common))] = path
    for error in unreadable:
        (on_error if found else _refuse)(error)
    if not found:
        raise BadInput(f"{', '.join(folders)}: no sound files found (looked for {' '.join(sorted(files.SUFFIXES))})")
    return [(found[name], name) for name in sorted(found)]


def unreadable_folders(folders: tuple[str, ...]) -> list[FileInfo]:
    """The folders in these, or these, that may not be read, told as files that cannot be, sorted by name."""
    errors: list[OSError] = []
    for folder in map(Path, folders):
        for _ in _files_below(folder, errors.append):
            pass
    common = _common(folders)
    told = {os.path.relpath(error.filename, common): _reason(error) for error in errors}
    return [FileInfo(name, 0, 0, 0, told[name], unreadable=True) for name in sorted(told)]


def _common(folders: tuple[str, ...]) -> Path:
    return Path(os.path.commonpath([Path(f).absolute() for f in folders]))


def _reason(error: OSError) -> str:
    return f"the folder may not be read ({(error.strerror or str(error)).lower()})"


def _files_below(folder: Path, on_error: OnError) -> Iterator[Path]:
    """Files in a folder and all below it, links to folders followed, each real folder once."""
    visited: set[str] = set()
    for where, below, names in os.walk(folder, followlinks=True, onerror=on_error):
        real = os.path.realpath(where)
        if real in visited:
            below.clear()
            continue
        visited.add(real)
        yield from (Path(where) / name for name in names)
