"""MLflow for real: its database beside a run, and its server on loopback, which is also taken away."""

import importlib.util
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from powermuse.training import checkpoint, outbox, tracking
from powermuse.training.mlflow_tracker import MlflowTracker
from powermuse.training.tracking import JsonlTracker
from powermuse.training.trainer import Progress, Trainer
from powermuse.types import BadInput
from training.toys import toy

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("mlflow") is None, reason="mlflow is missing: pip install 'powermuse[track]'"
    ),
    pytest.mark.filterwarnings("ignore"),  # its own
]


class Server:
    """`mlflow server` with its store in a folder; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.folder}/store.db",
            "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)  # its own session: the server and its worker
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of this file."""
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    if made.process.poll() is None:
        made.kill()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The load of the machine in time for a short run, and no pause after a failure."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.25")
    monkeypatch.setattr(outbox, "_RETRY_S", 0.0)
    monkeypatch.setattr(outbox, "_PATIENCE", 0.0)


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def train(
    uri: str, data: Path, run: Path, *settings: str, on_progress: Callable[[Progress], None] = lambda _: None
) -> list[str]:
    """A toy run that tracks to `uri`; what it had to say."""
    messages: list[str] = []

    def hear(now: Progress) -> None:
        if now.message:
            messages.append(now.message)
        on_progress(now)

    recipe = toy(f"tracking={{mlflow: true, uri: '{uri}', experiment: {run.name}, listen: 0}}", *settings)
    Trainer(recipe, str(data), str(run), hear).fit()
    return messages


def logged(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of every scalar of the log, by MLflow's name."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()):
        for name in line.keys() - {"seen", "split"}:
            found.setdefault(f"{line['split']}/{name}", []).append((line["seen"], line[name]))
    return found


def tracked(uri: str, run: Path) -> dict[str, list[tuple[int, float]]]:
    """The same as the store has it."""
    store, run_id = client(uri), record(run)
    names = [name for name in store.get_run(run_id).data.metrics if not name.startswith("system/")]
    return {name: sorted((m.step, m.value) for m in store.get_metric_history(run_id, name)) for name in names}


def record(run: Path) -> str:
    found: str = json.loads((run / "mlflow.json").read_text())["run_id"]
    return found


def watchers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "SystemMetrics" in thread.name]


def test_a_server_has_every_scalar_the_recipe_the_environment_what_is_heard_and_the_load(
    server, dataset, tmp_path, capsys
):
    run = tmp_path / "whole"
    assert train(server.uri, dataset, run, "tracking.listen=1") == []
    assert capsys.readouterr().out == ""
    assert tracked(server.uri, run) == logged(run)
    store, run_id = client(server.uri), record(run)
    found = store.get_run(run_id)
    assert (found.info.run_name, found.info.status) == ("whole", "FINISHED")
    assert found.data.params["training.batch"] == "4" and found.data.params["weights.mask.balance"] == "15.0"
    assert found.data.tags["environment.torch"] == torch.__version__
    assert found.data.tags["data.codec"] == "mel" and len(found.data.tags["data.sha256.train.npy"]) == 64
    assert found.data.metrics["system/cpu_utilization_percentage"] >= 0
    assert found.data.metrics["system/system_memory_usage_megabytes"] > 10
    for name in ("recipe.yaml", "data.json", "environment.json"):
        assert Path(store.download_artifacts(run_id, name, str(tmp_path))).read_text() == (run / name).read_text()
    sounds = {f"{name}.flac" for name in ("groove", "harmony", *(f"{seen:012d}" for seen in (28, 56, 80)))}
    pictures = {f"{seen:012d}.png" for seen in (28, 56, 80)}
    assert {Path(each.path).name for each in store.list_artifacts(run_id, "listen")} == sounds | pictures
    heard = Path(store.download_artifacts(run_id, "listen", str(tmp_path)))
    wav, rate_hz = soundfile.read(heard / f"{80:012d}.flac")
    assert (wav.shape, rate_hz) == ((48 * 320,), 24_000) and abs(wav).max() > 0.01
    assert (heard / f"{80:012d}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_run_outlives_its_server_and_tells_it_everything_later(server, dataset, tmp_path):
    run, plain = tmp_path / "alone", tmp_path / "plain"

    def kill_and_revive(now: Progress) -> None:
        if now.seen == 24 and server.process.poll() is None:
            server.kill()
        if now.seen == 48 and server.process.poll() is not None:
            server.start()

    messages = train(server.uri, dataset, run, "tracking.listen=1", on_progress=kill_and_revive)
    about = f"MLflow at {server.uri}"
    assert [message.startswith(f"{about}: ") for message in messages] == [True, True]
    assert "the run goes on" in messages[0] and "answers again" in messages[1]
    assert tracked(server.uri, run) == logged(run)
    assert client(server.uri).get_run(record(run)).info.status == "FINISHED"
    listened = client(server.uri).list_artifacts(record(run), "listen")
    assert f"listen/{56:012d}.flac" in [each.path for each in listened]
    assert watchers() == []
    train(server.uri, dataset, plain, "tracking.mlflow=false")
    ours, theirs = (checkpoint.load(checkpoint.found(each / "checkpoints")[-1]) for each in (run, plain))
    assert not checkpoint.differences(ours.tensors, theirs.tensors, exact=True)


def test_what_a_store_missed_to_the_end_it_gets_from_the_log_in_the_next_start(dataset, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    run, uri = tmp_path / "later", f"sqlite:///{tmp_path}/mlflow.db"

    def away(*words: Any, **more: Any) -> None:
        raise ConnectionError("nobody there")

    with monkeypatch.context() as patch:

        def leave(now: Progress) -> None:
            if now.seen == 48:
                for call in ("update_run", "log_batch", "set_terminated"):
                    patch.setattr(MlflowClient, call, away)

        fails = f"MLflow at {uri}: ConnectionError: nobody there; the run goes on, and tries again"
        assert train(uri, dataset, run, on_progress=leave) == [fails]
        on = train(uri, dataset, run, "training.pairs=100")  # still without it
        assert on == ["going on from pair 80", fails]
    assert [step for step, _ in tracked(uri, run)["train/loss"]] == [12, 24, 36, 48]
    train(uri, dataset, run, "training.pairs=120")
    assert tracked(uri, run) == logged(run)


def test_a_run_that_repeats_steps_after_a_kill_has_no_step_twice(dataset, tmp_path):
    run = tmp_path / "killed"
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    train("", dataset, run)
    before = tracked(uri, run)
    assert before == logged(run)
    (run / f"checkpoints/{80:012d}.safetensors").unlink()  # as if it had been killed at 80, on its way from 60
    assert train("", dataset, run) == ["going on from pair 60"]
    assert tracked(uri, run) == before


def test_a_store_that_cannot_be_used_at_the_start_of_a_run_is_the_users_to_change(dataset, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://me:secret@127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BadInput, match=r"MLflow at http://\*\*\*@127.* cannot be used .* -s tracking\.mlflow=false"):
        train(uri, dataset, tmp_path / "run")
    assert watchers() == []


def test_a_local_store_that_cannot_be_used_is_no_less_the_users_to_change(dataset, tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(
        BadInput, match=r"mlflow\.db cannot be used \(.*file is not a database\); .* -s tracking\.mlflow"
    ):
        train("", dataset, tmp_path / "run")


def test_a_damaged_store_does_not_end_a_run_that_goes_on_and_has_it_all_when_it_is_whole_again(dataset, tmp_path):
    run, store = tmp_path / "run", tmp_path / "mlflow.db"
    train("", dataset, run)
    _forget(store)
    whole = store.read_bytes()
    store.write_bytes(whole[: len(whole) // 2])
    going_on, warning = train("", dataset, run, "training.pairs=100")
    assert going_on == "going on from pair 80"
    assert "mlflow.db: DatabaseError: (sqlite3.DatabaseError) database disk image is malformed; the run goes" in warning
    assert checkpoint.found(run / "checkpoints")[-1].stem == f"{100:012d}"
    _forget(store)
    store.write_bytes(whole)
    assert train("", dataset, run, "training.pairs=120") == ["going on from pair 100"]
    assert tracked(f"sqlite:///{store}", run) == logged(run)


def _forget(store: Path) -> None:
    """As another process would find it: MLflow keeps what it has opened."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    _tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    SqlAlchemyStore._engine_map.pop(f"sqlite:///{store}").dispose()


# Three of these begin at the same moment; each ends by the number of its run.
BEGIN = """
import sys, time
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store
from powermuse.training.mlflow_tracker import MlflowTracker
from training.toys import toy

run = Path(sys.argv[1])
run.mkdir()
while len(list(run.parent.glob("run*"))) < 3:
    time.sleep(0.01)
MlflowTracker(run, toy("tracking={mlflow: true, experiment: together}"), print).close(finished=True)
"""


@pytest.mark.long
def test_runs_that_begin_together_share_the_store_that_the_first_of_them_makes(tmp_path):
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(tmp_path / f"run{i}")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for i in range(3)
    ]  # fmt: skip
    assert [(process.communicate(timeout=240)[0], process.returncode) for process in begun] == [("", 0)] * 3
    store = client(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = store.search_experiments(filter_string="name = 'together'")
    assert len(store.search_runs([experiment.experiment_id])) == 3


def test_an_mlflow_run_is_the_same_after_a_resume_and_its_files_lie_beside_it(tmp_path, monkeypatch):
    recipe = toy("tracking={mlflow: true, experiment: toys}")
    run = tmp_path / "first"
    run.mkdir()
    (run / "recipe.yaml").write_text("name: toy")
    monkeypatch.chdir(run)
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "60")
    for seen, finished in ((4, False), (8, True)):
        kinds = tracking.trackers(run, recipe, seen - 4)
        assert [type(t) for t in kinds] == [JsonlTracker, MlflowTracker]
        for tracker in kinds:
            tracker.log(seen, "train", {"loss": 1.0 / seen, "latent.groove": math.pi})
        assert watchers() == ["SystemMetricsMonitor"]
        for tracker in kinds:
            tracker.close(finished=finished)
        assert watchers() == []  # and nobody has waited a minute for it
        store = client(f"sqlite:///{tmp_path}/mlflow.db")
        (found,) = store.search_runs([store.get_experiment_by_name("toys").experiment_id])
        assert found.info.status == ("FINISHED" if finished else "KILLED")
    assert tracked(f"sqlite:///{tmp_path}/mlflow.db", run)["train/loss"] == [(4, 0.25), (8, 0.125)]
    assert found.info.artifact_uri.startswith((tmp_path / "mlartifacts").as_uri())
    assert [path.name for path in (tmp_path / "mlartifacts").rglob("*.yaml")] == ["recipe.yaml"]
    assert sorted(path.name for path in run.iterdir()) == ["log.jsonl", "mlflow.json", "recipe.yaml"]


@pytest.mark.parametrize("how", ["gone", "in the bin"])
def test_a_run_whose_mlflow_record_was_deleted_begins_another_that_has_it_all(tmp_path, how):
    recipe, uri = toy("tracking={mlflow: true, experiment: deleted}"), f"sqlite:///{tmp_path}/mlflow.db"
    run = tmp_path / "second"
    run.mkdir()
    for seen in (4, 8):
        for tracker in tracking.trackers(run, recipe, seen - 4):
            tracker.log(seen, "train", {"loss": 1.0 / seen})
            tracker.close(finished=seen == 8)
        if seen == 4 and how == "gone":
            (run / "mlflow.json").write_text(json.dumps({"uri": uri, "run_id": "0" * 32}))
        elif seen == 4:
            client(uri).delete_run(first := record(run))
    assert record(run) != ("0" * 32 if how == "gone" else first)
    assert tracked(uri, run)["train/loss"] == [(4, 0.25), (8, 0.125)]
    assert client(uri).get_run(record(run)).info.status == "FINISHED"
