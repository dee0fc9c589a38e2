"""Sharding: every rank keeps its share of each weight, of its gradient and of its optimiser state (FSDP2).

A shard is a DTensor: a stretch of the first axis, the same on every rank but for what does not divide. A block gathers
its weights just before it runs and lets them go after it, forward and backward. Buffers are whole on every rank.
"""

from collections.abc import Mapping
from datetime import timedelta

import torch
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from powermuse.model.layers import TransformerBlock
from powermuse.model.muse import Muse


def strategy(world: int, patience: timedelta) -> ModelParallelStrategy:
    """What shards a model when Fabric sets it up, over all ranks."""
    return ModelParallelStrategy(_shard, data_parallel_size=world, tensor_parallel_size=1, timeout=patience)


def _shard(model: Muse, mesh: DeviceMesh) -> Muse:
    ranks = mesh["data_parallel"]
    blocks = [module for module in model.modules() if isinstance(module, TransformerBlock)]
    # The agent by itself, since a swap response asks it alone, once more. Nothing stays whole after a forward, not even
    # what is in no block: after a validation of averaged weights the next step would be made with them.
    for module in (*blocks, model.agent, model):
        fully_shard(module, mesh=ranks, reshard_after_forward=True)
    model.register_forward_pre_hook(_share_buffers)
    return model


@torch.no_grad()
def _share_buffers(model: nn.Module, inputs: object) -> None:
    """The buffers of the first rank are everybody's, as in data parallel: a BatchNorm's statistics are of its pairs."""
    for buffer in model.buffers():
        torch.distributed.broadcast(buffer, 0)


def check(model: nn.Module, world: int) -> None:
    """Raises RuntimeError unless every weight is a shard, and no larger than its share."""
    for name, weight in model.named_parameters():
        share = -(-weight.shape[0] // world)
        if not isinstance(weight, DTensor) or weight.to_local().shape[0] > share:
            raise RuntimeError(f"training.shard=true, but {name} is not shared out over {world} processes")


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts that other ranks have, for which all of them have to ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """All tensors whole, on the CPU where they were shards; one after another, so that a rank that does not `keep` them
    has room for one."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        each = whole(tensor.detach())
        if keep:
            found[name] = each.cpu() if isinstance(tensor, DTensor) else each
    return found


def scattered(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """This rank's shards of whole tensors, of those that are shards in `like`."""
    return {name: _part(tensor, like.get(name)) for name, tensor in tensors.items()}


def _part(tensor: Tensor, like: Tensor | None) -> Tensor:
    if not isinstance(like, DTensor):
        return tensor
    # Each rank has read the same file: nothing is sent.
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
