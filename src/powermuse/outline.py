"""What a recipe builds, block by block: shapes and weight counts, from a forward pass that computes nothing."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from powermuse import adversary, registry, weights
from powermuse.audio import features
from powermuse.codecs import Codec
from powermuse.model.muse import Muse
from powermuse.recipe import Recipe
from powermuse.types import Clip, Composition, Proposal

# Below the model: agent and cascade, stages, blocks of a stage.
_DEPTH = 3
# On this device tensors have shapes and no content: any size costs nothing.
_NOWHERE = torch.device("meta")


class Row(NamedTuple):
    """One block: its dotted name, the shapes that come out of it (those of each stream for an agent), its weights."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    weights: int


def outline(recipe: Recipe) -> list[Row]:
    """The blocks of the full recipe at its own batch and crop: model, discriminator where there is one, codec.

    A block's weights are those of all blocks within it. Raises BadInput for a recipe that builds nothing.
    """
    codec: type[Codec] = registry.find("codecs", recipe.codec.name)[1]
    batch, frames = recipe.training.batch, recipe.data.crop_frames
    latents_BDT = torch.empty(batch, codec.latent_dim, frames, device=_NOWHERE)
    rows = _run("model", blank_model(recipe), blank_clip(latents_BDT), blank_clip(latents_BDT))
    if recipe.weights.get("gan", 0.0) != 0.0:
        with _NOWHERE:
            discriminator = adversary.network(recipe.adversary, codec.latent_dim)
        planes = adversary.told_planes(recipe.adversary)
        told = (latents_BDT.new_empty(batch, planes, codec.latent_dim, frames),) if planes else ()
        rows += _run("discriminator", discriminator, latents_BDT, *told)
    return [*rows, Row(f"codec.{recipe.codec.name}", (tuple(latents_BDT.shape),), _weights(_blank_codec(recipe)))]


def blank_model(recipe: Recipe) -> Muse:
    """The full model of a recipe without content: shapes and names alone."""
    with _NOWHERE:
        return weights.build_model(recipe, registry.find("codecs", recipe.codec.name)[1].latent_dim)


def blank_clip(latents_BDT: Tensor) -> Clip:
    """A clip with features of no meaning, on the device of its latents."""
    batch, _, frames = latents_BDT.shape
    onsets_BKT, chroma_BPT = (
        latents_BDT.new_empty(batch, n, frames) for n in (features.ONSET_BANDS, features.CHROMA_ROWS)
    )
    return Clip(latents_BDT, onsets_BKT, chroma_BPT, latents_BDT.new_empty(batch, frames))


def _blank_codec(recipe: Recipe) -> nn.Module:
    codec: type[Codec] = registry.find("codecs", recipe.codec.name)[1]
    options = {**recipe.codec.options, **codec.blank_options}
    if not codec.blank_options:  # it has tables, which are kept for later, and no weights
        return registry.build("codecs", recipe.codec.name, options)
    with _NOWHERE:
        return registry.build("codecs", recipe.codec.name, options)


@torch.no_grad()
def _run(name: str, module: nn.Module, *inputs: Any) -> list[Row]:
    """The rows of a module and its blocks, their shapes from one pass of `inputs`."""
    blocks = dict(_blocks(name, module, _DEPTH))
    shapes: dict[nn.Module, tuple[tuple[int, ...], ...]] = {}

    def note(block: nn.Module, inputs: object, output: object) -> None:
        shapes[block] = tuple(tuple(t.shape) for t in _out(output))

    handles = [block.register_forward_hook(note) for block in blocks.values()]
    module.eval()(*inputs)
    for handle in handles:
        handle.remove()
    # Without the prefix the blocks of the model are called what the errors and the checkpoints call them.
    return [Row(path.removeprefix("model."), shapes.get(block, ()), _weights(block)) for path, block in blocks.items()]


def _blocks(name: str, module: nn.Module, depth: int) -> Iterator[tuple[str, nn.Module]]:
    """The module and what it is made of, without torch's own insides and without what has no weights."""
    if not isinstance(module, nn.ModuleList):
        yield name, module
        if depth == 0 or type(module).__module__.startswith("torch."):
            return
        depth -= 1
    for path, child in module.named_children():
        if _weights(child):
            yield from _blocks(f"{name}.{path}", child, depth)


def _out(output: object) -> tuple[Tensor, ...]:
    if isinstance(output, Proposal):
        return output.streams
    if isinstance(output, Composition):
        return (output.blend_BDT,)
    if isinstance(output, tuple):
        return _out(output[-1])
    assert isinstance(output, Tensor)
    return (output,)


def _weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
