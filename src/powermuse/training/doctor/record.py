"""A run as the doctor reads it: its recipe, and what it logged as curves."""

import itertools
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from powermuse import recipe as recipes
from powermuse.recipe import Recipe
from powermuse.training.health import FAILED
from powermuse.types import BadInput

_QUARTERS = 4
LEAST_LINES = 8
"""Lines of the log that a course over time wants: two a quarter."""


class NotChecked(Exception):
    """A rule has nothing to judge by in this run; the message says why."""


class Curve(NamedTuple):
    """One quantity over a run."""

    seen: tuple[int, ...]
    values: tuple[float, ...]


class Failure(NamedTuple):
    """A number that is none, which ended a run: after which pair, and what was told of it."""

    pair: int
    told: str


@dataclass(frozen=True)
class Record:
    """What a run left behind. `clips` is the number of training clips, 0 where it is not known."""

    recipe: Recipe
    train: dict[str, Curve]
    val: dict[str, Curve]
    clips: int = 0
    failed: Failure | None = None

    @property
    def seen(self) -> int:
        """Training pairs up to the last line of the log, or to where a number ended the run: in its first step, say."""
        failed = max(1, self.failed.pair) if self.failed else 0
        return max([failed, *(c.seen[-1] for curves in (self.train, self.val) for c in curves.values())])

    @property
    def steps(self) -> int:
        """Training steps up to there."""
        return self.seen // self.recipe.training.batch

    def weight(self, term: str) -> float:
        """What the recipe gives a loss term."""
        return self.recipe.weights.get(term, 0.0)

    def option(self, name: str, default: Any = None) -> Any:
        """An option of the recipe's agent."""
        return self.recipe.agent.options.get(name, default)

    def curve(self, name: str) -> Curve:
        """A quantity as the validations saw it, or else the training. Raises NotChecked where neither logged it."""
        for curves in (self.val, self.train):
            if name in curves and finite(curves[name].values):
                return curves[name]
        raise NotChecked(f"the log has no {name}")

    def now(self, name: str) -> float:
        """Where a quantity stands: the median of the last quarter of its curve."""
        values = finite(self.curve(name).values)
        return statistics.median(values[-max(1, len(values) // _QUARTERS) :])

    def quarters(self, name: str) -> list[float]:
        """Medians of a training quantity over the quarters of the run. Raises NotChecked where the run is too short."""
        return quarters(self.train.get(name, Curve((), ())).values, name)

    def loss(self, split: str) -> Curve:
        """The weighted terms without the discriminator's, which moves by itself, and without the targets' part."""
        curves = {"train": self.train, "val": self.val}[split]
        weights = {term: weight for term, weight in self.recipe.weights.items() if weight and term != "gan"}
        if not weights or any(term not in curves for term in weights):
            raise NotChecked("no loss term besides the discriminator's is in the log")
        seen = next(curves[term].seen for term in weights)
        columns = [[weight * value for value in curves[term].values] for term, weight in weights.items()]
        sums = [(at, sum(row)) for at, *row in zip(seen, *columns, strict=False)]
        return Curve(*zip(*[(at, total) for at, total in sums if math.isfinite(total)], strict=True))

    def after_steps(self, least: int) -> None:
        """Raises NotChecked before `least` steps: nothing is learned yet."""
        if self.steps < least:
            raise NotChecked(f"after {self.steps} steps it is too early; wait for {least}")

    def after_epochs(self, least: int) -> None:
        """Raises NotChecked before each clip was the groove `least` times, where the number of clips is known."""
        if self.clips and self.seen < least * self.clips:
            raise NotChecked(f"after {self.seen / self.clips:.1f} epochs it is too early; wait for {least}")


def read(folder: str) -> Record:
    """The record of a run; a last line that is still being written does not count. Raises BadInput for anything else
    than a run."""
    run = Path(folder)
    log = run / "log.jsonl"
    if not (run / "recipe.yaml").is_file() or not (log.is_file() or (run / "data.json").is_file()):
        raise BadInput(
            f"{folder}: is not a run (no recipe.yaml with log.jsonl in it); name the directory that was --run"
        )
    recipe = recipes.load(str(run / "recipe.yaml"))
    lines = _lines(log) if log.is_file() else []
    clips, failed = _clips(run / "data.json"), _failed(run / FAILED)
    return Record(recipe, _curves(lines, "train"), _curves(lines, "val"), clips, failed)


def finite(values: Sequence[float]) -> list[float]:
    """Those that are numbers."""
    return [value for value in values if math.isfinite(value)]


def quarters(values: Sequence[float], name: str) -> list[float]:
    """Medians of four equal stretches. Raises NotChecked where there are fewer than two values in each."""
    known = finite(values)
    if len(known) < LEAST_LINES:
        raise NotChecked(f"the log has {len(known)} lines with {name}, {LEAST_LINES} are wanted")
    edges = [len(known) * i // _QUARTERS for i in range(_QUARTERS + 1)]
    return [statistics.median(known[a:b]) for a, b in itertools.pairwise(edges)]


def _lines(log: Path) -> list[dict[str, Any]]:
    texts = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            lines.append({**line, "seen": int(line["seen"]), "split": str(line["split"])})
        except (ValueError, TypeError, KeyError):
            if number < len(texts):
                raise BadInput(f"{log}: line {number} is no line of a run's log") from None
    return lines


def _curves(lines: list[dict[str, Any]], split: str) -> dict[str, Curve]:
    points: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.items() if line["split"] == split else ():
            if name != "seen" and isinstance(value, int | float) and not isinstance(value, bool):
                points.setdefault(name, []).append((line["seen"], float(value)))
    return {name: Curve(*zip(*found, strict=True)) for name, found in points.items()}


def _failed(file: Path) -> Failure | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Failure(int(content["pair"]), str(content["told"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _clips(file: Path) -> int:
    try:
        return int(json.loads(file.read_text())["clips"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0
