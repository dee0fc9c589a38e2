"""Targets: bounds on logged quantities that adapt their own multipliers, so that nobody tunes a penalty's weight.

Each bound v(x) <= 0 adds lambda v to the loss, and lambda follows v by one of three methods; LOG.md compares them.

multipliers: lambda <- clip(lambda + rate v, 0, most), and c / 2 relu(v)^2 is added to the loss: the method of
multipliers with damping (Platt & Barr, NIPS 1987). A bound that holds lets its multiplier fall to 0 again.
pi: lambda = clip(I + c v, 0, most), I <- clip(I + rate v, 0, most), v smoothed: a controller with a proportional and an
integral part (Stooke, Achiam & Abbeel, ICML 2020, arXiv 2007.03964).
geco: lambda <- clip(lambda exp(rate v), 1e-3, most) from 1, v smoothed (Rezende & Viola 2018, arXiv 1810.00597).

A bound that cannot be met drives its multiplier to `most`, which is reported.
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
_LEAST = 1e-3


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


def parse_all(texts: dict[str, str]) -> list[Bound]:
    """The bounds of all targets of a recipe. Raises BadInput."""
    return [bound for name, text in texts.items() for bound in parse(name, text)]


def check(bounds: list[Bound], quantities: dict[str, Tensor]) -> None:
    """Raises BadInput for a bound on a quantity that is not there, or has no gradient."""
    for bound in bounds:
        if bound.name not in quantities:
            known = ", ".join(sorted(name for name, q in quantities.items() if q.requires_grad))
            raise BadInput(f"targets: nothing is called {bound.name!r} in this run; there are: {known}")
        if torch.is_grad_enabled() and not quantities[bound.name].requires_grad:
            raise BadInput(f"targets: {bound.name} is logged but cannot be steered: it has no gradient")


class Targets:
    """The bounds of a run with their multipliers, on the device; nothing here waits for it."""

    def __init__(self, texts: dict[str, str], recipe: TargetRecipe, device: torch.device) -> None:
        self.bounds = parse_all(texts)
        self.recipe = recipe
        begin = 1.0 if recipe.method == "geco" else 0.0
        self.multipliers = torch.full((len(self.bounds),), begin, device=device)
        # The violation, smoothed over about fifty steps, for the log and the final word; NaN until the first step.
        self.violations = torch.full((len(self.bounds),), math.nan, device=device)
        self._seen = self.violations

    def binds(self, name: str) -> bool:
        """Whether a target names this quantity."""
        return any(bound.name == name for bound in self.bounds)

    def loss(self, quantities: dict[str, Tensor]) -> Tensor:
        """What the bounds add to the loss. Raises BadInput for a quantity that is not logged, or has no gradient."""
        if not self.bounds:
            return torch.zeros((), device=self.multipliers.device)
        violated = self._violated(quantities)
        self._seen = violated.detach()
        added = self._prices() * violated
        if self.recipe.method == "multipliers":
            added = added + 0.5 * self.recipe.damping * violated.clamp_min(0.0).square()
        return added.sum()

    @property
    def seen(self) -> Tensor:
        """The violations [bounds] that `loss` saw last."""
        return self._seen

    def step(self, stop: Tensor, seen: Tensor | None = None) -> None:
        """Adapts the multipliers to what `loss` saw last, or to `seen` where that is a mean over several parts of a
        batch; not where `stop` (0 or 1) says that the step was bad."""
        if not self.bounds:
            return
        if seen is not None:
            self._seen = seen
        smoothed = torch.where(
            self.violations.isnan(), self._seen, _SMOOTHING * self.violations + (1.0 - _SMOOTHING) * self._seen
        )
        moved = self._moved(smoothed)
        self.multipliers = torch.where(stop > 0, self.multipliers, moved)
        self.violations = torch.where(stop > 0, self.violations, smoothed)

    def told(self) -> dict[str, Tensor]:
        """The quantities that are bound, and the multiplier of each bound, for the log, under names that every tracker
        takes (MLflow refuses `>=`). After `loss`."""
        values = {b.name: b.limit + b.sign * v for b, v in zip(self.bounds, self._seen, strict=True)}
        return values | {
            f"target.{bound.name}.{'most' if bound.sign > 0 else 'least'}": price
            for bound, price in zip(self.bounds, self._prices(), strict=True)
        }

    def verdicts(self) -> list[str]:
        """A line for each bound: whether it holds, and at what price; for one that does not, what pulls against it."""
        found = list(zip(self.bounds, self.violations.tolist(), self._prices().tolist(), strict=True))
        return [self._verdict(bound, v, price, found) for bound, v, price in found]

    def state(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint keeps."""
        return {"targets": {"multipliers": self.multipliers, "violations": self.violations}}

    def restore(self, tensors: dict[str, dict[str, Tensor]]) -> None:
        """Puts `state` back."""
        kept = tensors["targets"]
        self.multipliers = kept["multipliers"].to(self.multipliers.device)
        self.violations = kept["violations"].to(self.violations.device)

    def _verdict(
        self, bound: Bound, violation: float, price: float, all_found: list[tuple[Bound, float, float]]
    ) -> str:
        if math.isnan(violation):
            return f"target {bound.label}: no step was taken"
        if violation <= 0:
            return f"target {bound.label}: held, multiplier {price:.3g}"
        reached = bound.limit + bound.sign * violation
        told = f"target {bound.label}: missed by {violation:.3g} (reached {reached:.3g}), multiplier {price:.3g}"
        if price < self.recipe.most:
            return f"{told}, still rising: train longer, or raise target.rate"
        others = [f"{o.label} ({p:.3g})" for o, _, p in all_found if o is not bound and p > 0.01 * self.recipe.most]
        against = f"; it has to agree with {', '.join(others)}" if others else ""
        return f"{told}, its bound: the rest of the loss would rise by more than {self.recipe.most:g} a unit{against}"

    def _prices(self) -> Tensor:
        """The multipliers that act: for `pi` with the proportional part."""
        if self.recipe.method != "pi":
            return self.multipliers
        now = self.violations.nan_to_num(0.0)
        return (self.multipliers + self.recipe.damping * now).clamp(0.0, self.recipe.most)

    def _moved(self, smoothed: Tensor) -> Tensor:
        """The multipliers after a step."""
        rate, most = self.recipe.rate, self.recipe.most
        if self.recipe.method == "geco":
            return (self.multipliers * (rate * smoothed).exp()).clamp(_LEAST, most)
        return (self.multipliers + rate * (smoothed if self.recipe.method == "pi" else self._seen)).clamp(0.0, most)

    def _violated(self, quantities: dict[str, Tensor]) -> Tensor:
        check(self.bounds, quantities)
        return torch.stack([bound.sign * (quantities[bound.name] - bound.limit) for bound in self.bounds])
