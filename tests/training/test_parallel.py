"""Two real processes over gloo, begun as srun and torchrun begin them: the numbers of one with the whole batch."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from powermuse.recipe import TrainingRecipe
from powermuse.training import checkpoint
from powermuse.training.parallel import Parallel, check_world, launched
from powermuse.types import BadInput
from training.ranks import SURE, wait_for
from training.toys import TOY

# A program of two ranks.
AGREE = """
import json, torch
from powermuse.recipe import TrainingRecipe
from powermuse.training.parallel import Parallel

parallel = Parallel(TrainingRecipe())
rank, network = float(parallel.rank), torch.nn.Linear(1, 1)
for parameter in network.parameters():
    parameter.grad = torch.full_like(parameter, rank + 1.0)
parallel.average_gradients(network)
print(json.dumps({
    "mean": float(parallel.mean(torch.tensor(rank))),
    "rows": parallel.rows(torch.tensor([rank, 7.0])).tolist(),
    "gradients": [float(p.grad) for p in network.parameters()],
    "stop": parallel.agreed(15 * parallel.rank),
}), flush=True)
"""


@pytest.mark.parametrize(("ranks", "parts"), [(1, 2), (2, 1), (2, 2)])
def test_gradients_and_means_are_those_of_one_process_with_the_whole_batch(nursery, ranks, parts):
    if not (nursery.folder / "whole").exists():
        assert nursery.train("whole", 1, *SURE) == [0]
    run = f"in {ranks} by {parts}"
    assert nursery.train(run, ranks, *SURE, f"training.accumulate={parts}") == [0] * ranks
    # The spectral norm of a stage is one iteration further with every part.
    close = 1e-4 if parts == 1 else 3e-2
    moments, wanted = (nursery.kept(name, 4)["optimizer"] for name in (run, "whole"))
    assert moments.keys() == wanted.keys()
    for name in (n for n in wanted if n.endswith("exp_avg")):  # after one step a tenth of the gradient
        off, size = (moments[name] - wanted[name]).abs().max(), wanted[name].abs().max()
        assert off <= close * size + 1e-8, name
    for ours, theirs in zip(nursery.log(run), nursery.log("whole"), strict=True):
        assert ours.keys() == theirs.keys()
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=close)


def test_ranks_agree_on_means_gradients_and_the_wish_to_stop(nursery):
    assert nursery.run(["python", AGREE], 2, "agree") == [0, 0]
    assert [json.loads(nursery.said("agree", rank).splitlines()[-1]) for rank in range(2)] == [
        {"mean": 0.5, "rows": [[0.0, 7.0], [1.0, 7.0]], "gradients": [1.5, 1.5], "stop": 15}
    ] * 2


def test_a_signal_to_one_rank_stops_all_and_the_run_goes_on_to_the_same_numbers(nursery):
    settings = ("training.pairs=160", "training.ema=0.9", "targets={complementarity: '>= 0.9'}")

    def terminate_second(ranks: list[int]) -> None:
        wait_for(lambda: bool(list((nursery.folder / "stopped").glob("checkpoints/0*"))))
        os.kill(ranks[1], signal.SIGTERM)

    assert nursery.train("stopped", 2, *settings, then=terminate_second) == [143, 0]
    assert "stopped at pair" in nursery.said("stopped", 0)
    assert "stopped at pair" not in nursery.said("stopped", 1)
    assert nursery.train("stopped", 2, *settings) == [0, 0]
    assert nursery.train("through", 2, *settings) == [0, 0]
    assert not checkpoint.differences(nursery.kept("stopped", 160), nursery.kept("through", 160))
    assert nursery.log("stopped") == nursery.log("through")


def test_a_batch_that_the_ranks_cannot_share_is_refused(nursery):
    assert nursery.train("uneven", 2, "training.batch=3") == [2, 2]
    assert "training.batch is 3 pairs" in nursery.said("uneven", 0)
    assert nursery.train("last uneven", 2, "training.pairs=25") == [2, 2]
    assert "the last batch is 1 pairs" in nursery.said("last uneven", 0)


# What torchrun starts: the command line, but that one rank fails in its third step.
FAILING = """
import os, sys
from powermuse.cli import main
from powermuse.training.trainer import Trainer
advance = Trainer._advance
def fail(trainer):
    if os.environ["RANK"] == "1" and trainer.seen >= 8:
        raise OSError(5, "Input/output error", "shard 00000")
    advance(trainer)
if sys.argv.pop(1) == "fail":
    Trainer._advance = fail
raise SystemExit(main(sys.argv[1:]))
"""


def torchrun(folder: Path, dataset: Path, how: str) -> "subprocess.Popen[str]":
    (folder / "toy.yaml").write_text(TOY)
    (folder / "run.py").write_text(FAILING)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--", "run.py", how]
    words += ["train", "toy.yaml", "--data", str(dataset), "--run", "run", "-s", "training.pairs=100000"]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_an_exception_on_one_rank_ends_all_with_a_message(dataset, tmp_path):
    with torchrun(tmp_path, dataset, "fail") as launcher:
        said = launcher.communicate(timeout=90)[0]
    assert launcher.returncode != 0
    assert "powermuse: shard 00000: Input/output error" in said
    assert re.search(r"rank 0 of 2: another process of this run is gone", said)


def test_a_kill_of_one_rank_ends_all_within_seconds_with_a_message(dataset, tmp_path):
    with torchrun(tmp_path, dataset, "go") as launcher:
        wait_for(lambda: bool(list(tmp_path.glob("run/checkpoints/0*"))))
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        second = next(c for c in children if b"\0RANK=1\0" in Path(f"/proc/{c}/environ").read_bytes())
        begun = time.monotonic()
        os.kill(int(second), signal.SIGKILL)
        said = launcher.communicate(timeout=60)[0]
    assert time.monotonic() - begun < 15
    assert launcher.returncode != 0
    assert "rank 0 of 2: another process of this run is gone" in said


# What needs no second process


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [1, 2])
def test_no_rank_reads_another_s_pairs_and_none_is_left(world, parts):
    rank = object.__new__(Parallel)
    rank.world, taken = world, []
    for rank.rank in range(world):
        shares = rank.shares(world * parts * 3, parts)
        assert len(shares) == parts and len({len(share) for share in shares}) == 1
        taken += [pair for share in shares for pair in share]
    assert taken == list(range(world * parts * 3))


def test_a_process_within_a_job_that_srun_did_not_start_is_alone(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_JOB_NAME", "sbatch")
    assert launched().world == 1
    assert Parallel(TrainingRecipe(batch=3)).first


def test_parts_that_a_batch_does_not_have_are_refused():
    with pytest.raises(BadInput, match="multiples of 3"):
        Parallel(TrainingRecipe(batch=8, accumulate=3))


def test_a_run_that_ended_on_an_odd_batch_may_leave_what_more_ranks_cannot_share():
    settings = TrainingRecipe(batch=4, pairs=16)
    check_world(settings, 2)
    check_world(settings, 2, seen=16)
    with pytest.raises(BadInput, match="the last batch is 3 pairs"):
        check_world(settings, 2, seen=9)
    rank = object.__new__(Parallel)
    rank.world, rank.rank = 2, 0
    with pytest.raises(ValueError, match="3 pairs cannot be shared out evenly over 2 ranks"):
        rank.shares(3)
