"""From folders of music to a data set: walk, cut, drop silence, encode once, write shards to go on from."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from powermuse import disk, registry
from powermuse.audio import clips as cutting
from powermuse.audio import features, files
from powermuse.codecs import Codec
from powermuse.data import finished, index, lock, shards, walk
from powermuse.data.index import Gathered, Summary
from powermuse.data.pool import cores, in_order
from powermuse.data.shards import ClipInfo, FileInfo, Header
from powermuse.types import BadInput

CLIP_S = 16.0
CLIPS_A_SHARD = 256
_SHARDS_A_PART = 1_000_000
_ENCODE_BATCH = 8
_SHORTEST_S = 1.0


@dataclass(frozen=True)
class Plan:
    """What to prepare, and how."""

    folders: tuple[str, ...]
    out: str
    codec: str = "mel"
    codec_options: dict[str, Any] = field(default_factory=dict)
    workers: int = 0
    """Processes; 0 takes one for each core."""
    validation_share: float = 0.1
    """Share of the songs, chosen by their names, that training never sees."""
    songs_are: Literal["files", "folders"] = "files"
    """`folders`: the files of a folder are takes or stems of one song and stay on one side of the split."""
    loop_short: bool = False
    """Repeat files of 1 to 16 s to a whole clip (for loops) instead of leaving them out."""


class Part(NamedTuple):
    """Part `number` (from 0) of `of` equal ones, for as many processes on as many machines."""

    number: int = 0
    of: int = 1


class Prepared(NamedTuple):
    """One file's clips, packed, and its entry in the book."""

    clips: list[np.ndarray]
    infos: list[ClipInfo]
    file: FileInfo


OnProgress = Callable[[int, int, str, int], None]
"""Called after each file with: files done, files in all, the file, its clips."""


def prepare(plan: Plan, on_progress: OnProgress = lambda *_: None) -> Summary:
    """Prepares what is not prepared yet, as the only writer. Raises BadInput where nothing can come of it, or another
    process is preparing the same data set."""
    out = Path(plan.out)
    found = begin(plan)
    with lock.only_writer(out):
        disk.remove_unfinished(out / "shards")
        disk.remove_unfinished(out)
        _prepare_part(plan, found, Part(), on_progress)
        return finish(plan)


def begin(plan: Plan) -> list[tuple[Path, str]]:
    """Makes the directory of the data set, or checks that it was begun the same way, and lists the files with their
    names, sorted. Several processes may do so at once. Raises BadInput."""
    out = Path(plan.out)
    found = walk.sound_files(plan.folders, on_error=lambda error: None)  # `finish` tells of them
    begun = {"header": asdict(_header(plan)), "songs_are": plan.songs_are, "loop_short": plan.loop_short}
    # Looked at before the plan: what another process puts there comes after its plan.
    taken = out.exists() and (not out.is_dir() or any(not p.name.startswith(".plan.") for p in out.iterdir()))
    if (out / "plan.json").exists():
        _check_same(begun, out)
    elif taken:
        raise BadInput(f"{out}: is not empty and not a data set; name another directory")
    else:  # no plan is kept of a codec that cannot be had
        registry.build("codecs", plan.codec, plan.codec_options)
    out.mkdir(parents=True, exist_ok=True)
    # First, so that who finds shards finds the plan of them.
    disk.write_text(out / "plan.json", json.dumps(begun, indent=1))
    (out / "shards").mkdir(exist_ok=True)
    return found


def prepare_part(plan: Plan, part: Part, on_progress: OnProgress = lambda *_: None) -> tuple[int, int]:
    """Prepares every `part.of`-th file, in shards with numbers of their own: other processes may prepare other parts
    at the same time. Gives files and clips that were new; `finish` makes a data set of all parts. Raises BadInput where
    another process is preparing the part."""
    found = begin(plan)
    with lock.only_writer_of_part(Path(plan.out), part.number):
        return _prepare_part(plan, found, part, on_progress)


def _prepare_part(plan: Plan, found: list[tuple[Path, str]], part: Part, on_progress: OnProgress) -> tuple[int, int]:
    out = Path(plan.out)
    before = index.finished_files(out)
    todo = finished.still_to_do(found, before, slice(part.number, None, part.of))
    unreadable = {f.path: f for f in before if f.try_again}
    numbers = range(part.number * _SHARDS_A_PART, (part.number + 1) * _SHARDS_A_PART)
    used = [number for number in map(index.shard_number, index.shard_files(out)) if number in numbers]
    buffer = _Buffer(out, max(used, default=numbers.start - 1) + 1)
    new = clips = 0
    for done, prepared in enumerate(_prepared_files(plan, todo), start=1):
        if not _no_news(prepared.file, unreadable.get(prepared.file.path)):
            buffer.add(prepared)
            new += 1
        clips += len(prepared.clips)
        on_progress(done, len(todo), prepared.file.path, prepared.file.clips)
    buffer.flush()
    return new, clips


def _no_news(file: FileInfo, before: FileInfo | None) -> bool:
    """Whether a file that could not be read is unchanged and cannot be read now: no shard is written for that."""
    return before is not None and replace(file, place=before.place, digest=before.digest) == before


def finish(plan: Plan) -> Summary:
    """Tables and `dataset.json` of all shards there are. Raises BadInput where they hold no clip."""
    out = Path(plan.out)
    found = index.gather(out)
    found = found._replace(left_out=found.left_out + walk.unreadable_folders(plan.folders))
    if not len(found.clips):
        raise _nothing(plan, found, out)
    return index.write(out, _header(plan), found, plan.validation_share)


def _nothing(plan: Plan, found: Gathered, out: Path) -> BadInput:
    """The error for music of which no clip was usable; what was begun is removed, so that another way can be tried."""
    for path in (*index.shard_files(out), out / "plan.json"):
        path.unlink()
    (out / "shards").rmdir()
    first = f" (the first: {found.left_out[0].path}: {found.left_out[0].skipped})" if found.left_out else ""
    return BadInput(f"{', '.join(plan.folders)}: not one usable clip in {found.looked_at} files{first}")


def _header(plan: Plan) -> Header:
    codec = registry.find("codecs", plan.codec)[1]
    options = {**registry.defaults("codecs", plan.codec), **plan.codec_options}
    registry.configure("codecs", plan.codec, options)
    frames = round(CLIP_S * codec.sample_rate_hz / codec.hop_samples)
    return Header(plan.codec, options, codec.sample_rate_hz, codec.hop_samples, codec.latent_dim, frames)


def _check_same(begun: dict[str, Any], out: Path) -> None:
    """Raises BadInput where a data set was begun another way."""
    try:
        before = json.loads((out / "plan.json").read_text())
        old, new = ({**b["header"], **{k: b[k] for k in ("songs_are", "loop_short")}} for b in (before, begun))
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{out / 'plan.json'}: damaged ({error}); name another directory") from None
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            was, now = old.get(key), new.get(key)
            raise BadInput(f"{out}: was begun with {key} {was}, now it is {now}; name another directory")


class _Buffer:
    """Collects clips and writes a shard at the end of the file that fills it: a restart begins after a whole file."""

    def __init__(self, out: Path, next_shard: int) -> None:
        self.out, self.next_shard = out, next_shard
        self.clips: list[torch.Tensor] = []
        self.infos: list[ClipInfo] = []
        self.files: list[FileInfo] = []

    def add(self, prepared: Prepared) -> None:
        self.clips += [torch.from_numpy(c) for c in prepared.clips]
        self.infos += prepared.infos
        self.files.append(prepared.file)
        if len(self.clips) >= CLIPS_A_SHARD:
            self.flush()

    def flush(self) -> None:
        if not self.files:
            return
        shards.write_shard(shards.shard_path(self.out, self.next_shard), self.clips, self.infos, self.files)
        self.next_shard += 1
        self.clips, self.infos, self.files = [], [], []


def _prepared_files(plan: Plan, todo: list[tuple[Path, str]]) -> Iterator[Prepared]:
    """Every file's clips, in order."""
    workers = min(plan.workers or cores(), len(todo))
    return in_order(_prepare_file, todo, workers, _make_codec, plan)


_worker: tuple[Plan, Codec] | None = None


def _make_codec(plan: Plan) -> None:
    global _worker
    codec = registry.build("codecs", plan.codec, plan.codec_options)
    _worker = (plan, codec.eval())


def _prepare_file(path: Path, name: str) -> Prepared:
    assert _worker is not None
    plan, codec = _worker
    status = path.stat()
    file = FileInfo(name, status.st_size, status.st_mtime_ns, 0, place=finished.place(path))
    try:
        wav_CN = files.read(path, codec.sample_rate_hz)
        starts, wav_CN = _cut(wav_CN, codec.sample_rate_hz, plan.loop_short)
    except BadInput as error:
        reason = str(error).removeprefix(f"{path}: ")
        if isinstance(error, files.Unreadable):
            return Prepared([], [], replace(file, skipped=reason, unreadable=True))
        return Prepared([], [], replace(file, skipped=reason, digest=disk.sha256(path)))
    song = str(Path(name).parent) if plan.songs_are == "folders" else name
    packed, infos, silent = _encode_clips(wav_CN, starts, codec, name, song)
    reason = f"{silent} of {len(starts)} clips silent" if silent else ""
    return Prepared(packed, infos, replace(file, clips=len(packed), skipped=reason, digest=disk.sha256(path)))


def _cut(wav_CN: np.ndarray, rate_hz: int, loop_short: bool) -> tuple[list[int], np.ndarray]:
    clip_samples = round(CLIP_S * rate_hz)
    length_s = wav_CN.shape[1] / rate_hz
    if wav_CN.shape[1] < clip_samples:
        if not loop_short or length_s < _SHORTEST_S:
            hint = "; --loop-short repeats it" if length_s >= _SHORTEST_S else ""
            raise BadInput(f"{length_s:.1f} s, shorter than a clip of {CLIP_S:.0f} s{hint}")
        wav_CN = cutting.loop_to(wav_CN, clip_samples, rate_hz)
    return list(cutting.starts(wav_CN.shape[1], clip_samples)), wav_CN


def _encode_clips(
    wav_CN: np.ndarray, starts: list[int], codec: Codec, name: str, song: str
) -> tuple[list[np.ndarray], list[ClipInfo], int]:
    clip_samples = round(CLIP_S * codec.sample_rate_hz)
    levelled: list[np.ndarray] = []
    infos: list[ClipInfo] = []
    for start in starts:
        clip = wav_CN[:, start : start + clip_samples]
        if cutting.level_db(clip) < cutting.SILENCE_DB:
            continue
        clip, level_db = cutting.normalise_level(clip)
        levelled.append(clip)
        infos.append(ClipInfo(name, song, start / codec.sample_rate_hz, level_db))
    packed: list[np.ndarray] = []
    for i in range(0, len(levelled), _ENCODE_BATCH):
        packed += encode_batch(torch.from_numpy(np.stack(levelled[i : i + _ENCODE_BATCH])), codec)
    return packed, infos, len(starts) - len(infos)


@torch.inference_mode()
def encode_batch(wav_BCN: torch.Tensor, codec: Codec) -> list[np.ndarray]:
    """Packed latents and features [D + 33, T] of clips that were brought to the level of the house."""
    z_BDT = codec.encode(wav_BCN)
    found = features.extract(wav_BCN[:, 0])
    return [shards.pack(*parts).numpy() for parts in zip(z_BDT, *found, strict=True)]
