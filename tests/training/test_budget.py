"""A recipe that does not fit says so before it starts, or when it turns out: one line, and what to lower."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from powermuse import recipe
from powermuse.recipe import Recipe
from powermuse.training import budget, checkpoint, room
from powermuse.training.budget import Budget, ran_out
from powermuse.training.footprint import measure
from powermuse.training.parallel import Parallel
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import TOY, toy

CPU = torch.device("cpu")
GB = 1_000_000_000


def budget_of(wanted: Recipe, free: int, monkeypatch: pytest.MonkeyPatch) -> Budget:
    monkeypatch.setattr(room, "free_bytes", lambda device, sharing=1: free)
    return Budget(wanted, Parallel(wanted.training))


def big(*overrides: str) -> Recipe:
    return recipe.load("tiny", ["training.batch=64", "training.pairs=128", *overrides])


@pytest.mark.long
def test_what_does_not_fit_is_refused_with_settings_that_do(monkeypatch):
    with pytest.raises(BadInput) as caught:
        budget_of(big(), GB // 2, monkeypatch).check()
    said = str(caught.value)
    assert re.match(
        r"this recipe needs about \d\.\d GB \(process [\d.]+, weights 0\.0059, .*activations 0\.8\d*\), ", said
    )
    found = re.search(
        r"there is room for [\d.]+ GB: lower training\.batch to (\d+) \(or training\.accumulate=(\d+), ", said
    )
    assert found, said
    batch, parts = int(found[1]), int(found[2])
    assert 8 <= batch < 64 and 64 % parts == 0
    for change in (f"training.batch={batch}", f"training.accumulate={parts}"):
        assert measure(big(change), 1, CPU).wanted * budget._SPARE <= GB // 2
    for change in (f"training.batch={batch + 6}", f"training.accumulate={parts // 2}"):  # and is not timid
        assert measure(big(change), 1, CPU).wanted * budget._SPARE > GB // 2


@pytest.fixture
def no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals without settings that fit, for which half a dozen recipes are measured."""
    monkeypatch.setattr(Budget, "_advice", lambda *_: "no advice")


def test_what_fits_by_its_estimate_less_a_tenth_is_not_refused(no_advice, monkeypatch):
    wanted = measure(big(), 1, CPU).wanted
    budget_of(big(), round(0.91 * wanted), monkeypatch).check()
    with pytest.raises(BadInput):
        budget_of(big(), round(0.89 * wanted), monkeypatch).check()


@pytest.mark.long
def test_where_no_batch_fits_the_crop_is_shortened_or_the_cascade_named(monkeypatch):
    long = big("training.batch=1", "data.crop_frames=12000", "cascade.layers=2")
    with pytest.raises(BadInput, match=r"lower training\.batch to 1 and data\.crop_frames to (\d+)") as caught:
        budget_of(long, GB // 2, monkeypatch).check()
    frames = re.search(r"crop_frames to (\d+)", str(caught.value))
    assert frames
    shorter = big("training.batch=1", f"data.crop_frames={frames[1]}", "cascade.layers=2")
    assert measure(shorter, 1, CPU).wanted < GB // 2
    with pytest.raises(BadInput, match=r"even training\.batch=1 is too much: lower data\.crop_frames, cascade\.layers"):
        budget_of(long, GB // 100, monkeypatch).check()


@pytest.mark.long
def test_a_batch_that_would_just_fit_is_not_advised(monkeypatch):
    one = measure(big("training.batch=1"), 1, CPU).wanted
    with pytest.raises(BadInput, match=r"lower training\.batch to 1 and data\.crop_frames to \d+$"):
        budget_of(big(), round(1.1 * one), monkeypatch).check()


def test_what_cannot_be_known_stops_nobody(monkeypatch):
    budget_of(big(), None, monkeypatch).check()  # type: ignore[arg-type]

    def unknown(*_: object) -> None:
        raise NotImplementedError("an operation that cannot be imagined")

    monkeypatch.setattr(budget, "measure", unknown)
    budget_of(big(), 1, monkeypatch).check()
    assert budget_of(big(), 1, monkeypatch).told() == "not known for this recipe"


def test_a_small_recipe_is_not_looked_at_where_there_is_room(monkeypatch):
    monkeypatch.setattr(budget, "measure", lambda *_: pytest.fail("it was measured"))
    budget_of(toy(), 4 * GB, monkeypatch).check()


def test_the_trainer_refuses_before_it_writes(dataset, tmp_path, no_advice, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda device, sharing=1: 10_000_000)
    with pytest.raises(BadInput, match="this recipe needs about"):
        Trainer(toy(), str(dataset), str(tmp_path / "run"), print)
    assert not (tmp_path / "run").exists()


def test_what_is_told_of_a_recipe_that_does_not_fit_is_what_to_lower(monkeypatch):
    assert budget_of(big("cascade.stages=1"), 200_000_000, monkeypatch).told().count(": lower training.batch to ") == 1


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:118] CPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_only_a_full_memory_is_one(error, full):
    assert ran_out(error) is full


LIMITED = """
import resource, sys
from pathlib import Path
from powermuse.cli import main
from powermuse.training import room
from powermuse.training.learner import Learner

step, limit = Learner.step, int(sys.argv[1])
def limited(self, parts, seen):
    if seen >= 40:
        used = room._table(Path('/proc/self/status'))['VmSize']
        resource.setrlimit(resource.RLIMIT_AS, (used + limit, resource.RLIM_INFINITY))
    return step(self, parts, seen)
Learner.step = limited
raise SystemExit(main(sys.argv[2:]))
"""


def test_a_step_that_runs_out_of_memory_leaves_the_checkpoint_and_one_line(dataset, tmp_path):
    (tmp_path / "toy.yaml").write_text(TOY)
    words = ["train", str(tmp_path / "toy.yaml"), "--data", str(dataset), "--run", str(tmp_path / "run")]
    changed = ["training.batch=40", "training.save_every=40", "data.crop_frames=400", "cascade.stages=1"]
    settings = [word for setting in changed for word in ("-s", setting)]
    command = [sys.executable, "-c", LIMITED, "30000000", *words, *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    stands = "powermuse: out of memory; the run stands at checkpoint 000000000040.safetensors. This recipe needs about "
    assert done.stderr.startswith(stands) and "lower training.batch" in done.stderr
    (kept,) = checkpoint.found(tmp_path / "run/checkpoints")
    assert checkpoint.load(kept).seen == 40
    assert not list(Path(tmp_path / "run").rglob(".*"))


@pytest.mark.long
def test_a_limit_of_the_process_is_seen_before_it_starts(dataset, tmp_path):
    (tmp_path / "toy.yaml").write_text(TOY)
    command = [Path(sys.executable).with_name("powermuse"), "train", tmp_path / "toy.yaml", "--data", dataset]
    settings = ["--run", tmp_path / "run", "-s", "training.batch=80", "-s", "data.crop_frames=1200"]
    line = " ".join(map(str, [*command, *settings]))
    done = subprocess.run(["bash", "-c", f"ulimit -v 1300000; {line}"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("powermuse: this recipe needs about ") and not (tmp_path / "run").exists()
