"""Where a run's scalars go: `log.jsonl` always, MLflow where it is installed."""

import dataclasses
import importlib.util
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from powermuse import disk
from powermuse.recipe import Recipe
from powermuse.training import lock
from powermuse.types import Outcome

CLOCK = "clock."
"""Prefix of the fields that differ from run to run: times and speeds."""


class Tracker(Protocol):
    """Something that keeps scalars."""

    def log(self, seen: int, split: str, scalars: dict[str, float]) -> None:
        """Keeps the scalars of one moment of a run."""

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

    def close(self, *, finished: bool) -> None:
        """Closes the file."""
        self._file.close()


def cut(path: Path, seen: int) -> None:
    """Takes the lines after `seen`, and an unfinished last one, off a file of one JSON object a line."""
    disk.write_text(path, "".join(line for line in _whole_lines(path) if json.loads(line)["seen"] <= seen))


def _whole_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


class MlflowTracker:
    """Every scalar to an MLflow run that is the same before and after a resume."""

    def __init__(self, run: Path, recipe: Recipe) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        for chatty in ("mlflow", "alembic"):  # after the import, which sets them to talk
            logging.getLogger(chatty).setLevel(logging.WARNING)

        uri = (
            recipe.tracking.uri
            or os.environ.get("MLFLOW_TRACKING_URI")
            or f"sqlite:///{run.absolute().parent}/mlflow.db"
        )
        self._client = MlflowClient(tracking_uri=uri)
        self._id = self._resumed(run, uri) or self._created(run, uri, recipe)

    def log(self, seen: int, split: str, scalars: dict[str, float]) -> None:
        """One batch of metrics, `seen` as the step."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        self._client.log_batch(self._id, [Metric(f"{split}/{k}", v, now, seen) for k, v in scalars.items()])

    def close(self, *, finished: bool) -> None:
        """Marks the run finished or killed."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")

    def _resumed(self, run: Path, uri: str) -> str | None:
        from mlflow.exceptions import MlflowException

        note = run / "mlflow.json"
        if not note.exists() or (known := json.loads(note.read_text()))["uri"] != uri:
            return None
        run_id: str = known["run_id"]
        try:
            self._client.update_run(run_id, "RUNNING")
        except MlflowException:  # somebody deleted the record: begin another
            return None
        return run_id

    def _created(self, run: Path, uri: str, recipe: Recipe) -> str:
        experiment = self._client.get_experiment_by_name(recipe.tracking.experiment)
        number = experiment.experiment_id if experiment else self._client.create_experiment(recipe.tracking.experiment)
        run_id: str = self._client.create_run(number, run_name=run.name).info.run_id
        for key, value in flat(dataclasses.asdict(recipe)).items():
            self._client.log_param(run_id, key, value)
        disk.write_text(run / "mlflow.json", json.dumps({"uri": uri, "run_id": run_id}))
        return run_id


def trackers(run: Path, recipe: Recipe, seen: int) -> list[Tracker]:
    """The trackers of a run that stands at `seen`."""
    made: list[Tracker] = [JsonlTracker(run / "log.jsonl", seen)]
    if recipe.tracking.mlflow and importlib.util.find_spec("mlflow") is not None:
        made.append(MlflowTracker(run, recipe))
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
