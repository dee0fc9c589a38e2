"""Data sets of seeded noise in the forms that `prepare` and `render` write: for a dry run, and for measuring speed."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from powermuse import registry
from powermuse.audio import features
from powermuse.codecs import LATENT_RMS
from powermuse.data import index, shards, triplets
from powermuse.data.render.mappings import MAPPINGS
from powermuse.data.render.score import Beat, Note, Part, Score
from powermuse.data.shards import ClipInfo, FileInfo, Header
from powermuse.data.triplets import Rendered, Shard
from powermuse.recipe import Choice, Recipe

_LEVEL_DB = -20.0
_VALIDATION_SHARE = 0.1
_ONSETS_A_FRAME = 0.1
_KICK, _BASS = 36, 40
_NOTE_S = 0.2


def make_up(folder: Path, codec: Choice, clip_frames: int, songs: int = 4, clips_each: int = 2, seed: int = 0) -> None:
    """Writes `songs` songs of `clips_each` consecutive clips, latents of RMS 5.7; the same for the same seed.

    From three songs on, both splits have clips, and the training split two songs at least.
    """
    header = _header(codec, clip_frames)
    chance = np.random.default_rng(seed)
    infos = [
        ClipInfo(f"{song}.wav", f"{song}.wav", i * header.clip_s, _LEVEL_DB)
        for song in range(songs)
        for i in range(clips_each)
    ]
    files = [FileInfo(f"{song}.wav", 0, 0, clips_each) for song in range(songs)]
    (folder / "shards").mkdir(parents=True)
    clips = [_clip(chance, header.latent_dim, clip_frames) for _ in infos]
    shards.write_shard(shards.shard_path(folder, 0), clips, infos, files)
    index.write(folder, header, index.gather(folder), _VALIDATION_SHARE)


def make_up_triplets(
    folder: Path, codec: Choice, clip_frames: int, count: int = 4, seed: int = 0, first: int = 0, truths: int = 1
) -> None:
    """Writes `count` triplets of such noise to each of train (numbers from `first` on) and val, each with `truths`,
    made by all orchestrations in turn, as they say; in each clip beats twice a second, a kick and a bass note on each.
    """
    header = _header(codec, clip_frames)
    chance = np.random.default_rng(seed)
    beats = tuple(Beat(k / 2, k % 4 == 0) for k in range(int(2 * header.clip_s)))
    score = Score(header.clip_s, 120.0, _parts(beats), (), beats)
    folder.mkdir(parents=True)
    for split, begin in (("train", first), ("val", 0)):
        part = Shard(begin, begin + count)
        made = [_triplet(chance, header, index, truths, score) for index in range(*part)]
        (folder / split).mkdir()
        triplets.write_shard(folder / split / part.name, part, made)
        (folder / split / "plan.json").write_text("{}")
    (folder / "dataset.json").write_text(json.dumps(triplets.described(header, seed)))


def stand_in(folder: Path, dataset: Path, codec: Choice) -> None:
    """Makes `folder` a data set of the same clips, prepared or rendered, under other options of their codec."""
    folder.mkdir()
    for name in ("shards", "shards.npy", "names.json", *(f"{s}.npy" for s in shards.SPLITS), *shards.SPLITS):
        if (dataset / name).exists():
            (folder / name).symlink_to((dataset / name).absolute())
    described = json.loads((dataset / "dataset.json").read_text())
    described["header"]["codec_options"] = {**registry.defaults("codecs", codec.name), **codec.options}
    (folder / "dataset.json").write_text(json.dumps(described))


def fit_for_made_up(full: Recipe) -> Recipe:
    """A recipe that takes made-up triplets, which are few and begin at 0, wherever its own begin."""
    return dataclasses.replace(full, data=dataclasses.replace(full.data, first=0, triplets=0))


def _parts(beats: tuple[Beat, ...]) -> tuple[Part, ...]:
    struck = [(beat.time_s, beat.time_s + _NOTE_S) for beat in beats]
    kick, bass = (tuple(Note(*when, pitch, 90) for when in struck) for pitch in (_KICK, _BASS))
    return Part("drums", 0, kick), Part("bass", 33, bass)


def _triplet(chance: np.random.Generator, header: Header, index: int, truths: int, score: Score) -> Rendered:
    name, orchestrations = f"{index:05d}", list(MAPPINGS)
    made_by = [orchestrations[(index + k) % len(orchestrations)] for k in range(truths)]
    tensors: dict[str, torch.Tensor] = {}
    roles = ("groove", "harmony", *(f"truth.{k}" for k in range(truths)))
    for role in roles:
        tensors[f"{name}/{role}"] = _clip(chance, header.latent_dim, header.clip_frames)
        tensors |= triplets.knowledge(f"{name}/{role}", score)
    return Rendered(tensors, {"mappings": ", ".join(made_by)}, {role: triplets.facts(score) for role in roles})


def _header(codec: Choice, clip_frames: int) -> Header:
    cls = registry.find("codecs", codec.name)[1]
    options = {**registry.defaults("codecs", codec.name), **codec.options}
    return Header(codec.name, options, cls.sample_rate_hz, cls.hop_samples, cls.latent_dim, clip_frames)


def _clip(chance: np.random.Generator, latent_dim: int, frames: int) -> torch.Tensor:
    """Packed noise [D + 33, T]: onsets here and there, one pitch class of each frame at 1, levels around -20 dBFS."""
    z_DT = LATENT_RMS * chance.standard_normal((latent_dim, frames))
    struck_KT = chance.random((features.ONSET_BANDS, frames)) < _ONSETS_A_FRAME
    onsets_KT = struck_KT * chance.random(struck_KT.shape)
    chroma_PT = chance.random((features.CHROMA_ROWS, frames))
    level_T = _LEVEL_DB + 3.0 * chance.standard_normal(frames)
    parts = (z_DT, onsets_KT, chroma_PT / chroma_PT.max(axis=0), level_T)
    return shards.pack(*(torch.from_numpy(part).float() for part in parts))
