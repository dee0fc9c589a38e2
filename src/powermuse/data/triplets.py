"""Rendered triplets on disk: clips whose notes, chords and beats are known.

DATASET/dataset.json                    kind "triplets", codec, rates, clip length, feature version, seed
DATASET/SPLIT/plan.json                 fonts with their digests, and what else decides how the split sounds
DATASET/SPLIT/00000-00064.safetensors   triplets 0 to 63: of each its clips, as `00012/groove` the packed tensor
                                        [D + 33, T] of data/shards.py, as `00012/groove/notes` and the like what is
                                        known; the header holds tempo, programs, origin and a digest of each triplet
DATASET/SPLIT/sound/00012.groove.flac   waveforms, where they were asked for

A triplet is a function of (seed, split, number), so shards that were made anywhere can be copied together.
"""

import json
import os
from dataclasses import asdict
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from powermuse import disk
from powermuse.audio import features, files
from powermuse.data import shards
from powermuse.data.render.score import Beat, Chord, Note, Part, Score
from powermuse.data.shards import Header
from powermuse.metrics.chords import QUALITIES
from powermuse.types import BadInput, Clip

KIND = "triplets"
FORMAT = 1
"""Raise when the same seed gives another sound or another file: parts of two formats do not belong together."""
SPLITS = ("train", "val", "test")
A_SHARD = 64
_QUALITIES = tuple(QUALITIES)


class Shard(NamedTuple):
    """A shard by the numbers of its triplets, which are its name."""

    begin: int
    end: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.begin:05d}-{self.end:05d}.safetensors"


class Rendered(NamedTuple):
    """One triplet to be written: its tensors by name, where it comes from, and the facts of its clips by role."""

    tensors: dict[str, Tensor]
    origin: dict[str, str]
    clips: dict[str, Any]


def described(header: Header, seed: int) -> dict[str, Any]:
    """What `dataset.json` holds."""
    return {"kind": KIND, "format": FORMAT, "header": asdict(header), "seed": seed}


def is_one(folder: Path) -> bool:
    """Whether a folder holds rendered triplets."""
    try:
        return bool(json.loads((folder / "dataset.json").read_text()).get("kind") == KIND)
    except (OSError, ValueError, AttributeError):
        return False


def found(folder: Path, split: str) -> list[Shard]:
    """The shards of a split, in the order of their numbers."""
    names = (path.stem.partition("-") for path in (folder / split).glob("[0-9]*-[0-9]*.safetensors"))
    return sorted(Shard(int(a), int(b)) for a, _, b in names if a.isdecimal() and b.isdecimal())


def ranges(parts: list[Shard]) -> list[tuple[int, int]]:
    """The numbers that shards cover, as few stretches as can be."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(parts):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def knowledge(name: str, score: Score) -> dict[str, Tensor]:
    """What is known of a clip as tensors: notes [n, 5] (start_s, end_s, pitch, velocity, part), chords [m, 4]
    (start_s, end_s, root, number of the quality), beats [k, 2] (time_s, 1 for a downbeat)."""
    notes = [(*note, i) for i, part in enumerate(score.parts) for note in part.notes]
    chords = [(c.start_s, c.end_s, c.root, _QUALITIES.index(c.quality)) for c in score.chords]
    return {
        f"{name}/notes": torch.tensor(notes).float().reshape(-1, 5),
        f"{name}/chords": torch.tensor(chords).float().reshape(-1, 4),
        f"{name}/beats": torch.tensor([(time_s, float(down)) for time_s, down in score.beats]).float().reshape(-1, 2),
    }


def facts(score: Score) -> dict[str, Any]:
    """What is known of a clip beside its tensors."""
    parts = [[part.name, part.program] for part in score.parts]
    return {"duration_s": score.duration_s, "tempo_bpm": score.tempo_bpm, "parts": parts}


def write_shard(path: Path, part: Shard, rendered: list[Rendered]) -> None:
    """One shard, whole or not at all, with a digest of each triplet."""
    book = {
        f"{index:05d}": {"origin": each.origin, "clips": each.clips, "digest": _digest(each.tensors)}
        for index, each in zip(range(part.begin, part.end), rendered, strict=True)
    }
    tensors = {name: tensor.contiguous() for each in rendered for name, tensor in each.tensors.items()}
    # One key: the order of several in the header is not fixed, and the same music shall give the same bytes.
    disk.write_bytes(path, safetensors.torch.save(tensors, metadata={"book": json.dumps(book)}))


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def asked(first: int, count: int) -> str:
    """The words of `powermuse render` that make so many triplets from `first` on."""
    return f"--from {first} --to {first + count}" if first else f"--triplets {count}"


def beat_frames(beats_K2: Tensor, frames: int) -> Tensor:
    """[T]: 2 on the frame of a downbeat, 1 on that of another beat, else 0."""
    beats_T = torch.zeros(frames)
    for time_s, is_downbeat in beats_K2.tolist():
        # A beat on the border of two frames is the later's, whichever side its float32 fell on.
        frame = int(time_s * features.FRAME_RATE_HZ + 1e-3)
        if 0 <= frame < frames:
            beats_T[frame] = 1.0 + is_downbeat
    return beats_T


class Triplets:
    """Random access to `count` triplets of one split from `first` on, by the numbers that they were rendered under;
    shards are opened when first read, and none before `first` has to be there.

    `count` None takes all that are there without a gap. Raises BadInput where there are fewer than `count`.
    """

    def __init__(
        self, folder: str | os.PathLike[str], split: str = "train", count: int | None = None, first: int = 0
    ) -> None:
        self.folder, self.split, self.first = Path(folder), split, first
        self.header, self.seed = read(self.folder)
        if split not in SPLITS:
            raise BadInput(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
        self._parts = found(self.folder, split)
        ready = next((end for begin, end in ranges(self._parts) if begin <= first < end), first)
        if count is not None and first + count > ready:
            raise BadInput(
                f"{self.folder}: the {split} split has triplets {first} to {ready}, not to {first + count}; render the "
                f"others: powermuse render -o {self.folder} --split {split} {asked(first, count)}"
            )
        self.count = ready - first if count is None else count
        self._open: dict[Shard, Any] = {}
        self._books: dict[Shard, dict[str, Any]] = {}

    def __len__(self) -> int:
        return self.count

    @property
    def numbers(self) -> range:
        """Those of the triplets."""
        return range(self.first, self.first + self.count)

    def roles(self, index: int) -> tuple[str, ...]:
        """Names of a triplet's clips: groove, harmony, truth.0, truth.1 ..."""
        return tuple(self._facts(index)["clips"])

    def truths(self, index: int) -> int:
        """How many truths a triplet has."""
        return len(self.roles(index)) - 2

    def clip(self, index: int, role: str) -> Clip:
        """A whole clip, with its beats, as a batch of one."""
        return self.crops([index], [role], [0], self.header.clip_frames)

    def crops(self, indices: list[int], roles: list[str], starts: list[int], frames: int) -> Clip:
        """A batch of stretches of `frames` frames, each of its own clip and with its own start."""
        packed, beats = [], []
        for index, role, start in zip(indices, roles, starts, strict=True):
            packed.append(self._shard(index).get_slice(f"{index:05d}/{role}")[:, start : start + frames])
            found_T = beat_frames(self._tensor(index, role, "beats"), self.header.clip_frames)
            beats.append(found_T[start : start + frames])
        return shards.unpack(torch.stack(packed))._replace(beats_BT=torch.stack(beats))

    def score(self, index: int, role: str) -> Score:
        """What was played."""
        told = self._facts(index)["clips"][role]
        notes_N5, chords_M4, beats_K2 = (self._tensor(index, role, kind) for kind in ("notes", "chords", "beats"))
        notes: list[list[Note]] = [[] for _ in told["parts"]]
        for start_s, end_s, pitch, velocity, part in notes_N5.tolist():
            notes[int(part)].append(Note(start_s, end_s, int(pitch), int(velocity)))
        return Score(
            told["duration_s"],
            told["tempo_bpm"],
            tuple(Part(name, program, tuple(n)) for (name, program), n in zip(told["parts"], notes, strict=True)),
            tuple(Chord(a, b, int(root), _QUALITIES[int(quality)]) for a, b, root, quality in chords_M4.tolist()),
            tuple(Beat(time_s, bool(down)) for time_s, down in beats_K2.tolist()),
        )

    def pitched(self, index: int, role: str) -> Tensor:
        """The notes [n, 5] of a clip (see `knowledge`) but for those of drums."""
        notes_N5 = self._tensor(index, role, "notes")
        parts = [Part(name, program, ()) for name, program in self._facts(index)["clips"][role]["parts"]]
        return notes_N5[~torch.tensor([part.is_drums for part in parts], dtype=torch.bool)[notes_N5[:, 4].long()]]

    def origin(self, index: int) -> dict[str, str]:
        """Where rhythm, chart, style and instruments come from, and the font."""
        return dict(self._facts(index)["origin"])

    def orchestrations(self, index: int) -> list[str]:
        """By which way each truth was made of the groove's drums: names in `data.render.mappings`."""
        return self._facts(index)["origin"]["mappings"].split(", ")

    def sound(self, index: int, role: str) -> np.ndarray:
        """The waveform [N] that the latents were made of. Raises BadInput where it was not kept."""
        path = sound_path(self.folder, self.split, index, role)
        if not path.is_file():
            raise BadInput(f"{path}: was not kept; render with --sound")
        # A file cannot go beyond full scale; the clip, at -20 dBFS, may.
        gain: float = self._facts(index)["clips"][role]["sound_gain"]
        return files.read(path, self.header.sample_rate_hz)[0] / np.float32(gain)

    def latent_mean(self, most: int = 64) -> Tensor:
        """Mean of each latent channel [D] over the grooves and harmonies of `most` triplets spread over the split."""
        places = np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int).tolist()
        clips = [self.clip(self.numbers[place], role) for place in places for role in ("groove", "harmony")]
        return torch.stack([clip.z_BDT.mean(dim=(0, 2)) for clip in clips]).mean(dim=0)

    @cached_property
    def record(self) -> dict[str, str]:
        """Digests of the plan and of what is in the triplets: another sound, another record."""
        content = blake2b(digest_size=16)
        for index in self.numbers:
            content.update(self._facts(index)["digest"].encode())
        plan = blake2b((self.folder / self.split / "plan.json").read_bytes(), digest_size=16).hexdigest()
        return {f"{self.split}.plan": plan, f"{self.split}.triplets": content.hexdigest()}

    def _tensor(self, index: int, role: str, kind: str) -> Tensor:
        return self._shard(index).get_tensor(f"{index:05d}/{role}/{kind}")

    def _facts(self, index: int) -> dict[str, Any]:
        part = self._part(index)
        if part not in self._books:
            self._books[part] = json.loads(self._shard(index).metadata()["book"])
        told: dict[str, Any] = self._books[part][f"{index:05d}"]
        return told

    def _part(self, index: int) -> Shard:
        """The shard of a triplet, which any range may have begun."""
        for part in self._parts:
            if part.begin <= index < part.end:
                return part
        raise IndexError(f"{self.folder}: the {self.split} split has no triplet {index}")

    def _shard(self, index: int) -> Any:
        part = self._part(index)
        if part not in self._open:
            path = self.folder / self.split / part.name
            try:
                self._open[part] = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise BadInput(f"{path}: cannot be read ({error}); remove it and render again") from None
        return self._open[part]


def sound_path(folder: Path, split: str, index: int, role: str) -> Path:
    """Where the waveform of a clip is kept."""
    return folder / split / "sound" / f"{index:05d}.{role}.flac"


def read(folder: Path) -> tuple[Header, int]:
    """Header and seed of rendered triplets. Raises BadInput where there are none, or of another format."""
    path = folder / "dataset.json"
    if not is_one(folder):
        raise BadInput(f"{folder}: holds no rendered triplets; make some: powermuse render -o {folder} --triplets 1000")
    try:
        content = json.loads(path.read_text())
        header, seed, version = Header(**content["header"]), int(content["seed"]), content["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: damaged ({error}); render the data set again") from None
    if (version, header.feature_version) != (FORMAT, features.VERSION):
        raise BadInput(
            f"{folder}: has format {version} and features {header.feature_version}, "
            f"this version wants {FORMAT} and {features.VERSION}; render it again"
        )
    return header, seed


def describe(folder: Path) -> dict[str, Any]:
    """What `powermuse info` tells: which triplets of each split there are, and how they were made."""
    header, seed = read(folder)
    told: dict[str, Any] = {}
    for split in SPLITS:
        if parts := found(folder, split):
            try:
                plan = dict(json.loads((folder / split / "plan.json").read_text()))
            except (ValueError, TypeError) as error:
                raise BadInput(f"{folder}/{split}/plan.json: damaged ({error}); render the data set again") from None
            stretches = ranges(parts)
            told[split] = {
                "triplets": sum(end - begin for begin, end in stretches),
                "numbers": [f"{begin} to {end - 1}" for begin, end in stretches],
                **plan,
            }
    return {"kind": "rendered triplets", "folder": str(folder), "seed": seed, "header": asdict(header), "splits": told}
