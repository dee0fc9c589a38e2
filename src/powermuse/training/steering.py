"""What the targets of a recipe may bind, asked before its run begins: of its agent, on clips without content."""

from collections.abc import Iterable

import torch
from torch import Tensor

from powermuse import registry, targets
from powermuse.agents import Agent
from powermuse.outline import blank_clip
from powermuse.recipe import Recipe
from powermuse.types import BadInput


def check(recipe: Recipe, agent: Agent, terms: Iterable[str], world: int) -> None:
    """Raises BadInput for a target that a run of these loss terms on `world` processes cannot be steered by."""
    bounds = targets.parse_all(recipe.targets)
    if not bounds:
        return
    if any(bound.name == "swap_response" for bound in bounds):
        _check_parts(recipe, world)
    targets.check(bounds, _quantities(recipe, agent, terms))


def _quantities(recipe: Recipe, agent: Agent, terms: Iterable[str]) -> dict[str, Tensor]:
    """What a step offers to targets, by name: with or without gradient, and of no meaning."""
    dim: int = registry.find("codecs", recipe.codec.name)[1].latent_dim
    weights = (*agent.parameters(), *agent.buffers())
    device = weights[0].device if weights else torch.device("cpu")
    clip = blank_clip(torch.zeros(2, dim, recipe.data.crop_frames, device=device)).map(torch.zeros_like)
    trains = agent.training
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        proposal = agent.eval()(clip, clip)
    agent.train(trains)
    offered = {name: torch.zeros((), requires_grad=True) for name in terms}
    offered |= {**proposal.penalties, **proposal.stats}
    return offered if proposal.masks is None else {**offered, "swap_response": proposal.masks[0]}


def _check_parts(recipe: Recipe, world: int) -> None:
    """A partner is swapped for another of the same part of a batch."""
    settings = recipe.training
    parts = world * settings.accumulate
    if 1 in (settings.batch // parts, settings.pairs % settings.batch // parts):
        raise BadInput(
            f"targets: swap_response wants two pairs in each part of a batch; training.pairs={settings.pairs} and "
            f"training.batch={settings.batch} leave one alone on {world} processes in {settings.accumulate} parts each "
            f"(training.accumulate); choose a multiple of {2 * parts} for both"
        )
