"""A data set on disk: shards of float16 latents with their features, and fixed-width tables of the clips.

DATASET/dataset.json            codec, rates, clip length, feature version, counts, what was left out and why
DATASET/shards/00000.safetensors   one tensor [D + 21, T] a clip (latents, 8 onset bands, 12 pitch classes, level);
                                   its header describes the clips, so that everything else can be made again
DATASET/train.npy, val.npy      a row a clip: shard, row, song, file, start, level; memory-mapped
DATASET/names.json              files and songs by number
"""

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

FORMAT = 1
FEATURE_ROWS = features.ONSET_BANDS + features.PITCH_CLASSES + 1
SPLITS = ("train", "val")

ROW = np.dtype(
    [("shard", "<u4"), ("row", "<u4"), ("song", "<u4"), ("file", "<u4"), ("start_s", "<f8"), ("level_db", "<f4")]
)


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


def pack(z_DT: Tensor, onsets_KT: Tensor, chroma_PT: Tensor, level_T: Tensor) -> Tensor:
    """One float16 tensor [D + 21, T] of a clip."""
    return torch.cat([z_DT, onsets_KT, chroma_PT, level_T[None]]).to(torch.float16)


def unpack(packed_BRT: Tensor) -> Clip:
    """Clips from packed tensors [B, D + 21, T], float32."""
    parts = packed_BRT.float().split(
        [packed_BRT.shape[1] - FEATURE_ROWS, features.ONSET_BANDS, features.PITCH_CLASSES, 1], dim=1
    )
    return Clip(parts[0], parts[1], parts[2], parts[3][:, 0])


def write_shard(path: Path, clips: list[Tensor], infos: list[ClipInfo], files: list[FileInfo]) -> None:
    """One shard, whole or not at all."""
    # One key: the order of several in the header is not fixed, and the same music shall give the same bytes.
    metadata = {"book": json.dumps({"clips": [asdict(i) for i in infos], "files": [asdict(f) for f in files]})}
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


class Dataset:
    """Random access to one split of a data set; shards are opened when first read."""

    def __init__(self, folder: str | os.PathLike[str], split: str = "train") -> None:
        self.folder = Path(folder)
        self.header = read_header(self.folder)
        if split not in SPLITS:
            raise BadInput(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
        self.split = split
        self.table = _read_table(self.folder / f"{split}.npy")
        self._shards: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.table)

    def clips(self, rows: list[int], start: int = 0, frames: int | None = None) -> Clip:
        """A batch of clips, or of the same stretch of each."""
        return self.crops(rows, [start] * len(rows), frames or self.header.clip_frames)

    def crops(self, rows: list[int], starts: list[int], frames: int) -> Clip:
        """A batch of stretches of `frames` frames, each with its own start."""
        packed = [self._shard(row)[:, start : start + frames] for row, start in zip(rows, starts, strict=True)]
        return unpack(torch.stack(packed))

    def latent_mean(self, most: int = 256) -> Tensor:
        """Mean of each latent channel [D] over `most` clips spread evenly over the split."""
        rows = np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int)
        sums = [self.clips([int(row)]).z_BDT.mean(dim=(0, 2)) for row in rows]
        return torch.stack(sums).mean(dim=0)

    def _shard(self, row: int) -> Any:
        entry = self.table[row]
        number = int(entry["shard"])
        if number not in self._shards:
            path = shard_path(self.folder, number)
            try:
                self._shards[number] = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise BadInput(f"{path}: cannot be read ({error}); prepare the data set again") from None
        return self._shards[number].get_slice(f"{int(entry['row']):05d}")

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """`files` and `songs` by the numbers of the table."""
        names: dict[str, list[str]] = json.loads((self.folder / "names.json").read_text())
        return names


def _read_table(path: Path) -> np.ndarray:
    try:
        table: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path}: missing or damaged ({error}); prepare the data set again") from None
    if table.dtype != ROW:
        raise BadInput(f"{path}: is not a table of clips; prepare the data set again")
    return table


def shard_path(folder: Path, number: int) -> Path:
    """Path of a shard by its number."""
    return folder / "shards" / f"{number:05d}.safetensors"


def read_header(folder: Path) -> Header:
    """What a data set is made of. Raises BadInput where there is none, or one of another format."""
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
    return header
