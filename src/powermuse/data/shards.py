"""A data set on disk: shards of float16 latents with their features, and fixed-width tables of the clips.

DATASET/dataset.json            codec, rates, clip length, feature version, counts, digests of the tables
DATASET/shards/00000.safetensors   one tensor [D + 33, T] a clip (latents, 8 onset bands, 24 rows of chroma, level);
                                   its header describes the clips, so that everything else can be made again
DATASET/train.npy, val.npy      a row a clip: shard, row, song, file, start, level; memory-mapped
DATASET/shards.npy              a row a shard: number, size, digest of its header; memory-mapped
DATASET/names.json              files and songs by number
DATASET/left_out.json           files that were not used, or not all of them, and why

Nothing that is read when training starts grows with the number of clips.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from powermuse import disk
from powermuse.audio import features
from powermuse.types import BadInput, Clip

FORMAT = 2
FEATURE_ROWS = features.ONSET_BANDS + features.CHROMA_ROWS + 1
SPLITS = ("train", "val")

ROW = np.dtype(
    [("shard", "<u4"), ("row", "<u4"), ("song", "<u4"), ("file", "<u4"), ("start_s", "<f8"), ("level_db", "<f4")]
)
SHARD = np.dtype([("number", "<u4"), ("size", "<u8"), ("header", "<u8")])


@dataclass(frozen=True)
class Header:
    """What a data set is made of; two parts with different headers do not belong together."""

    codec: str
    codec_options: dict[str, Any]
    sample_rate_hz: int
    hop_samples: int
    latent_dim: int
    clip_frames: int
    feature_version: int = features.VERSION
    format: int = FORMAT

    @property
    def clip_s(self) -> float:
        """Length of a clip in seconds."""
        return self.clip_frames * self.hop_samples / self.sample_rate_hz


@dataclass(frozen=True)
class ClipInfo:
    """Where a clip came from."""

    file: str
    song: str
    start_s: float
    level_db: float


@dataclass(frozen=True)
class FileInfo:
    """A file that a shard has done with."""

    path: str
    size: int
    modified_ns: int
    clips: int
    skipped: str = ""
    """Why it, or a part of it, was left out."""
    unreadable: bool = False
    place: str = ""
    """Which place it lay at, as `finished.place` has it; of old data sets, as the digest, not known."""
    digest: str = ""
    """SHA-256 of its content, where it could be read."""

    @property
    def try_again(self) -> bool:
        """Whether nothing came of it but the news that it could not be read."""
        return self.unreadable and not self.clips


def pack(z_DT: Tensor, onsets_KT: Tensor, chroma_PT: Tensor, level_T: Tensor) -> Tensor:
    """One float16 tensor [D + 33, T] of a clip."""
    return torch.cat([z_DT, onsets_KT, chroma_PT, level_T[None]]).to(torch.float16)


def unpack(packed_BRT: Tensor) -> Clip:
    """Clips from packed tensors [B, D + 33, T], float32."""
    parts = packed_BRT.float().split(
        [packed_BRT.shape[1] - FEATURE_ROWS, features.ONSET_BANDS, features.CHROMA_ROWS, 1], dim=1
    )
    return Clip(parts[0], parts[1], parts[2], parts[3][:, 0])


def write_shard(path: Path, clips: list[Tensor], infos: list[ClipInfo], files: list[FileInfo]) -> None:
    """One shard, whole or not at all. Its header holds a digest of its tensors: other sound, another header."""
    digest = hashlib.blake2b(digest_size=16)
    for clip in clips:
        digest.update(clip.contiguous().numpy().tobytes())
    book = {"clips": [asdict(i) for i in infos], "files": [asdict(f) for f in files], "tensors": digest.hexdigest()}
    # One key: the order of several in the header is not fixed, and the same music shall give the same bytes.
    metadata = {"book": json.dumps(book)}
    tensors = {f"{i:05d}": clip.contiguous() for i, clip in enumerate(clips)}
    disk.write_bytes(path, safetensors.torch.save(tensors, metadata=metadata))


def read_shard_header(path: Path) -> tuple[list[ClipInfo], list[FileInfo]]:
    """Clips and files of a shard. Raises BadInput for a damaged one."""
    try:
        with safe_open(path, framework="pt") as shard:
            metadata = shard.metadata()
        book = json.loads(metadata["book"])
        return [ClipInfo(**c) for c in book["clips"]], [FileInfo(**f) for f in book["files"]]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: damaged shard ({error}); remove it and prepare again") from None


def shard_entry(path: Path) -> tuple[int, int, int]:
    """The row of a shard in `shards.npy`; of its content only the header is read. Raises OSError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = os.fstat(file.fileno()).st_size
        header = hashlib.blake2b(file.read(min(length, size)), digest_size=8).digest()
    return int(path.stem), size, int.from_bytes(header, "little")


class Dataset:
    """Random access to one split of a data set; shards are opened when first read."""

    def __init__(self, folder: str | os.PathLike[str], split: str = "train") -> None:
        self.folder = Path(folder)
        self.header, content = _described(self.folder)
        if content.get("kind") == "triplets":
            raise BadInput(f"{self.folder}: holds rendered triplets; train on it with -s data.pairing=triplets")
        if split not in SPLITS:
            raise BadInput(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
        self.split = split
        clips, self.songs, self.in_a_row, self.record = _facts(self.folder, split, content)
        """How many songs the split has; whether some file gave two clips in a row; digests of the tables."""
        self.table = _read_table(self.folder / f"{split}.npy", ROW, clips)
        self._known = _read_table(self.folder / "shards.npy", SHARD)
        self._shards: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.table)

    def clips(self, rows: list[int], start: int = 0, frames: int | None = None) -> Clip:
        """A batch of clips, or of the same stretch of each."""
        return self.crops(rows, [start] * len(rows), frames or self.header.clip_frames)

    def crops(self, rows: list[int], starts: list[int], frames: int) -> Clip:
        """A batch of stretches of `frames` frames, each with its own start."""
        return unpack(self.packed(rows, starts, frames))

    def packed(self, rows: list[int], starts: list[int], frames: int) -> Tensor:
        """The same as it is kept: float16 [B, D + 33, frames]."""
        found = [self._clip(row)[:, start : start + frames] for row, start in zip(rows, starts, strict=True)]
        return torch.stack(found)

    def latent_mean(self, most: int = 256) -> Tensor:
        """Mean of each latent channel [D] over `most` clips spread evenly over the split."""
        rows = np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int)
        sums = [self.clips([int(row)]).z_BDT.mean(dim=(0, 2)) for row in rows]
        return torch.stack(sums).mean(dim=0)

    def _clip(self, row: int) -> Any:
        entry = self.table[row]
        number = int(entry["shard"])
        if number not in self._shards:
            self._shards[number] = self._opened(number)
        return self._shards[number].get_slice(f"{int(entry['row']):05d}")

    def _opened(self, number: int) -> Any:
        """A shard by memory map. Raises BadInput where it is not the one that was indexed."""
        path = shard_path(self.folder, number)
        at = int(np.searchsorted(self._known["number"], number))
        try:
            if at == len(self._known) or self._known[at].item() != shard_entry(path):
                raise BadInput(f"{path}: has changed since the data set was made; prepare the data set again")
            return safe_open(path, framework="pt")
        except (SafetensorError, OSError) as error:
            raise BadInput(f"{path}: cannot be read ({error}); prepare the data set again") from None

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """`files` and `songs` by the numbers of the table."""
        names: dict[str, list[str]] = json.loads((self.folder / "names.json").read_text())
        return names


def follow(starts_s: np.ndarray, clip_s: float) -> np.ndarray:
    """For each start [N] but the last, whether the next clip begins where this one ends: [N - 1]."""
    found: np.ndarray = abs(np.diff(starts_s) - clip_s) < 1e-3
    return found


def _facts(folder: Path, split: str, content: dict[str, Any]) -> tuple[int, int, bool, dict[str, str]]:
    """What `dataset.json` tells of a split, so that no table needs to be searched."""
    try:
        clips, songs = (int(content[what][split]) for what in ("clips", "songs"))
        return clips, songs, bool(content["in_a_row"][split]), dict(content["record"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder / 'dataset.json'}: damaged ({error}); prepare the data set again") from None


def _read_table(path: Path, kind: np.dtype[Any], length: int | None = None) -> np.ndarray:
    try:
        table: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path}: missing or damaged ({error}); prepare the data set again") from None
    if table.dtype != kind or table.ndim != 1:
        raise BadInput(f"{path}: is not a table of a data set; prepare the data set again")
    if length is not None and len(table) != length:
        raise BadInput(f"{path}: has {len(table)} clips, dataset.json says {length}; prepare the data set again")
    return table


def shard_path(folder: Path, number: int) -> Path:
    """Path of a shard by its number."""
    return folder / "shards" / f"{number:05d}.safetensors"


def read_header(folder: Path) -> Header:
    """What a data set is made of. Raises BadInput where there is none, or one of another format."""
    return _described(folder)[0]


def _described(folder: Path) -> tuple[Header, dict[str, Any]]:
    path = folder / "dataset.json"
    if not path.is_file():
        raise BadInput(f"{folder}: is not a prepared data set; make one with: powermuse prepare MUSIC -o {folder}")
    try:
        content = json.loads(path.read_text())
        header = Header(**content["header"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: damaged ({error}); prepare the data set again") from None
    if (header.format, header.feature_version) != (FORMAT, features.VERSION):
        raise BadInput(
            f"{folder}: has format {header.format} and features {header.feature_version}, "
            f"this version wants {FORMAT} and {features.VERSION}; prepare it again"
        )
    return header, content
