"""Tables, names and dataset.json of a data set, made from the headers of its shards alone, one shard at a time."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from powermuse import disk
from powermuse.data import shards
from powermuse.data.shards import FileInfo, Header
from powermuse.types import BadInput


class Summary(NamedTuple):
    """What came of preparing."""

    clips: dict[str, int]
    """Clips of each split."""
    songs: dict[str, int]
    hours: float
    left_out: list[FileInfo]
    """Files not used, or not all of them, with the reason; `unreadable` marks the damaged."""


class Gathered(NamedTuple):
    """What the headers of all shards hold; `clips` (shards.ROW) counts files and songs as the names come."""

    clips: np.ndarray
    shards: np.ndarray
    files: list[str]
    songs: list[str]
    left_out: list[FileInfo]
    looked_at: int
    """Files, used or not."""


def shard_files(out: Path) -> list[Path]:
    """The shards of a data set, in the order of their numbers."""
    return sorted((out / "shards").glob("[0-9]*.safetensors"), key=shard_number)


def shard_number(shard: Path) -> int:
    """The number that the tables know a shard by."""
    return int(shard.stem)


def finished_files(out: Path) -> list[FileInfo]:
    """The files that the shards have done with, each as it counts. Raises BadInput for a damaged shard."""
    done: dict[str, FileInfo] = {}
    for path in shard_files(out):
        done |= _that_count(shards.read_shard_header(path)[1], done)
    return list(done.values())


def _that_count(books: list[FileInfo], done: dict[str, FileInfo]) -> dict[str, FileInfo]:
    """Of the files of a shard, by name, those that no shard before has done, or was able to read."""
    return {book.path: book for book in books if book.path not in done or done[book.path].try_again}


def gather(out: Path) -> Gathered:
    """Reads the header of every shard once. A file that two shards have done counts in the first that could read it.
    Raises BadInput for a damaged shard."""
    tables, entries = [], []
    files: dict[str, int] = {}
    songs: dict[str, int] = {}
    done: dict[str, FileInfo] = {}
    for path in shard_files(out):
        clips, books = shards.read_shard_header(path)
        new = _that_count(books, done)
        rows = [
            (shard_number(path), row, _count(songs, c.song), _count(files, c.file), c.start_s, c.level_db)
            for row, c in enumerate(clips)
            if c.file in new
        ]
        tables.append(np.array(rows, dtype=shards.ROW))
        entries.append(_entry(path))
        done |= new
    left_out = [book for book in done.values() if book.skipped]
    clips_N = np.concatenate(tables) if tables else np.empty(0, shards.ROW)
    return Gathered(clips_N, np.array(entries, dtype=shards.SHARD), list(files), list(songs), left_out, len(done))


def _count(numbers: dict[str, int], name: str) -> int:
    return numbers.setdefault(name, len(numbers))


def _entry(path: Path) -> tuple[int, int, int]:
    try:
        return shards.shard_entry(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error})") from None


def write(out: Path, header: Header, found: Gathered, validation_share: float) -> Summary:
    """Writes the tables, the names and, last, `dataset.json`; the same for the same clips in whatever shards they are,
    but for the shards' numbers."""
    validation = validation_songs(found.songs, validation_share)
    names, clips = _in_order_of_names(found)
    kept = np.array([song in validation for song in names["songs"]], dtype=bool)[clips["song"]]
    tables = {"train": clips[~kept], "val": clips[kept]}
    record = {f"{name}.npy": _save(out / f"{name}.npy", t) for name, t in {**tables, "shards": found.shards}.items()}
    disk.write_text(out / "names.json", json.dumps(names))
    disk.write_text(out / "left_out.json", json.dumps([asdict(f) for f in found.left_out], indent=1))
    songs = {"train": len(names["songs"]) - len(validation), "val": len(validation)}
    counts = {split: len(table) for split, table in tables.items()}
    summary = Summary(counts, songs, len(clips) * header.clip_s / 3600.0, found.left_out)
    content = {
        "header": asdict(header),
        "clips": counts,
        "songs": songs,
        "in_a_row": {split: has_neighbours(table, header.clip_s) for split, table in tables.items()},
        "hours": round(summary.hours, 3),
        "files_left_out": len(found.left_out),
        "record": record,
    }
    disk.write_text(out / "dataset.json", json.dumps(content, indent=1))
    return summary


def _in_order_of_names(found: Gathered) -> tuple[dict[str, list[str]], np.ndarray]:
    """Names sorted, and the clips by file and time under their numbers."""
    clips, names = found.clips.copy(), {}
    for kind, known in (("files", found.files), ("songs", found.songs)):
        order = sorted(range(len(known)), key=known.__getitem__)
        names[kind] = [known[i] for i in order]
        place = np.empty(len(order), dtype=np.uint32)
        place[order] = np.arange(len(order), dtype=np.uint32)
        clips[kind[:-1]] = place[clips[kind[:-1]]]
    return names, clips[np.lexsort((clips["start_s"], clips["file"]))]


def has_neighbours(table: np.ndarray, clip_s: float) -> bool:
    """Whether some file gave two clips in a row."""
    same_file = table["file"][1:] == table["file"][:-1]
    return bool((same_file & shards.follow(table["start_s"], clip_s)).any())


def _save(path: Path, table: np.ndarray) -> str:
    """Writes a table and gives its digest."""
    with disk.aside(path) as temporary:
        np.save(temporary, table)
    return disk.sha256(path)


def validation_songs(songs: list[str], share: float) -> set[str]:
    """The songs kept from training: those whose name hashes below `share`, at least one where there are two.

    A song keeps its side when others are added (but for the one that is chosen for want of any).
    """
    place = {song: _place(song) for song in songs}
    chosen = {song for song in songs if place[song] < share}
    if len(songs) >= 2 and share > 0.0:
        by_place = sorted(songs, key=place.__getitem__)
        chosen = chosen or {by_place[0]}
        if len(chosen) == len(songs):
            chosen = chosen - {by_place[-1]}
    return chosen


def _place(song: str) -> float:
    """Where the name of a song falls in [0, 1)."""
    digest = hashlib.sha256(song.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
