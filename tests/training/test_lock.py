"""A run is one process's at a time; what a killed one held is free at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from powermuse.training import lock
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import toy

HOLDS = """
import sys, time
from pathlib import Path
from powermuse.training import lock
with lock.own(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def trainer(dataset: Path, run: Path, pairs: int = 4) -> Trainer:
    return Trainer(toy(f"training.pairs={pairs}"), str(dataset), str(run), lambda _: None)


def test_a_run_that_another_process_trains_is_left_alone(dataset, tmp_path, monkeypatch):
    run = tmp_path / "run"
    trainer(dataset, run).fit()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(run)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            for pairs in (4, 8):  # what may change between two starts is written with the run in hand alone
                with pytest.raises(BadInput, match="run: is being trained by another process"):
                    trainer(dataset, run, pairs)
            assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
        finally:
            other.kill()
    assert trainer(dataset, run).fit().seen == 4


def test_a_run_of_which_a_killed_process_left_the_lock_alone_is_begun(dataset, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/lock").touch()
    assert trainer(dataset, tmp_path / "run").fit().seen == 4


def test_it_is_given_back_when_training_ends_or_could_not_begin(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
    monkeypatch.setattr(Trainer, "_resume", lambda _: pytest.fail("could not"))
    with pytest.raises(pytest.fail.Exception) as failed:
        trainer(dataset, tmp_path / "run")
    monkeypatch.undo()
    first = trainer(dataset, tmp_path / "run")
    first.fit()
    again = trainer(dataset, tmp_path / "run")
    assert again.fit().seen == 4 and failed and first
