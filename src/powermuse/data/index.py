"""Tables, names and dataset.json of a data set, made from the headers of its shards alone."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from powermuse import disk
from powermuse.data import shards
from powermuse.data.shards import ClipInfo, FileInfo, Header


class Summary(NamedTuple):
    """What came of preparing."""

    clips: dict[str, int]
    """Clips of each split."""
    songs: dict[str, int]
    hours: float
    left_out: list[FileInfo]
    """Files not used, or not all of them, with the reason; `unreadable` marks the damaged."""


class Books(NamedTuple):
    """What the headers of all shards hold: clips, the shard and row of each, and files."""

    clips: list[ClipInfo]
    places: list[tuple[int, int]]
    files: list[FileInfo]


def shard_files(out: Path) -> list[Path]:
    """The shards of a data set, in order."""
    return sorted((out / "shards").glob("[0-9]*.safetensors"))


def shard_number(shard: Path) -> int:
    """The number that the tables know a shard by."""
    return int(shard.stem)


def read_books(out: Path) -> Books:
    """The headers of all shards. Raises BadInput for a damaged one."""
    books = Books([], [], [])
    for path in shard_files(out):
        clips, files = shards.read_shard_header(path)
        books.clips.extend(clips)
        books.places.extend((shard_number(path), row) for row in range(len(clips)))
        books.files.extend(files)
    return books


def write(out: Path, header: Header, books: Books, validation_share: float) -> Summary:
    """Writes `train.npy`, `val.npy`, `names.json` and, last, `dataset.json`."""
    names = {"files": sorted({c.file for c in books.clips}), "songs": sorted({c.song for c in books.clips})}
    validation = validation_songs(names["songs"], validation_share)
    tables = _tables(books, names, validation)
    for split, table in tables.items():
        with disk.aside(out / f"{split}.npy") as temporary:
            np.save(temporary, table)
    disk.write_text(out / "names.json", json.dumps(names))
    songs = {"train": len(names["songs"]) - len(validation), "val": len(validation)}
    counts = {split: len(table) for split, table in tables.items()}
    summary = Summary(counts, songs, len(books.clips) * header.clip_s / 3600.0, [f for f in books.files if f.skipped])
    content = {
        "header": asdict(header),
        "clips": counts,
        "songs": songs,
        "hours": round(summary.hours, 3),
        "left_out": [asdict(f) for f in summary.left_out],
    }
    disk.write_text(out / "dataset.json", json.dumps(content, indent=1))
    return summary


def _tables(books: Books, names: dict[str, list[str]], validation: set[str]) -> dict[str, np.ndarray]:
    file_number = {name: i for i, name in enumerate(names["files"])}
    song_number = {name: i for i, name in enumerate(names["songs"])}
    rows: dict[str, list[tuple[Any, ...]]] = {split: [] for split in shards.SPLITS}
    for clip, (shard, row) in zip(books.clips, books.places, strict=True):
        split = "val" if clip.song in validation else "train"
        rows[split].append((shard, row, song_number[clip.song], file_number[clip.file], clip.start_s, clip.level_db))
    return {split: np.array(entries, dtype=shards.ROW) for split, entries in rows.items()}


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
