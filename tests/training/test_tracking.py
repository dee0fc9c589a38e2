import importlib.util
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from powermuse.training import tracking
from powermuse.training.tracking import JsonlTracker, MlflowTracker, RunningMeans
from training.toys import toy

needs_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow is missing: pip install 'powermuse[track]'"
)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_is_there_as_soon_as_it_is_logged(tmp_path):
    tracker = JsonlTracker(tmp_path / "log.jsonl", 0)
    tracker.log(4, "train", {"loss": 0.1, "latent.groove": 1 / 3})
    assert read(tmp_path / "log.jsonl") == [{"seen": 4, "split": "train", "loss": 0.1, "latent.groove": 1 / 3}]
    tracker.log(8, "val", {"loss": 2.0})
    assert read(tmp_path / "log.jsonl")[1] == {"seen": 8, "split": "val", "loss": 2.0}
    tracker.close(finished=True)


def test_opening_cuts_lines_of_later_pairs_and_a_half_line(tmp_path):
    path = tmp_path / "log.jsonl"
    whole = [f'{{"seen": {seen}, "split": "{split}"}}\n' for seen, split in [(4, "train"), (8, "train"), (8, "val")]]
    path.write_text("".join(whole) + '{"seen": 12, "split": "train"}\n{"seen": 8, "spl')
    tracker = JsonlTracker(path, 8)
    tracker.log(12, "train", {"loss": 0.5})
    tracker.close(finished=False)
    assert path.read_text() == "".join(whole) + '{"seen": 12, "split": "train", "loss": 0.5}\n'


def test_opening_at_the_start_begins_anew(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"seen": 4}\n')
    JsonlTracker(tmp_path / "log.jsonl", 0).close(finished=False)
    assert (tmp_path / "log.jsonl").read_text() == ""


def test_running_means_are_means_since_the_last_reading():
    means = RunningMeans()
    for value in (1.0, 2.0, 6.0):
        means.add({"loss": torch.tensor(value), "other": torch.tensor(-value)})
    assert means.counts == {"loss": 3, "other": 3}
    assert means.read() == {"loss": 3.0, "other": -3.0}
    means.add({"loss": torch.tensor(10.0)})
    assert means.read() == {"loss": 10.0}
    assert means.read() == {}


def test_running_means_keep_their_precision_and_no_graph():
    means = RunningMeans()
    weight = torch.ones((), requires_grad=True)
    for _ in range(1000):
        means.add({"loss": weight * 0.1, "large": torch.tensor(1e8) + 1})
    assert not means.sums["loss"].requires_grad
    assert means.read() == {"loss": pytest.approx(0.1, rel=1e-7), "large": 1e8}


def test_nested_settings_are_flattened_to_dotted_names():
    assert tracking.flat({"a": {"b": {"c": 1}, "d": [2]}, "e": None}) == {"a.b.c": 1, "a.d": [2], "e": None}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of runs; the SQLite store that MLflow begins beside them is the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield tmp_path_factory.mktemp("runs")


@needs_mlflow
@pytest.mark.filterwarnings("ignore")  # its own
def test_an_mlflow_run_is_the_same_after_a_resume_and_holds_recipe_and_scalars(store):
    from mlflow import MlflowClient

    recipe = toy("tracking={mlflow: true, experiment: toys}")
    run = store / "first"
    run.mkdir()
    for seen, finished in ((4, False), (8, True)):
        kinds = tracking.trackers(run, recipe, seen - 4)
        assert [type(t) for t in kinds] == [JsonlTracker, MlflowTracker]
        for tracker in kinds:
            tracker.log(seen, "train", {"loss": 1.0 / seen, "latent.groove": math.pi})
            tracker.close(finished=finished)
        client = MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db")
        (found,) = client.search_runs([client.get_experiment_by_name("toys").experiment_id])
        assert found.info.status == ("FINISHED" if finished else "KILLED")
    assert found.info.run_name == "first"
    assert [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, "train/loss")] == [
        (4, 0.25),
        (8, 0.125),
    ]
    assert found.data.metrics["train/latent.groove"] == math.pi
    assert found.data.params["training.batch"] == "4"
    assert found.data.params["weights.mask.balance"] == "15.0"


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_run_whose_mlflow_record_was_deleted_begins_another(store):
    from mlflow import MlflowClient

    recipe = toy("tracking={mlflow: true, experiment: deleted}")
    run = store / "second"
    run.mkdir()
    MlflowTracker(run, recipe).close(finished=False)
    first = json.loads((run / "mlflow.json").read_text())["run_id"]
    (run / "mlflow.json").write_text(json.dumps({"uri": f"sqlite:///{store}/mlflow.db", "run_id": "0" * 32}))
    MlflowTracker(run, recipe).close(finished=True)
    second = json.loads((run / "mlflow.json").read_text())["run_id"]
    assert second not in (first, "0" * 32)
    assert MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db").get_run(second).info.status == "FINISHED"


def test_without_mlflow_or_where_it_is_not_wanted_there_is_the_log_alone(tmp_path):
    (only,) = tracking.trackers(tmp_path, toy("tracking.mlflow=false"), 0)
    assert isinstance(only, JsonlTracker)
    only.close(finished=True)
