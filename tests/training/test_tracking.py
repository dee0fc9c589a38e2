import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from powermuse.training import runs, tracking
from powermuse.training.tracking import JsonlTracker, RunningMeans
from powermuse.types import MissingExtra
from training.toys import toy


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


def test_without_mlflow_or_where_it_is_not_wanted_there_is_the_log_alone(tmp_path):
    (only,) = tracking.trackers(tmp_path, toy("tracking.mlflow=false"), 0)
    assert isinstance(only, JsonlTracker)
    only.close(finished=True)


def test_tensorboard_that_is_asked_for_and_not_there_is_named_before_anything_begins(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    runs.check_settings(toy())
    with pytest.raises(MissingExtra, match=r"tensorboard.* pip install 'powermuse\[tensorboard\]'"):
        runs.check_settings(toy("tracking.tensorboard=true"))
