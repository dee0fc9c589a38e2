"""How much memory a run of a recipe takes: the very step of the learner, on tensors without content."""

import dataclasses
import os
from typing import NamedTuple

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import nn

from powermuse import registry
from powermuse.data.rolls import PITCHES
from powermuse.outline import blank_clip
from powermuse.recipe import Choice, Recipe
from powermuse.training import room
from powermuse.training.learner import Learner
from powermuse.training.ledger import Ledger, imagined
from powermuse.training.parallel import Launched, Parallel
from powermuse.types import Pair

GB = 1e9
HEAP = 1.6
"""What a CPU's memory grows by for each byte that the tensors of a step take at once: glibc leaves holes between blocks
of up to 32 MB, and they stay resident. Measured 1.6 to 2.0 (`python bench/memory.py`)."""
_WITHOUT_HOLES = "MALLOC_MMAP_THRESHOLD_"
"""Set to 65536 in the environment, every larger block goes back to the system, and the factor is 1."""


class Footprint(NamedTuple):
    """Bytes of one process of a run, at the peak of its steps and validations."""

    process: int
    """What is in memory anyway: Python, torch, the codec's library."""
    weights: int
    optimizer: int
    """Moments, and a moving average of the weights."""
    adversary: int
    """The discriminator and its moments."""
    codec: int
    """The decoder, where a term listens."""
    gradients: int
    """Of the model; twice where processes exchange them."""
    activations: int
    """Of model, decoder and terms, and whatever else comes and goes."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)

    @property
    def wanted(self) -> int:
        """What is not in memory yet."""
        return self.total - self.process

    def told(self) -> str:
        """As in: about 1.1 GB (process 0.42, weights 0.066, ...)."""
        parts = ", ".join(f"{name} {size / GB:.2g}" for name, size in self._asdict().items() if size)
        return f"about {self.total / GB:.2g} GB ({parts})"


def measure(recipe: Recipe, world: int, device: torch.device) -> Footprint:
    """The footprint of one of `world` processes. Raises BadInput for a recipe that cannot be trained."""
    share = _share(recipe, world)
    with imagined(device) as ledger:
        learner = _learner(share)
        kept = ledger.begin()
        most = max(_step(learner, share, ledger), _validation(learner, share, ledger)) - kept
        return _footprint(learner, kept, most, world, recipe.training.shard, _heap(device))


def _heap(device: torch.device) -> float:
    return HEAP if device.type == "cpu" and _WITHOUT_HOLES not in os.environ else 1.0


def _share(recipe: Recipe, world: int) -> Recipe:
    """What one process does of it, uncompiled, with the architecture of a codec that would have to be downloaded."""
    blank = registry.find("codecs", recipe.codec.name)[1].blank_options
    batch = recipe.training.batch // world
    return dataclasses.replace(
        recipe,
        training=dataclasses.replace(recipe.training, batch=batch, pairs=batch, compile=False, shard=False),
        codec=Choice(recipe.codec.name, {**recipe.codec.options, **blank}),
    )


def _learner(share: Recipe) -> Learner:
    latent_dim: int = registry.find("codecs", share.codec.name)[1].latent_dim
    alone = Parallel(share.training, Launched(1, 1, LightningEnvironment()))
    learner = Learner(share, torch.zeros(latent_dim), alone)
    learner.set_up()
    return learner


def _step(learner: Learner, share: Recipe, ledger: Ledger) -> int:
    """Peak of a step. Of many parts the second is like those after it."""
    count = share.training.accumulate
    parts = [(0, _pair(learner, share, share.training.batch // count)) for _ in range(min(count, 2))]
    for _ in range(1 if learner.adversary is None else 2):  # the discriminator's gradients of one step are there
        learner.step(parts, 0)  # in the next
    return ledger.peak


def _validation(learner: Learner, share: Recipe, ledger: Ledger) -> int:
    ledger.begin()
    learner.model.eval()
    with torch.no_grad(), learner.average.applied():
        learner.validate(_pair(learner, share, min(share.training.batch, share.training.validation_pairs)), 0)
    return ledger.peak


def _pair(learner: Learner, share: Recipe, size: int) -> Pair:
    groove, harmony, truth = (
        blank_clip(torch.empty(size, learner.objective.codec.latent_dim, share.data.crop_frames)) for _ in range(3)
    )
    notes_BQT = torch.empty(size, PITCHES, share.data.crop_frames) if share.data.notes else None
    open_B = torch.zeros(size, dtype=torch.long) if share.flow.orchestrations else None
    has_truth = share.data.pairing in ("unity", "triplets")
    return Pair(groove, harmony, truth if has_truth else None, notes_BQT, open_B)


def _footprint(learner: Learner, kept: int, most: int, world: int, sharded: bool, heap: float) -> Footprint:
    """From what stays and what a step adds to it at most. Of a sharded model a process has its share."""
    share = world if sharded else 1
    weights, codec = _bytes(learner.bare_model), _bytes(learner.codec)
    # AdamW keeps two moments of the size of the weights.
    adversary = 3 * _bytes(learner.adversary.network) if learner.adversary is not None else 0
    gradients = sum(p.numel() * p.element_size() for p in learner.bare_model.parameters() if p.requires_grad)
    return Footprint(
        process=room.resident_bytes(),
        weights=weights // share,
        optimizer=max(0, kept - weights - codec - adversary) // share,
        adversary=adversary,
        codec=codec,
        gradients=gradients // share if sharded else gradients * min(world, 2),
        activations=max(0, round(heap * most) - gradients),
    )


def _bytes(module: nn.Module | None) -> int:
    if module is None:
        return 0
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
