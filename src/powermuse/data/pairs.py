"""Training pairs as a pure function of (seed, seen): no state, so a run that resumes sees what it would have seen."""

import hashlib
from typing import Literal, NamedTuple

import numpy as np

from powermuse.chance import number
from powermuse.data import shards
from powermuse.data.shards import Dataset
from powermuse.types import BadInput, Pair

_VALIDATION_SEED = 0

Pairing = Literal["continuation", "shuffled", "unity"]


class Draw(NamedTuple):
    """One pair: rows of groove and harmony, and the first frame of the crop (the same in both)."""

    groove: int
    harmony: int
    start: int


class PairSource:
    """The pairs of one split. Pair number `seen` is always the same pair, whoever asks and whenever.

    continuation: the next window of the same file; shuffled: a clip of another song; unity: the groove itself, with
    the groove as the truth. Raises BadInput where a split cannot give such pairs.
    """

    def __init__(self, dataset: Dataset, pairing: Pairing, crop_frames: int, seed: int) -> None:
        self.dataset, self.pairing, self.crop_frames, self.seed = dataset, pairing, crop_frames, seed
        where = f"{dataset.folder}: the {dataset.split} split"
        if len(dataset) == 0:
            raise BadInput(f"{where} is empty; prepare more songs")
        if crop_frames > dataset.header.clip_frames:
            raise BadInput(
                f"{where} holds clips of {dataset.header.clip_frames} frames; data.crop_frames {crop_frames} is longer"
            )
        if pairing == "shuffled" and dataset.songs == 1:
            raise BadInput(f"{where} holds one song; prepare more songs, or use data.pairing=continuation on long ones")
        if pairing == "continuation" and not dataset.in_a_row:
            raise BadInput(
                f"{where} holds no two clips in a row; prepare longer songs, or more for data.pairing=shuffled"
            )

    def batch(self, seen: int, size: int) -> Pair:
        """Pairs `seen` to `seen + size` of the run."""
        draws = [self.draw(seen + i) for i in range(size)]
        starts = [d.start for d in draws]
        groove = self.dataset.crops([d.groove for d in draws], starts, self.crop_frames)
        if self.pairing == "unity":
            return Pair(groove, groove, groove)
        return Pair(groove, self.dataset.crops([d.harmony for d in draws], starts, self.crop_frames))

    def draw(self, seen: int) -> Draw:
        """The clips of one pair: each epoch visits every groove once, in an order of its own."""
        epoch, position = divmod(seen, len(self.dataset))
        groove = permuted(position, len(self.dataset), f"{self.seed}/order/{epoch}")
        free = self.dataset.header.clip_frames - self.crop_frames
        start = number(f"{self.seed}/start/{seen}") % (free + 1)
        if self.pairing == "unity":
            return Draw(groove, groove, start)
        if self.pairing == "shuffled":
            return Draw(groove, self._partner(groove, seen), start)
        return Draw(*self._consecutive(groove), start)

    def _partner(self, groove: int, seen: int) -> int:
        song = self.dataset.table["song"]
        attempt = 0
        while True:
            row = number(f"{self.seed}/partner/{seen}/{attempt}") % len(self.dataset)
            if song[row] != song[groove]:
                return row
            attempt += 1

    def _consecutive(self, row: int) -> tuple[int, int]:
        """The clip and the one after it; at a file's end its last two, and where there are none the next file's."""
        for candidate in range(row, row + len(self.dataset)):
            here = candidate % len(self.dataset)
            following, previous = self._next_of(here), here - 1
            if following is not None:
                return here, following
            if previous >= 0 and self._next_of(previous) == here:
                return previous, here
        raise AssertionError("checked when the source was made")

    def _next_of(self, row: int) -> int | None:
        table, clip_s = self.dataset.table, self.dataset.header.clip_s
        if row + 1 >= len(table) or table["file"][row + 1] != table["file"][row]:
            return None
        return row + 1 if shards.follow(table["start_s"][row : row + 2], clip_s)[0] else None


def validation_source(dataset: Dataset, pairing: Pairing, crop_frames: int) -> PairSource | None:
    """The fixed pairs of the validation songs. Where they cannot be paired like the training's (one song cannot be
    shuffled), another way; None where no pair can be made."""
    ways: tuple[Pairing, ...] = (pairing,) if pairing == "unity" else (pairing, "continuation")
    for way in ways:
        try:
            return PairSource(dataset, way, crop_frames, _VALIDATION_SEED)
        except BadInput:
            continue
    return None


def permuted(position: int, length: int, key: str) -> int:
    """Where a keyed permutation of range(length) sends `position`: a four-round Feistel network over the next even
    power of two, walked until it lands inside (Black & Rogaway, CT-RSA 2002). Constant memory and time."""
    half_bits = max(1, ((length - 1).bit_length() + 1) // 2)
    mask = (1 << half_bits) - 1
    rounds = np.frombuffer(hashlib.blake2b(key.encode(), digest_size=32).digest(), dtype="<u8")
    while True:
        left, right = position >> half_bits, position & mask
        for secret in rounds:
            left, right = right, left ^ (_mix(right ^ int(secret)) & mask)
        position = (left << half_bits) | right
        if position < length:
            return position


def _mix(x: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    x &= 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)
