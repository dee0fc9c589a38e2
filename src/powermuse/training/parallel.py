"""One process or many: what the ranks of a run have to agree on. Launched by torchrun or by srun, or by nobody.

Every rank takes its own share of each batch and sees the same weights. Lightning Fabric averages the model's gradients;
here is what is left: means of scalars, the wish to stop, and that only rank 0 writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch import Tensor

from powermuse.recipe import TrainingRecipe
from powermuse.training import sharding
from powermuse.types import BadInput

_PATIENCE = timedelta(minutes=10)
"""How long a rank waits for another that neither answers nor ends."""
_READ_EVERY = 20
"""Steps between two looks at what a GPU has agreed on: each look waits for it."""


class Launched(NamedTuple):
    """How many processes were launched, and how."""

    nodes: int
    ranks_a_node: int
    environment: ClusterEnvironment

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.nodes * self.ranks_a_node


class LostRank(RuntimeError):
    """Another process of the run is gone: what it was to add to a sum will never come."""


def launched() -> Launched:
    """What the environment says of the launch; a process that nobody launched is alone."""
    env = os.environ
    if TorchElasticEnvironment.detect():
        local = int(env["LOCAL_WORLD_SIZE"])
        return Launched(int(env["WORLD_SIZE"]) // local, local, TorchElasticEnvironment())
    # Within a job but outside of srun the variables of the whole job are there for a process that is alone.
    if "SLURM_STEP_NODELIST" in env and int(env.get("SLURM_NTASKS", "1")) > 1:
        nodes = int(env.get("SLURM_NNODES", "1"))
        return Launched(nodes, int(env["SLURM_NTASKS"]) // nodes, SLURMEnvironment(auto_requeue=False))
    return Launched(1, 1, LightningEnvironment())


class Parallel:
    """The ranks of a run, and where this one stands. Of a run on one process every method is what it is called on.

    Raises BadInput where a batch cannot be shared out evenly, or a model be sharded.
    """

    def __init__(self, settings: TrainingRecipe, how: Launched | None = None) -> None:
        how = how or launched()
        check_world(settings, how.world)
        strategy: Strategy | str = "auto"
        if settings.shard:
            strategy = sharding.strategy(how.world, _PATIENCE)
        elif how.world > 1:
            # Which weights get a gradient depends on the terms of the recipe; where all do, torch says so once.
            strategy = DDPStrategy(find_unused_parameters=True, timeout=_PATIENCE)
        try:
            self.fabric = Fabric(
                accelerator="auto", devices=how.ranks_a_node, num_nodes=how.nodes, strategy=strategy,
                precision=settings.precision, plugins=[how.environment],
            )  # fmt: skip
        except (RuntimeError, ValueError) as error:  # a job that was asked for in a way that Fabric does not take
            raise BadInput(f"the processes of this run cannot work together: {error}") from error
        # Codes are read from chroma and levels as they are: in bf16 a fifth of the chords would be others. What may be
        # computed with less, the autocast sees to.
        self.fabric.strategy.precision.convert_input = _as_it_is  # type: ignore[method-assign]
        self.world, self.ranks_a_node = how.world, how.ranks_a_node
        with self.watching():
            self.fabric.launch()
        self.rank = self.fabric.global_rank
        self._asked = 0

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes and talks."""
        return self.rank == 0

    def shares(self, size: int, parts: int = 1) -> list[range]:
        """Which of `size` pairs are this rank's: a stretch of its own, in `parts` equal parts."""
        each, over = divmod(size, self.world * parts)
        if over:
            raise ValueError(f"{size} pairs cannot be shared out evenly over {self.world} ranks in {parts} parts")
        begin = self.rank * each * parts
        return [range(begin + i * each, begin + (i + 1) * each) for i in range(parts)]

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks, without waiting for the device."""
        if self.world == 1:
            return values
        return self._reduced(values, "mean")

    def average_gradients(self, module: torch.nn.Module) -> None:
        """The mean over ranks of every gradient of a module that Fabric does not look after."""
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = self.mean(torch.cat([g.flatten() for g in gradients]))
        parts = flat.split([g.numel() for g in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    def rows(self, values: Tensor) -> Tensor:
        """A vector of every rank, [ranks, values]."""
        rows = values.new_zeros(self.world, *values.shape)
        rows[self.rank] = values
        return rows if self.world == 1 else self._reduced(rows, "sum")

    def agreed(self, stop: int) -> int:
        """The largest `stop` of any rank, the same on all; asked after every step. On a GPU it is answered every 20
        steps, 0 in between."""
        if self.world == 1:
            return stop
        self._asked += 1
        if self.fabric.device.type != "cpu" and self._asked % _READ_EVERY:
            return 0
        wish = torch.tensor(stop, device=self.fabric.device)
        return int(self._reduced(wish, "max"))

    def wait(self) -> None:
        """Until every rank has come here."""
        self.fabric.barrier()

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        reduced = self.fabric.all_reduce(values, reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around whatever waits for other ranks: says so where one of them is gone. Raises LostRank."""
        try:
            yield
        except RuntimeError as error:
            if self.world == 1 or not _from_another(error):
                raise
            rank = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "?"))
            raise LostRank(
                f"rank {rank} of {self.world}: another process of this run is gone; see what it said. "
                "The same command goes on from the last checkpoint"
            ) from error


def _as_it_is(data: Any) -> Any:
    return data


def check_world(settings: TrainingRecipe, world: int, seen: int = 0) -> None:
    """Raises BadInput where a batch, or the last one of the run, is not a whole number of pairs for each part, or where
    one process alone is to shard a model. `seen`: pairs that the run has been trained on already."""
    if settings.shard and world == 1:
        raise BadInput(
            "training.shard=true wants several processes to share the model out over, and there is one; start more "
            "(torchrun --nproc-per-node N, or powermuse slurm with more --gpus or --tasks), or set training.shard=false"
        )
    parts = world * settings.accumulate
    last = max(0, settings.pairs - seen) % settings.batch
    for name, size in (("training.batch", settings.batch), ("the last batch", last)):
        if size % parts:
            raise BadInput(
                f"{name} is {size} pairs, which {world} processes in {settings.accumulate} parts each "
                f"(training.accumulate) cannot share evenly; choose multiples of {parts} for batch and pairs"
            )


def _from_another(error: RuntimeError) -> bool:
    """Whether gloo or NCCL says that a peer does not answer."""
    kind: Any = getattr(torch.distributed, "DistError", ())
    told = str(error).lower()
    return isinstance(error, kind) or any(word in told for word in ("gloo", "nccl", "connection", "peer"))
