"""Rendering a stretch of triplets into a data set: a pool of processes plays and encodes, one writer makes shards.

Several processes, on one machine or many, may render other stretches into the same folder at the same time: a shard
that is there is left alone, one that is not is written aside and renamed.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from powermuse import registry
from powermuse.audio import files
from powermuse.codecs import Codec
from powermuse.data import triplets
from powermuse.data.pool import cores, in_order
from powermuse.data.prepare import CLIP_S, encode_batch
from powermuse.data.render import fonts
from powermuse.data.render.fonts import Found
from powermuse.data.render.perform import Performed, perform, roles
from powermuse.data.render.plan import Plan, begin, missing
from powermuse.data.render.synth import RATE_HZ, loaded
from powermuse.data.triplets import Rendered

_PEAK = 0.98

OnProgress = Callable[[int, int], None]
"""Called after each triplet with: triplets done, triplets in all."""


def render(plan: Plan, on_progress: OnProgress = lambda *_: None) -> int:
    """Renders what is not rendered yet of a stretch; how many triplets that was. Raises BadInput."""
    found = fonts.at_hand(plan.split, plan.soundfonts, plan.clean)
    registry.build("codecs", plan.codec, plan.codec_options)  # what cannot be had begins nothing
    begin(plan, found)
    todo = missing(plan)
    indices = [(index,) for part in todo for index in range(part.begin, part.end)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # here as in the pool: sums of several threads may be added in another order
    try:
        results = in_order(_render, indices, min(plan.workers or cores(), len(indices)), _start, plan, found)
        counted = _counted(results, len(indices), on_progress)
        for part in todo:
            triplets.write_shard(plan.folder / part.name, part, list(islice(counted, part.end - part.begin)))
    finally:
        torch.set_num_threads(threads)
    return len(indices)


def _counted(results: Iterator[Rendered], total: int, on_progress: OnProgress) -> Iterator[Rendered]:
    for done, rendered in enumerate(results, start=1):
        on_progress(done, total)
        yield rendered


class _Worker(NamedTuple):
    plan: Plan
    found: Sequence[Found]
    codec: Codec


_worker: _Worker | None = None


def _start(plan: Plan, found: Sequence[Found]) -> None:
    """What a process needs once."""
    global _worker
    codec: Codec = registry.build("codecs", plan.codec, plan.codec_options)
    _worker = _Worker(plan, found, codec.eval())


def _render(index: int) -> Rendered:
    """One triplet, played, encoded and described."""
    assert _worker is not None
    plan, found, codec = _worker
    tensors: dict[str, Tensor] = {}
    clips: dict[str, Any] = {}
    origin, performed = perform_triplet(plan, found, index)
    for role, clip in performed:
        name = f"{index:05d}/{role}"
        tensors[name] = torch.from_numpy(_encoded(clip, codec))
        tensors |= triplets.knowledge(name, clip.score)
        clips[role] = triplets.facts(clip.score)
        if plan.keeps_sound:
            clips[role]["sound_gain"] = _keep_sound(plan, index, role, clip.mix_N)
    return Rendered(tensors, origin, clips)


def perform_triplet(
    plan: Plan, found: Sequence[Found], index: int
) -> tuple[dict[str, str], Iterator[tuple[str, Performed]]]:
    """Origin of a triplet, and its clips by role as they are played, stems included."""
    score = plan.compose(plan.seed, plan.split, index, plan.kinds)
    font = fonts.choose(plan.seed, plan.split, index, found)
    synth = loaded(str(font.path))
    key = f"{plan.seed}/{plan.split}/{index}"
    clips = ((role, perform(each, role, key, synth, plan.strength)) for role, each in roles(score).items())
    return {**score.origin, "font": font.font.name, "font_licence": font.font.licence}, clips


def _encoded(clip: Performed, codec: Codec) -> np.ndarray:
    """Packed latents and features [D + 33, T] of a clip."""
    if len(clip.mix_N) != round(CLIP_S * RATE_HZ):
        raise ValueError(f"a score of {clip.score.duration_s} s; clips are {CLIP_S} s long")
    packed: np.ndarray = encode_batch(torch.from_numpy(clip.mix_N)[None, None], codec)[0]
    return packed


def _keep_sound(plan: Plan, index: int, role: str, mix_N: np.ndarray) -> float:
    """Writes a waveform, turned down where it would go beyond full scale; the gain it was written with."""
    gain = min(1.0, _PEAK / max(float(np.abs(mix_N).max()), 1e-9))
    path = triplets.sound_path(Path(plan.out), plan.split, index, role)
    files.write(path, mix_N[None] * np.float32(gain), RATE_HZ)
    return gain
