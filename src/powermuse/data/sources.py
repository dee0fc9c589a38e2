"""What a run reads: a prepared data set or rendered triplets, each as training pairs by number."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from powermuse.chance import number
from powermuse.data import equalisers, rolls
from powermuse.data.pairs import PairSource, permuted, validation_source
from powermuse.data.shards import Dataset, Header
from powermuse.data.singles import Singles, open_singles
from powermuse.data.triplets import Triplets, asked
from powermuse.recipe import DataRecipe
from powermuse.types import BadInput, Clip, Pair

_VALIDATION_SEED = 0
_RECORDING = "recording"
_NUMBERS = 2.0**64
"""How many `number` may give."""


class Clips(Protocol):
    """What a run asks of a data set beside its pairs."""

    folder: Path
    header: Header

    def __len__(self) -> int:
        """Clips or triplets to train on."""

    def latent_mean(self) -> Tensor:
        """Mean of each latent channel [D]."""


class Source(Protocol):
    """Pairs by number, the same whoever asks and whenever."""

    crop_frames: int

    def batch(self, seen: int, size: int) -> Pair:
        """Pairs `seen` to `seen + size`."""


class Opened(NamedTuple):
    """A data set as a run uses it."""

    data: Clips
    source: Source
    validation: Source | None
    validation_clips: int
    identity: dict[str, Any]
    """What tells one data set from another: its header, and digests of what is in it."""
    counts: tuple[int, ...] = ()
    """Triplets to train on and to validate on that the run knows; none of a prepared data set, which does not grow."""


class Draw(NamedTuple):
    """One training pair: triplet, which of its truths, and the first frame of the crop (the same in all three)."""

    triplet: int
    truth: int
    start: int
    alone: str = ""
    """The role of the clip that is groove, harmony and truth at once, or `recording`; empty where each is its own."""
    recording: int = -1
    """The row of the recording that it is then."""

    @property
    def roles(self) -> tuple[str, str, str]:
        """What stands for groove, harmony and truth."""
        return (self.alone,) * 3 if self.alone else ("groove", "harmony", f"truth.{self.truth}")


class TripletSource:
    """The pairs of rendered triplets, a share `unity` of which are one clip in all three places: the truth (2 of 3) or
    the harmony, and for a share of them one of `singles`; with `notes` those of each truth; with names of
    `orchestrations`, by which of them each truth was made; with `equaliser_db` harmony and truth of each heard through
    an equaliser that they share. Raises BadInput where there is none, or none long enough."""

    def __init__(
        self,
        dataset: Triplets,
        crop_frames: int,
        seed: int,
        unity: float = 0.0,
        *,
        notes: bool = False,
        orchestrations: Sequence[str] = (),
        singles: Singles | None = None,
        equaliser_db: float = 0.0,
    ) -> None:
        equalisers.check(dataset.header.codec, equaliser_db)
        self.equaliser_db = equaliser_db
        self.dataset, self.crop_frames, self.seed, self.unity, self.notes = dataset, crop_frames, seed, unity, notes
        self.orchestrations, self.singles = list(orchestrations), singles
        where = f"{dataset.folder}: the {dataset.split} split"
        if len(dataset) == 0:
            raise BadInput(
                f"{where} has no triplet {dataset.first}, where these pairs begin; render it: powermuse render "
                f"-o {dataset.folder} --split {dataset.split} {asked(dataset.first, 1000)}"
            )
        if crop_frames > dataset.header.clip_frames:
            raise BadInput(
                f"{where} holds clips of {dataset.header.clip_frames} frames; data.crop_frames {crop_frames} is longer"
            )

    def batch(self, seen: int, size: int) -> Pair:
        """Pairs `seen` to `seen + size` of the run, each with a truth."""
        draws = [self.draw(seen + i) for i in range(size)]
        groove, harmony, truth = (self._clips(draws, [d.roles[place] for d in draws]) for place in range(3))
        if self.equaliser_db:
            gains_db_BD = self._gains_db(range(seen, seen + size))
            harmony, truth = (equalisers.equalised(clip, gains_db_BD) for clip in (harmony, truth))
        notes_BQT = torch.cat([self._notes(d) for d in draws]) if self.notes else None
        return Pair(groove, harmony, truth, notes_BQT, self._orchestrations(draws) if self.orchestrations else None)

    def draw(self, seen: int) -> Draw:
        """Each epoch visits every triplet once, in an order of its own."""
        epoch, position = divmod(seen, len(self.dataset))
        index = self.dataset.numbers[permuted(position, len(self.dataset), f"{self.seed}/order/{epoch}")]
        free = self.dataset.header.clip_frames - self.crop_frames
        truth = number(f"{self.seed}/truth/{seen}") % self.dataset.truths(index)
        return Draw(index, truth, number(f"{self.seed}/start/{seen}") % (free + 1), *self._alone(seen, truth))

    def _gains_db(self, numbers: Iterable[int]) -> Tensor:
        """[B, D] of the equalisers of pairs."""
        dim = self.dataset.header.latent_dim
        return torch.stack([equalisers.curve(f"{self.seed}/equaliser/{i}", dim, self.equaliser_db) for i in numbers])

    def _clips(self, draws: list[Draw], roles: list[str]) -> Clip:
        """The clip of each pair in the role that it has there; beats are known where those of all are."""
        clips = [self._clip(draw, role) for draw, role in zip(draws, roles, strict=True)]
        fields = zip(*clips, strict=True)
        return Clip(*(None if any(x is None for x in xs) else torch.cat(xs) for xs in fields))  # type: ignore[arg-type]

    def _clip(self, draw: Draw, role: str) -> Clip:
        if self.singles is not None and role == _RECORDING:
            return self.singles.dataset.crops([draw.recording], [draw.start], self.crop_frames)
        return self.dataset.crops([draw.triplet], [role], [draw.start], self.crop_frames)

    def _notes(self, draw: Draw) -> Tensor:
        """[1, 88, T]: what the truth of a pair plays."""
        if draw.alone == _RECORDING:
            return rolls.unknown(self.crop_frames)
        return rolls.crops(self.dataset, [draw.triplet], [draw.roles[2]], [draw.start], self.crop_frames)

    def _orchestrations(self, draws: list[Draw]) -> Tensor:
        """[B], counted from 1; 0 where one clip is all three, or of a way that has no name here."""
        names = ["" if d.alone else self.dataset.orchestrations(d.triplet)[d.truth] for d in draws]
        return torch.tensor([1 + self.orchestrations.index(n) if n in self.orchestrations else 0 for n in names])

    def _alone(self, seen: int, truth: int) -> tuple[str, int]:
        """What is all three clips of a pair, and the row of a recording; see `Draw`."""
        if not self._falls("unity", seen, self.unity):
            return "", -1
        if self.singles is not None and self._falls("single", seen, self.singles.share):
            return _RECORDING, number(f"{self.seed}/recording/{seen}") % len(self.singles.dataset)
        return "harmony" if number(f"{self.seed}/alone/{seen}") % 3 == 0 else f"truth.{truth}", -1

    def _falls(self, what: str, seen: int, share: float) -> bool:
        """Whether a pair is of the share that has something."""
        return number(f"{self.seed}/{what}/{seen}") < share * _NUMBERS


def open_data(
    folder: str | Path,
    wanted: DataRecipe,
    seed: int,
    known: Sequence[int] = (),
    *,
    orchestrations: Sequence[str] = (),
) -> Opened:
    """The data set of a run. Of triplets, which others may still be rendering, the run keeps to the `known` ones, or
    to `data.triplets`, or to those that there are without a gap, in training from `data.first` on; their
    pairs tell which of `orchestrations` made the truth. Raises BadInput for what is no such data set."""
    if wanted.pairing == "triplets":
        return _open_triplets(Path(folder), wanted, seed, known, orchestrations)
    data, held_out = Dataset(folder), Dataset(folder, "val")
    source = PairSource(data, wanted.pairing, wanted.crop_frames, seed)
    validation = validation_source(held_out, wanted.pairing, wanted.crop_frames)
    identity = {**asdict(data.header), "clips": len(data), "sha256": data.record}
    return Opened(data, source, validation, len(held_out), identity)


def _open_triplets(
    folder: Path, wanted: DataRecipe, seed: int, known: Sequence[int], orchestrations: Sequence[str]
) -> Opened:
    train_count, val_count = known or (wanted.triplets or None, None)
    train, val = Triplets(folder, "train", train_count, wanted.first), Triplets(folder, "val", val_count)
    singles = open_singles(wanted, train.header)
    with_them: dict[str, Any] = {"notes": wanted.notes, "orchestrations": orchestrations}
    source = TripletSource(
        train, wanted.crop_frames, seed, wanted.unity, **with_them, singles=singles, equaliser_db=wanted.equaliser_db
    )
    validation = TripletSource(val, wanted.crop_frames, _VALIDATION_SEED, **with_them) if len(val) else None
    identity = {
        **asdict(train.header), "seed": train.seed, "triplets": {"train": len(train), "val": len(val)},
        "sha256": {**train.record, **(val.record if len(val) else {})},
    }  # fmt: skip
    if singles is not None:
        identity["singles"] = {"clips": len(singles.dataset), "sha256": singles.dataset.record}
    return Opened(train, source, validation, len(val), identity, (len(train), len(val)))
