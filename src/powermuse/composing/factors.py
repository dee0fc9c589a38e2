"""Where each factor of a blend comes from, how far it is insisted on, and how hits become notes, as settings of a
model's recipe."""

import json

from powermuse import recipe, weights
from powermuse.agents.factors import FACTORS
from powermuse.composing.distance import setting
from powermuse.recipe import Recipe
from powermuse.types import BadInput

_STRONGEST = 3.0
"""Beyond it guidance leaves music behind: at 4 the rhythm is gone."""
Chosen = dict[str, tuple[tuple[float, float] | None, float | None]]
"""Of each factor its shares from groove and harmony and its strength; None leaves the model's own."""


def overrides(model: str, chosen: Chosen, orchestration: str | None = None, distance: float | None = None) -> list[str]:
    """The settings of `weights.load_model` that make a model compose so, with one of the orchestrations that it knows,
    as far from the harmony clip as `distance` says (`composing.distance`). Raises BadInput where it has no factors, or
    not that orchestration, or where a distance and a strength say the same thing twice."""
    if distance is not None:
        return [
            *overrides(model, _at(distance, chosen), orchestration),
            f"agent.options.harmony_hold_s={_hold(distance)}",
        ]
    of_factors = any(shares is not None or strength is not None for shares, strength in chosen.values())
    if not of_factors and orchestration is None:
        return []
    run = recipe.load(str(weights.find_model(model) / "recipe.yaml"))
    told = _of_factors(model, run, chosen) if of_factors else []
    return told if orchestration is None else [*told, _of_orchestration(model, run, orchestration)]


def _hold(distance: float) -> float:
    return round(setting(distance).hold_s, 4)


def _at(distance: float, chosen: Chosen) -> Chosen:
    """The strengths of a distance."""
    twice = [name for name in ("harmony", "colour") if chosen[name][1] is not None]
    if twice:
        raise BadInput(
            f"--distance sets the strength of {twice[0]} too; leave out --{twice[0]}-strength, or --distance"
        )
    found = setting(distance)
    return {
        **chosen, "harmony": (chosen["harmony"][0], found.harmony), "colour": (chosen["colour"][0], found.colour),
    }  # fmt: skip


def _of_factors(model: str, run: Recipe, chosen: Chosen) -> list[str]:
    if run.agent.name != "factors" or run.composer != "flow":
        raise BadInput(f"model {model}: its agent is {run.agent.name}; only a model of factors takes them apart")
    told = [f"agent.options.{name}_from={list(s)}" for name, (s, _) in chosen.items() if s is not None]
    guidance = [*run.flow.guidance, *[0.0] * len(FACTORS)][: len(FACTORS)]
    for i, name in enumerate(FACTORS):
        strength = chosen[name][1]
        if strength is not None:
            if not 0.0 <= strength <= _STRONGEST:
                raise BadInput(f"--{name}-strength must be from 0 to {_STRONGEST:g}, not {strength:g}")
            guidance[i] = (1.0 + guidance[i]) * strength - 1.0
    insisted = chosen["harmony"][1]
    if insisted is not None:
        told.append(f"flow.leaning={run.flow.leaning * min(insisted, 1.0) + max(insisted - 1.0, 0.0)}")
    return [*told, f"flow.guidance={guidance}"]


def _of_orchestration(model: str, run: Recipe, wanted: str) -> str:
    known = run.flow.orchestrations if run.composer == "flow" else []
    if not known:
        raise BadInput(f"--orchestration: model {model} tells no orchestrations apart")
    if wanted not in known:
        raise BadInput(f"--orchestration: model {model} knows {', '.join(known)}; not {wanted!r}")
    return f"flow.orchestration={json.dumps(wanted, ensure_ascii=False)}"  # quoted, a name may hold what YAML reads
