"""What is to be rendered, the folder that it goes into, and what of it is not there yet."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from powermuse import disk, registry
from powermuse.data import triplets
from powermuse.data.prepare import CLIP_S
from powermuse.data.render import fonts
from powermuse.data.render.augment import Strength
from powermuse.data.render.fonts import Found
from powermuse.data.render.programs import Split
from powermuse.data.render.score import TripletScore
from powermuse.data.render.sources import CLEAN, MMA, Sources, digests
from powermuse.data.render.synth import RATE_HZ
from powermuse.data.render.triplets import compose
from powermuse.data.shards import Header
from powermuse.data.triplets import Shard
from powermuse.types import BadInput

_ABANDONED_S = 3600.0
"""Age at which what a process wrote aside is taken for a killed one's."""

_DIGESTS = "sources_sha256"

Compose = Callable[[int, Split, int, tuple[str, ...]], TripletScore]
"""The scores of a triplet by seed, split, index and kinds of sources."""


def composed(seed: int, split: Split, index: int, kinds: tuple[str, ...]) -> TripletScore:
    """The scores that the house composes."""
    return compose(seed, split, index, _sources(split, kinds))


@cache
def _sources(split: Split, kinds: tuple[str, ...]) -> Sources:
    """Read once in a process."""
    return Sources.for_split(split, kinds)


def usual_kinds(split: Split, clean: bool = False, every: bool = False) -> tuple[str, ...]:
    """The sources of scores on this machine: those that a split usually has, the clean ones alone, or all."""
    if not clean and not every:
        return Sources.for_split(split).kinds
    return tuple(kind for kind in (CLEAN if clean else (*CLEAN, MMA)) if _at_hand(split, kind))


def _at_hand(split: Split, kind: str) -> bool:
    try:
        Sources.for_split(split, (kind,))
    except BadInput:
        return False
    return True


@dataclass(frozen=True)
class Plan:
    """What to render, and how."""

    out: str
    begin: int
    end: int
    """Triplets `begin` to below `end`."""
    split: Split = "train"
    seed: int = 0
    codec: str = "mel"
    codec_options: dict[str, Any] = field(default_factory=dict)
    workers: int = 0
    """Processes; 0 takes one for each core."""
    sound: bool | None = None
    """Keep the waveforms too; None keeps those of val and test."""
    soundfonts: tuple[str, ...] = ()
    """Folders of soundfonts, beside those of the system."""
    clean: bool = False
    """Only what may be given away under a licence of one's own."""
    kinds: tuple[str, ...] = ("own",)
    """Sources of the scores."""
    strength: Strength = field(default_factory=Strength)
    compose: Compose = composed

    @property
    def keeps_sound(self) -> bool:
        """Whether waveforms are kept."""
        return self.split != "train" if self.sound is None else self.sound

    @property
    def folder(self) -> Path:
        """Where the shards of the split are."""
        return Path(self.out) / self.split


def begin(plan: Plan, found: Sequence[Found]) -> None:
    """Makes the folder, or checks that it was begun the same way; several processes may. Raises BadInput."""
    out = Path(plan.out)
    if not 0 <= plan.begin < plan.end:
        raise BadInput(f"triplets {plan.begin} to {plan.end}: at least one is wanted, counted from 0")
    header = _header(plan)
    others = out.exists() and (not out.is_dir() or any(not p.name.startswith(".dataset.") for p in out.iterdir()))
    if others and not triplets.is_one(out):
        raise BadInput(f"{out}: is not empty and holds no rendered triplets; name another directory")
    out.mkdir(parents=True, exist_ok=True)
    _same_or_write(out / "dataset.json", triplets.described(header, plan.seed))
    plan.folder.mkdir(exist_ok=True)
    _same_or_write(plan.folder / "plan.json", _decides(plan, found))
    if plan.keeps_sound:
        (plan.folder / "sound").mkdir(exist_ok=True)
    for path in [*plan.folder.glob(".*.part*"), *plan.folder.glob("sound/.*.part*")]:
        with suppress(FileNotFoundError):  # another process may be done with it
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()


def missing(plan: Plan) -> list[Shard]:
    """The shards that a stretch still wants: whole ones of 64, cut where it begins, ends or is there already."""
    covered = triplets.ranges(triplets.found(Path(plan.out), plan.split))
    todo = []
    for block in range(plan.begin - plan.begin % triplets.A_SHARD, plan.end, triplets.A_SHARD):
        at, end = max(block, plan.begin), min(block + triplets.A_SHARD, plan.end)
        for first, until in covered:
            if first < end and until > at:
                todo.append(Shard(at, first))
                at = min(until, end)
        todo.append(Shard(at, end))
    return [part for part in todo if part.begin < part.end]


def _same_or_write(path: Path, now: dict[str, Any]) -> None:
    """Raises BadInput where the data set was begun with something else."""
    if not path.exists():
        disk.write_first(path, json.dumps(now, indent=1))
    try:
        before = _flat(json.loads(path.read_text()))
        if not any(key.startswith(f"{_DIGESTS}.") for key in before):  # begun before they were kept: no claim is made
            now = {key: value for key, value in now.items() if key != _DIGESTS}
    except (ValueError, AttributeError) as error:
        raise BadInput(f"{path}: damaged ({error}); name another directory") from None
    new = _flat(json.loads(json.dumps(now)))
    # Fonts that are gone first: they can be brought back.
    for key in sorted(before.keys() | new.keys(), key=lambda key: (key in new or not key.startswith("fonts."), key)):
        if before.get(key) != new.get(key):
            lost = key.startswith("fonts.") and key not in new
            hint = f" ({fonts.install(key.removeprefix('fonts.'))})" if lost else ""
            raise BadInput(
                f"{path.parent}: was begun with {key} {before.get(key)}, now it is {new.get(key)}{hint}; "
                "name another directory, or go on as it was begun"
            )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _decides(plan: Plan, found: Sequence[Found]) -> dict[str, Any]:
    """What `plan.json` holds: all that decides how a triplet of the split sounds, beside seed and codec."""
    return {
        "fonts": {each.font.name: each.digest() for each in found},
        "licences": {each.font.name: each.font.licence for each in found},
        "sources": list(plan.kinds),
        _DIGESTS: digests(plan.kinds),
        "strength": plan.strength._asdict(),
        "sound": plan.keeps_sound,
    }


def _header(plan: Plan) -> Header:
    codec = registry.find("codecs", plan.codec)[1]
    options = {**registry.defaults("codecs", plan.codec), **plan.codec_options}
    registry.configure("codecs", plan.codec, options)
    if codec.sample_rate_hz != RATE_HZ:
        raise BadInput(f"codec {plan.codec}: takes {codec.sample_rate_hz} Hz, triplets are rendered at {RATE_HZ} Hz")
    frames = round(CLIP_S * codec.sample_rate_hz / codec.hop_samples)
    return Header(plan.codec, options, codec.sample_rate_hz, codec.hop_samples, codec.latent_dim, frames)
