"""Whether a recipe fits into memory: before a run starts, and in words where it turns out that it did not."""

import dataclasses
import errno
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from powermuse.outline import blank_model
from powermuse.recipe import Recipe
from powermuse.training import room
from powermuse.training.footprint import GB, Footprint, measure
from powermuse.training.parallel import Parallel
from powermuse.types import BadInput

_SURE = 0.9
"""A run is refused where this share of its estimate is more than there is: what would fit is never refused."""
_SPARE = 1.25
"""What is advised has room for this many times its estimate: of what a run took besides Python and torch, the estimate
was .82 to 1.01 (`python bench/memory.py`)."""
_SMALL_FRAMES, _SMALL_WEIGHTS, _SMALL_BYTES = 1024, 4_000_000, 2e9
"""Frames of a step, weights and free memory of a run that no shipped recipe's form can bring near its limit: it is not
looked at, which would take longer than its first steps."""
_CROP_STEP = 16
_COUNTED: dict[str, int] = {}
"""Weights of models by their settings."""
_FULL = ("can't allocate memory", "out of memory", "bad_alloc", "not enough memory")


class Budget:
    """What a process of a run will need and what there is for it."""

    def __init__(self, recipe: Recipe, parallel: Parallel) -> None:
        self.recipe, self.world, self.device = recipe, parallel.world, parallel.fabric.device
        self.free = room.free_bytes(self.device, parallel.ranks_a_node)

    def check(self) -> None:
        """Raises BadInput where the run would not fit. Says nothing where that cannot be known."""
        if self.free is None or (self.free > _SMALL_BYTES and self._is_small()):
            return
        footprint = self._measured(self.recipe)
        if footprint is not None and _SURE * footprint.wanted > self.free:
            raise BadInput(f"this recipe needs {self._compared(footprint)}: {self._advice(self.free)}")

    def told(self) -> str:
        """One line for a dry run, with advice where it does not fit."""
        footprint = self._measured(self.recipe)
        if footprint is None:
            return "not known for this recipe"
        if self.free is None or _SURE * footprint.wanted <= self.free:
            return self._compared(footprint)
        return f"{self._compared(footprint)}: {self._advice(self.free)}"

    @contextmanager
    def watching(self, where: Callable[[], str]) -> Iterator[None]:
        """Around all that takes memory. Raises BadInput with what to lower; `where` says how the run stands."""
        try:
            yield
            return
        except (MemoryError, RuntimeError, OSError) as error:
            if not ran_out(error):
                raise
            full = error.with_traceback(None)  # which holds on to the tensors of the step
        raise BadInput(f"out of memory; {where()}. This recipe needs {self._explained()}") from full

    def _explained(self) -> str:
        footprint = self._measured(self.recipe)
        if footprint is None:
            return "more than there is: lower training.batch, or raise training.accumulate"
        # It was let through, so that what there is must be less than it seemed, or the estimate too low.
        there_is = min(self.free or footprint.wanted, footprint.wanted) * _SURE
        return f"{self._compared(footprint)}: {self._advice(there_is)}"

    def _compared(self, footprint: Footprint) -> str:
        if self.free is None:
            return footprint.told()
        return f"{footprint.told()}, there is room for {(self.free + footprint.process) / GB:.2g} GB"

    def _advice(self, free: float) -> str:
        """Settings that fit into `free` bytes by their own estimate."""
        batch, parts = self._batch(free), self._parts(free)
        if batch:
            other = f"training.accumulate={parts}, " if parts else ""
            return f"lower training.batch to {batch} (or {other}data.crop_frames, data.decode_frames)"
        if parts:
            return f"set training.accumulate={parts} (or lower data.crop_frames, data.decode_frames)"
        if frames := self._frames(free):
            return f"lower training.batch to {self._unit} and data.crop_frames to {frames}"
        return f"even training.batch={self._unit} is too much: lower data.crop_frames, cascade.layers or cascade.stages"

    @property
    def _unit(self) -> int:
        """The smallest batch."""
        return self.world * self.recipe.training.accumulate

    def _batch(self, free: float) -> int:
        """The largest batch that fits, 0 for none."""
        return self._largest(free, self.recipe, "training.batch", self._unit, self._unit, self.recipe.training.batch)

    def _parts(self, free: float) -> int:
        """The smallest number of parts that fits, 0 for none."""
        settings = self.recipe.training
        each = settings.batch // self.world
        for parts in range(settings.accumulate + 1, each + 1):
            if each % parts == 0 and self._fits(_with(self.recipe, "training.accumulate", parts), free):
                return parts
        return 0

    def _frames(self, free: float) -> int:
        """The longest crop that fits at the smallest batch, 0 for none."""
        least = _with(self.recipe, "training.batch", self._unit)
        crop = self.recipe.data.crop_frames
        return self._largest(free, least, "data.crop_frames", max(_CROP_STEP, crop // 8), _CROP_STEP, crop)

    def _largest(self, free: float, recipe: Recipe, key: str, least: int, step: int, now: int) -> int:
        """The largest value of a setting, a multiple of `step` from `least` to below `now`, that fits; 0 for none. A
        footprint bends upwards if at all, so that the line between two of them is never below it."""
        low, high = (self._measured(_with(recipe, key, value)) for value in (least, now))
        if low is None or high is None or least >= now or low.wanted * _SPARE > free:
            return 0
        slope = max(1e-9, (high.wanted - low.wanted) / (now - least))
        value = min(least + (free / _SPARE - low.wanted) / slope, now - 1)
        return max(least, math.floor(value / step) * step)

    def _fits(self, recipe: Recipe, free: float) -> bool:
        footprint = self._measured(recipe)
        return footprint is not None and footprint.wanted * _SPARE <= free

    def _measured(self, recipe: Recipe) -> Footprint | None:
        try:
            return measure(recipe, self.world, self.device)
        except Exception:
            # A recipe that cannot be trained is refused with better words by the run itself; and an operation that
            # torch cannot imagine is no reason not to do it.
            return None

    def _is_small(self) -> bool:
        frames = self.recipe.training.batch // self._unit * self.recipe.data.crop_frames
        return frames <= _SMALL_FRAMES and _weights(self.recipe) < _SMALL_WEIGHTS


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on a CPU or a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return any(word in str(error) for word in _FULL)


def _weights(recipe: Recipe) -> int:
    """Of the model. A rehearsal asks many times about one that takes a moment to be laid out."""
    form = repr((recipe.codec, recipe.agent, recipe.composer, recipe.cascade, recipe.flow))
    if form not in _COUNTED:
        _COUNTED[form] = sum(p.numel() for p in blank_model(recipe).parameters())
    return _COUNTED[form]


def _with(recipe: Recipe, key: str, value: int) -> Recipe:
    group, name = key.split(".")
    return dataclasses.replace(recipe, **{group: dataclasses.replace(getattr(recipe, group), **{name: value})})
