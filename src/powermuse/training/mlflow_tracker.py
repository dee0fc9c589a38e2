"""A run in MLflow: scalars, recipe, environment, what there is to hear, and the load of the machine."""

import dataclasses
import fcntl
import functools
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from powermuse import disk
from powermuse.recipe import Recipe
from powermuse.training import environment, tracking
from powermuse.training.machine_load import MachineLoad
from powermuse.training.outbox import Outbox
from powermuse.training.tracking import ABOUT, Heard, flat
from powermuse.types import BadInput

_A_BATCH = 100
"""Parameters or tags that MLflow takes at once."""
_NO_LONGER_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""How MLflow answers for a run that somebody has deleted."""
_SQLITE = "sqlite:///"


class MlflowTracker:
    """One MLflow run, the same before and after a resume; no step is there twice, and what a store missed while it did
    not answer is sent when it does, from `log.jsonl` even in the next process.

    Raises BadInput where the store of a run that begins cannot be used; after that a store can fail as it likes.
    """

    def __init__(self, run: Path, recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> None:
        self._run, self._recipe = run, recipe
        self._uri = recipe.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or _beside(run)
        self._client: Any = None
        shown = environment.without_password(self._uri)
        # Two, since a server may take scalars and no files.
        self._lines, self._files = Outbox(f"MLflow at {shown}", say), Outbox(f"MLflow's files at {shown}", say)
        self._load = MachineLoad()
        self._known: dict[str, int] = {}
        """The newest step of each split that the store has had from an earlier process."""
        _set_patience()
        self._id = self._noted() or self._first(shown)
        self._lines.add(self._connect)
        self._lines.add(self._reopen)
        for line in _logged(run / tracking.LOG):
            self._add(line.pop("seen"), line.pop("split"), line)
        self._lines.add(self._describe)
        for name in ABOUT:
            self._files.add(functools.partial(self._upload, run / name, ""))
        self._send()

    def log(self, seen: int, split: str, scalars: dict[str, float]) -> None:
        """One batch of metrics, `seen` as the step."""
        self._add(seen, split, scalars)
        self._send()

    def keep(self, heard: Heard) -> None:
        """Sounds and picture as artifacts in `listen`."""
        for path in (*heard.sounds.values(), heard.picture):
            self._files.add(functools.partial(self._upload, path, "listen"))
        self._send()

    def close(self, *, finished: bool) -> None:
        """Marks the run finished or killed, and ends the monitor's thread."""
        self._load.stop()
        self._lines.add(lambda: self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED"))
        if self._lines.send(at_once=True):
            self._files.send(at_once=True)

    def _send(self) -> None:
        if self._lines.send():
            self._files.send()
            self._load.watch(self._id, self._uri)

    def _add(self, seen: int, split: str, scalars: dict[str, float]) -> None:
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        metrics = [Metric(f"{split}/{name}", value, now, seen) for name, value in scalars.items()]

        def send() -> None:
            if seen > self._known.get(split, -1):
                self._client.log_batch(self._id, metrics)

        self._lines.add(send)

    def _upload(self, path: Path, folder: str) -> None:
        if path.exists():  # a listening may be gone before its turn comes
            self._client.log_artifact(self._id, str(path), folder or None)

    def _noted(self) -> str | None:
        """The record that the run had in this store."""
        note = self._run / "mlflow.json"
        if not note.exists() or (known := json.loads(note.read_text()))["uri"] != self._uri:
            return None
        run_id: str = known["run_id"]
        return run_id

    def _first(self, shown: str) -> str:
        try:
            self._connect()
            return self._created()
        except Exception as error:  # an address, a password, a database, a driver that is not there
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise BadInput(
                f"MLflow at {shown} cannot be used ({reason[0][:300]}); start it, name another with "
                "-s tracking.uri=..., or leave it out with -s tracking.mlflow=false"
            ) from error

    def _connect(self) -> None:
        if self._client is None:
            with _alone(self._uri):
                self._client = _client(self._uri)

    def _reopen(self) -> None:
        """The record as it was left, or another where somebody has deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.update_run(self._id, "RUNNING")
        except MlflowException as error:
            if error.error_code not in _NO_LONGER_THERE:
                raise
            self._id = self._created()
        for split in ("train", "val"):
            history = self._client.get_metric_history(self._id, f"{split}/loss")
            self._known[split] = max((metric.step for metric in history), default=-1)

    def _created(self) -> str:
        with _alone(self._uri):
            number = self._experiment()
        run_id: str = self._client.create_run(number, run_name=self._run.name).info.run_id
        self._log_params(run_id)
        disk.write_text(self._run / "mlflow.json", json.dumps({"uri": self._uri, "run_id": run_id}))
        return run_id

    def _experiment(self) -> str:
        name = self._recipe.tracking.experiment
        known = self._client.get_experiment_by_name(name)
        number: str = known.experiment_id if known else self._client.create_experiment(name, _folder(self._uri))
        return number

    def _log_params(self, run_id: str) -> None:
        from mlflow.entities import Param

        settings = flat(dataclasses.asdict(self._recipe)).items()
        params = [Param(key, environment.without_password(str(value))) for key, value in settings]
        for begin in range(0, len(params), _A_BATCH):
            self._client.log_batch(run_id, params=params[begin : begin + _A_BATCH])

    def _describe(self) -> None:
        """What the run is computed with and on, as tags: those of its newest start."""
        from mlflow.entities import RunTag

        tags = [RunTag(key, str(value)) for key, value in _about(self._run).items() if value is not None]
        for begin in range(0, len(tags), _A_BATCH):
            self._client.log_batch(self._id, tags=tags[begin : begin + _A_BATCH])


def _set_patience() -> None:
    """Before MLflow is imported: it is silent, and less patient than by itself, or a step would wait for minutes."""
    for variable, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }.items():
        os.environ.setdefault(variable, value)


def _client(uri: str) -> Any:
    """MLflow's client. Raises whatever a store may raise: a local database is opened here."""
    from mlflow import MlflowClient

    # After the import, which sets them to talk. Of a store that fails the outbox tells.
    for chatty, level in {"mlflow": "WARNING", "alembic": "WARNING", "mlflow.system_metrics": "CRITICAL"}.items():
        logging.getLogger(chatty).setLevel(level)
    return MlflowClient(tracking_uri=uri)


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Lets one process at a time open a local database, or add an experiment to it: where it is new they would all make
    its tables. Of another store a server takes care."""
    with ExitStack() as stack:
        if uri.startswith(_SQLITE):
            # Where no file can be made or locked, the store says better why it cannot be used.
            with suppress(OSError):
                database = Path(uri.removeprefix(_SQLITE))
                database.parent.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context(database.with_name(f".{database.name}.lock").open("a"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _beside(run: Path) -> str:
    return f"{_SQLITE}{run.absolute().parent}/mlflow.db"


def _folder(uri: str) -> str | None:
    """Where the files of an experiment go: beside a local database (MLflow itself would take the working directory);
    a server decides for itself."""
    if not uri.startswith(_SQLITE):
        return None
    return (Path(uri.removeprefix(_SQLITE)).absolute().parent / "mlartifacts").as_uri()


def _logged(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _about(run: Path) -> dict[str, Any]:
    """Environment of the newest start and identity of the data set, flat, as far as the run's folder tells them."""
    told: dict[str, Any] = {}
    if (file := run / environment.FILE).exists():
        now = json.loads(file.read_text())[-1]
        told |= flat({"environment": now})
        told["mlflow.source.git.commit"] = now["commit"]  # the name that MLflow's page knows
    if (file := run / "data.json").exists():
        told |= flat({"data": json.loads(file.read_text())})
    return told
