"""Where a run's scalars go: `log.jsonl` always, MLflow where it is installed, TensorBoard where it is asked for."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from powermuse import disk
from powermuse.recipe import Recipe
from powermuse.training import lock
from powermuse.types import MissingExtra, Outcome

CLOCK = "clock."
"""Prefix of the fields that differ from run to run: times and speeds."""


LOG = "log.jsonl"
ABOUT = ("recipe.yaml", "data.json", "environment.json")
"""What the folder of a run says of it."""


class Heard(NamedTuple):
    """The fixed validation pair at one moment of a run, as files in RUN/listen."""

    seen: int
    sounds: dict[str, Path]
    """The blend, and with the first of a process groove and harmony."""
    picture: Path
    sample_rate_hz: int


class Tracker(Protocol):
    """Something that keeps scalars, and what there is to hear."""

    def log(self, seen: int, split: str, scalars: dict[str, float]) -> None:
        """Keeps the scalars of one moment of a run."""

    def keep(self, heard: Heard) -> None:
        """Keeps sounds and a picture."""

    def close(self, *, finished: bool) -> None:
        """Ends the record; `finished` tells an ended run from an interrupted one."""


class JsonlTracker:
    """One JSON object a line. Opening at `seen` cuts what came after it, so that a resumed run writes no line twice."""

    def __init__(self, path: Path, seen: int) -> None:
        if path.exists():
            cut(path, seen)
        self._file = path.open("a")
        lock.hold(self._file)

    def log(self, seen: int, split: str, scalars: dict[str, float]) -> None:
        """Appends a line and hands it to the system, so that a kill loses none."""
        self._file.write(json.dumps({"seen": seen, "split": split, **scalars}) + "\n")
        self._file.flush()

    def keep(self, heard: Heard) -> None:
        """Nothing to do: the files are in the run already."""

    def close(self, *, finished: bool) -> None:
        """Closes the file."""
        self._file.close()


def cut(path: Path, seen: int) -> None:
    """Takes the lines after `seen`, and an unfinished last one, off a file of one JSON object a line."""
    disk.write_text(path, "".join(line for line in _whole_lines(path) if json.loads(line)["seen"] <= seen))


def _whole_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def check(recipe: Recipe) -> None:
    """Raises MissingExtra where a recipe asks for a tracker that is not installed."""
    if recipe.tracking.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra("tracking.tensorboard=true", "tensorboard")


def trackers(run: Path, recipe: Recipe, seen: int, say: Callable[[str], None] = lambda _: None) -> list[Tracker]:
    """The trackers of a run that stands at `seen`. Raises BadInput where a new run's MLflow store cannot be used."""
    made: list[Tracker] = [JsonlTracker(run / LOG, seen)]
    if recipe.tracking.mlflow and importlib.util.find_spec("mlflow") is not None:
        from powermuse.training.mlflow_tracker import MlflowTracker  # here, for it builds upon this module

        made.append(MlflowTracker(run, recipe, say))
    if recipe.tracking.tensorboard:
        from powermuse.training.tensorboard_tracker import TensorboardTracker

        made.append(TensorboardTracker(run, seen))
    return made


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots."""
    out: dict[str, Any] = {}
    for key, value in nested.items():
        out.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return out


def told(total: Tensor, terms: dict[str, Tensor], outcome: Outcome) -> dict[str, Tensor]:
    """What the log is told of a batch: losses, the agent's statistics, scale factor of each stage, RMS of the blend."""
    scales = {f"scale.{i}": s.detach().mean() for i, s in enumerate(outcome.composition.scales)}
    rms = outcome.blend_BDT.detach().square().mean().sqrt()
    told = {"loss": total, **terms, **outcome.proposal.stats, **scales, "blend.rms": rms}
    return {name: value.detach() for name, value in told.items()}


class RunningMeans:
    """Means of scalars since the last reading, summed on the device so that no step waits for it."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, scalars: dict[str, Tensor], weight: int = 1) -> None:
        """One step's scalars, counted `weight` times; a name may be missing from some steps."""
        for name, value in scalars.items():
            value = value.detach().double() * weight
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + weight

    def read(self, over_ranks: Callable[[Tensor], Tensor] = lambda values: values) -> dict[str, float]:
        """The means as plain numbers (this waits for the device), and a fresh start. `over_ranks` makes a vector the
        mean of those of all processes."""
        import torch

        if not self.sums:
            return {}
        sums = torch.stack(list(self.sums.values()))
        counts = torch.tensor([self.counts[name] for name in self.sums], dtype=sums.dtype, device=sums.device)
        sums, counts = over_ranks(torch.stack([sums, counts]))
        means = dict(zip(self.sums, (sums / counts).tolist(), strict=True))
        self.sums, self.counts = {}, {}
        return means
