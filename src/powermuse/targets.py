"""Targets: bounds on logged quantities that adapt their own multipliers, so that nobody tunes a penalty's weight.

Each bound v(x) <= 0 adds lambda v + c / 2 relu(v)^2 to the loss while it is violated or lambda is above 0, and
lambda <- clip(lambda + rate v, 0, most) after each step: the method of multipliers with damping (Platt & Barr,
NIPS 1987; on mini-batches as in GECO, Rezende & Viola 2018, arXiv 1810.00597). A bound that holds lets its multiplier
fall to 0 again; one that cannot be met drives it to `most`, which is reported.
"""

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from powermuse.recipe import TargetRecipe
from powermuse.types import BadInput

_NUMBER = r"(-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)"
_SMOOTHING = 0.98


@dataclass(frozen=True)
class Bound:
    """One side of a target: `sign * (quantity - limit) <= 0`; sign +1 is an upper limit, -1 a lower one."""

    name: str
    limit: float
    sign: int

    @property
    def label(self) -> str:
        """As it is written in a recipe."""
        return f"{self.name} {'<=' if self.sign > 0 else '>='} {self.limit:g}"


def parse(name: str, text: str) -> list[Bound]:
    """The bounds of `>= 0.9`, `<= 0.2` or `0.5 +- 0.02`. Raises BadInput for anything else."""
    if found := re.fullmatch(rf"\s*(>=|<=)\s*{_NUMBER}\s*", text):
        return [Bound(name, float(found[2]), 1 if found[1] == "<=" else -1)]
    if found := re.fullmatch(rf"\s*{_NUMBER}\s*(?:\+-|±)\s*{_NUMBER}\s*", text):
        middle, reach = float(found[1]), float(found[2])
        return [Bound(name, middle + reach, 1), Bound(name, middle - reach, -1)]
    raise BadInput(f"targets: {name} is {text!r}; '>= 0.9', '<= 0.2' or '0.5 +- 0.02' is wanted")


class Targets:
    """The bounds of a run with their multipliers, on the device; nothing here waits for it."""

    def __init__(self, texts: dict[str, str], recipe: TargetRecipe, device: torch.device) -> None:
        self.bounds = [bound for name, text in texts.items() for bound in parse(name, text)]
        self.recipe = recipe
        self.multipliers = torch.zeros(len(self.bounds), device=device)
        # The violation, smoothed over about fifty steps, for the log and the final word; NaN until the first step.
        self.violations = torch.full((len(self.bounds),), math.nan, device=device)

    def loss(self, quantities: dict[str, Tensor]) -> Tensor:
        """What the bounds add to the loss. Raises BadInput for a quantity that is not logged, or has no gradient."""
        if not self.bounds:
            return torch.zeros((), device=self.multipliers.device)
        violated = self._violated(quantities)
        self._seen = violated.detach()
        return (self.multipliers * violated + 0.5 * self.recipe.damping * violated.clamp_min(0.0).square()).sum()

    def step(self, stop: Tensor) -> None:
        """Adapts the multipliers to what `loss` saw last; not where `stop` (0 or 1) says that the step was bad."""
        if not self.bounds:
            return
        moved = (self.multipliers + self.recipe.rate * self._seen).clamp(0.0, self.recipe.most)
        smoothed = torch.where(
            self.violations.isnan(), self._seen, _SMOOTHING * self.violations + (1.0 - _SMOOTHING) * self._seen
        )
        self.multipliers = torch.where(stop > 0, self.multipliers, moved)
        self.violations = torch.where(stop > 0, self.violations, smoothed)

    def told(self) -> dict[str, Tensor]:
        """Multiplier of each bound, for the log, under names that every tracker takes (MLflow refuses `>=`)."""
        return {
            f"target.{bound.name}.{'most' if bound.sign > 0 else 'least'}": self.multipliers[i]
            for i, bound in enumerate(self.bounds)
        }

    def verdicts(self) -> list[str]:
        """A line for each bound: whether it holds, and at what price."""
        return [
            f"target {bound.label}: {'held' if v <= 0 else f'missed by {v:.3g}'}, multiplier {m:.3g}"
            + (f" (at its bound: it costs more than {self.recipe.most:g} of the loss a unit)" if self._spent(m) else "")
            for bound, v, m in zip(self.bounds, self.violations.tolist(), self.multipliers.tolist(), strict=True)
        ]

    def state(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint keeps."""
        return {"targets": {"multipliers": self.multipliers, "violations": self.violations}}

    def restore(self, tensors: dict[str, dict[str, Tensor]]) -> None:
        """Puts `state` back."""
        kept = tensors["targets"]
        self.multipliers = kept["multipliers"].to(self.multipliers.device)
        self.violations = kept["violations"].to(self.violations.device)

    def _spent(self, multiplier: float) -> bool:
        return multiplier >= self.recipe.most

    def _violated(self, quantities: dict[str, Tensor]) -> Tensor:
        for bound in self.bounds:
            if bound.name not in quantities:
                known = ", ".join(sorted(name for name, q in quantities.items() if q.requires_grad))
                raise BadInput(f"targets: nothing is called {bound.name!r} in this run; there are: {known}")
            if torch.is_grad_enabled() and not quantities[bound.name].requires_grad:
                raise BadInput(f"targets: {bound.name} is logged but cannot be steered: it has no gradient")
        return torch.stack([bound.sign * (quantities[bound.name] - bound.limit) for bound in self.bounds])
