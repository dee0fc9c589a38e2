"""Where each factor of a blend comes from and how far it is insisted on, as settings of a model's recipe."""

from powermuse import recipe, weights
from powermuse.agents.factors import FACTORS, streams_of
from powermuse.types import BadInput

Chosen = dict[str, tuple[tuple[float, float] | None, float | None]]
"""Of each factor its shares from groove and harmony and its strength; None leaves the model's own."""


def overrides(model: str, chosen: Chosen) -> list[str]:
    """The settings of `weights.load_model` that make a model compose so. Raises BadInput where it has no factors."""
    if all(shares is None and strength is None for shares, strength in chosen.values()):
        return []
    run = recipe.load(str(weights.find_model(model) / "recipe.yaml"))
    if run.agent.name != "factors" or run.composer != "flow":
        raise BadInput(f"model {model}: its agent is {run.agent.name}; only a model of factors takes them apart")
    told = [f"agent.options.{name}_from={list(s)}" for name, (s, _) in chosen.items() if s is not None]
    places = {name: streams_of(name, voicing=bool(run.agent.options.get("voicing", True))) for name in FACTORS}
    streams = 1 + places[FACTORS[-1]][-1]
    guidance = [*run.flow.guidance, *[0.0] * streams][:streams]
    for name in FACTORS:
        strength = chosen[name][1]
        if strength is not None:
            if not 0.0 <= strength <= 10.0:
                raise BadInput(f"--{name}-strength must be from 0 to 10, not {strength:g}")
            for i in places[name]:
                guidance[i] = (1.0 + guidance[i]) * strength - 1.0
    return [*told, f"flow.guidance={guidance}"]
