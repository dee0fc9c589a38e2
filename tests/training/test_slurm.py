"""A cluster of one machine: stand-ins for sbatch, srun and scontrol that start real processes and send real signals."""

import dataclasses
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from powermuse import weights
from powermuse.cli import main
from powermuse.commands import train as train_command
from powermuse.data.made_up import make_up_triplets
from powermuse.data.shards import read_header
from powermuse.recipe import Choice
from powermuse.training import checkpoint, runs, slurm
from powermuse.training.signals import stop_signals, time_limit_waits
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import TOY, toy

PAIRS = 240
USR1, TERM = signal.SIGUSR1, signal.SIGTERM

# Keeps a copy of the script, as SLURM does, and reads its options as SLURM does.
SBATCH = """
import json, os, shlex, sys
from pathlib import Path
text = Path(sys.argv[-1]).read_text()
if "--parsable" not in sys.argv or not text.startswith("#!/bin/bash"):
    sys.exit("sbatch: error: not a batch script")
options = {}
for line in text.splitlines():
    if line.startswith("#SBATCH"):
        for word in shlex.split(line.removeprefix("#SBATCH"), comments=True):
            name, _, value = word.removeprefix("--").partition("=")
            options[name] = value
if options.get("partition") == "closed":
    sys.exit("sbatch: error: invalid partition specified: closed")
cluster = Path(os.environ["STAND_IN"])
(cluster / "41.sh").write_text(text)
(cluster / "41.json").write_text(json.dumps(options))
print("41;here")
"""

# Starts the tasks of a step and leaves their process numbers to whoever sends signals; the first bad exit ends all.
SRUN = """
import os, subprocess, sys, time
from pathlib import Path
words = sys.argv[1:]
flags = {}
while words[0].startswith("--"):
    name, _, value = words.pop(0).partition("=")
    flags[name] = value
os.environ["SLURM_CPUS_PER_TASK"] = flags.get("--cpus-per-task", "1")  # not the job's, since 22.05
a_node, nodes = int(os.environ["SLURM_NTASKS_PER_NODE"]), int(os.environ["SLURM_NNODES"])
tasks = []
for rank in range(a_node * nodes):
    place = {"SLURM_PROCID": rank, "SLURM_LOCALID": rank % a_node, "SLURM_NODEID": rank // a_node,
             "SLURM_NTASKS": a_node * nodes, "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_STEP_ID": 0}
    environment = {**os.environ, **{name: str(value) for name, value in place.items()}}
    tasks.append(subprocess.Popen(words, env=environment))
(Path(os.environ["STAND_IN"]) / "tasks").write_text(" ".join(str(task.pid) for task in tasks))
while None in (statuses := [task.poll() for task in tasks]):
    if flags.get("--kill-on-bad-exit") == "1" and any(statuses):
        for task in tasks:
            task.kill()
    time.sleep(0.005)
sys.exit(max(status if status >= 0 else 128 - status for status in statuses))
"""

SCONTROL = """
import os, sys
from pathlib import Path
if os.environ.get("STAND_IN_REFUSES") or sys.argv[1] != "requeue":
    sys.exit("scontrol: error: Requested operation is presently disabled")
(Path(os.environ["STAND_IN"]) / f"{sys.argv[2]}.requeued").touch()
"""


class Start(NamedTuple):
    """How one start of a job ended, and the newest checkpoint that it left."""

    status: int
    requeued: bool
    kept: int


class Cluster(NamedTuple):
    """The controller: starts the job that sbatch left, as often as it is requeued."""

    folder: Path

    def start(self, run: Path, number: signal.Signals | None = None, ready: Callable[[], bool] = lambda: True) -> Start:
        """One start of job 41; as soon as it is `ready` its tasks get the signal, as SLURM sends it to a step."""
        for left in ("tasks", "41.requeued"):
            (self.folder / left).unlink(missing_ok=True)
        options = json.loads((self.folder / "41.json").read_text())
        with Path(options["output"].replace("%j", "41").replace("%%", "%")).open("a") as log:
            job = subprocess.Popen(
                ["bash", self.folder / "41.sh"], cwd=options["chdir"], env=self._environment(options),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                self._until(job, lambda: (self.folder / "tasks").exists() and ready(), log.name)
                for task in (self.folder / "tasks").read_text().split() if number else ():
                    os.kill(int(task), number or 0)
                status = job.wait(60)
            finally:
                if job.poll() is None:
                    os.killpg(job.pid, signal.SIGKILL)
        found = checkpoint.found(run / "checkpoints")
        return Start(status, (self.folder / "41.requeued").exists(), int(found[-1].stem) if found else -1)

    def _environment(self, options: dict[str, str]) -> dict[str, str]:
        known = {
            "SLURM_JOB_ID": "41",
            "SLURM_JOB_NAME": options["job-name"],
            "SLURM_NNODES": options["nodes"],
            "SLURM_NTASKS_PER_NODE": options["ntasks-per-node"],
            "SLURM_NTASKS": str(int(options["nodes"]) * int(options["ntasks-per-node"])),
            "SLURM_CPUS_PER_TASK": options["cpus-per-task"],
            "SLURM_JOB_NODELIST": "127.0.0.1",
            "SLURM_NODELIST": "127.0.0.1",
        }
        return {**os.environ, **known}

    def _until(self, job: "subprocess.Popen[bytes]", ready: Callable[[], bool], log: str) -> None:
        until = time.monotonic() + 60
        while not ready() and job.poll() is None:
            assert time.monotonic() < until, Path(log).read_text()
            time.sleep(0.001)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The stand-in scheduler, its commands first on the PATH."""
    folder = tmp_path_factory.mktemp("cluster")
    for name, code in {"sbatch": SBATCH, "srun": SRUN, "scontrol": SCONTROL}.items():
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable} -IS\n{code}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        patch.setenv("STAND_IN", str(folder))
        yield Cluster(folder)


@pytest.fixture
def home(tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a recipe and a data set."""
    (tmp_path / "toy.yaml").write_text(TOY)
    (tmp_path / "data").symlink_to(dataset)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*more: str, run: str = "runs/first", data: str = "data") -> list[str]:
    return ["slurm", "toy.yaml", "--data", data, "--run", run, "--gpus", "0", "--cpus", "1", *more]


def options_of(script: str) -> dict[str, str]:
    """The options of a batch script, read as a shell would read them."""
    words = [word for line in script.splitlines() if line.startswith("#SBATCH ") for word in shlex.split(line)[1:]]
    return {name.removeprefix("--"): value for name, _, value in (word.partition("=") for word in words)}


def logged(run: Path) -> int:
    log = run / "log.jsonl"
    whole = [line for line in log.read_text().splitlines() if line.endswith("}")] if log.exists() else []
    return max((json.loads(line)["seen"] for line in whole), default=0)


# The whole way


@pytest.fixture(scope="module")
def trained(
    cluster: Cluster, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Start], Path, list[str]]:
    """A job that came to its time limit, was preempted, and then ended: its starts, its run, its log."""
    home = tmp_path_factory.mktemp("home")
    (home / "toy.yaml").write_text(TOY)
    name = 'it\'s "my" 9% run'
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert main(command("--submit", "-s", f"training.pairs={PAIRS}", run=f"runs/{name}", data=str(dataset))) == 0
    run = home / "runs" / name
    assert not run.exists()
    starts = [
        cluster.start(run, USR1, lambda: logged(run) >= 60),
        cluster.start(run, TERM, lambda: logged(run) >= 132),
        cluster.start(run),
    ]
    return starts, run, (home / "runs" / f"{name}.slurm-41.log").read_text().splitlines()


def test_at_its_time_limit_a_job_saves_and_has_itself_requeued(trained):
    (limit, *_), _, log = trained
    assert (limit.status, limit.requeued) == (138, True)
    assert 60 <= limit.kept < PAIRS
    assert f"powermuse: stopped at pair {limit.kept}, saved; time limit: has SLURM requeue job 41, which goes on" in log


def test_a_preempted_job_saves_and_leaves_the_requeueing_to_slurm(trained):
    (limit, preempted, _), _, log = trained
    assert (preempted.status, preempted.requeued) == (143, False)
    assert limit.kept < preempted.kept < PAIRS
    assert log.index(f"powermuse: going on from pair {limit.kept}") < log.index(
        f"powermuse: stopped at pair {preempted.kept}, saved; the same command goes on"
    )


def test_stopped_twice_it_comes_to_the_same_numbers_bit_for_bit(trained, dataset, tmp_path, monkeypatch):
    starts, run, log = trained
    assert starts[-1] == Start(0, False, PAIRS)
    assert f"powermuse: going on from pair {starts[1].kept}" in log
    monkeypatch.setenv("PATH", os.defpath)  # where Lightning finds srun it warns of runs without it
    Trainer(toy(f"training.pairs={PAIRS}"), str(dataset), str(tmp_path / "run"), lambda _: None).fit()
    ours, theirs = (checkpoint.load(checkpoint.found(r / "checkpoints")[-1]) for r in (run, tmp_path / "run"))
    assert checkpoint.differences(ours.tensors, theirs.tensors) == []
    assert (ours.seen, ours.values) == (theirs.seen, theirs.values)


def test_a_signal_before_the_first_step_waits_for_it_and_a_job_that_cannot_advance_is_not_requeued(
    cluster, home, monkeypatch
):
    # A nap in place of the imports and the construction, which take long on a cluster's disk.
    (home / "sitecustomize.py").write_text(
        "import os, signal\n"
        "from powermuse.training import signals\n"
        "waits = signals.time_limit_waits\n"
        "def told_at_once():\n"
        "    limit = waits()\n"
        "    enter = type(limit).__enter__\n"
        "    class Told:\n"
        "        def __enter__(self): enter(limit); os.kill(os.getpid(), signal.SIGUSR1)\n"
        "        def __exit__(self, *error): return limit.__exit__(*error)\n"
        "    return Told()\n"
        "signals.time_limit_waits = told_at_once\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{home}:{Path(train_command.__file__).parents[2]}")
    assert main(command("--submit")) == 0
    run = home / "runs/first"
    assert cluster.start(run) == Start(138, False, 0)
    assert "stopped at pair 0, saved; not one step fits" in Path(f"{run}.slurm-41.log").read_text()


def test_every_task_of_a_step_has_its_place_and_the_highest_status_is_the_jobs(cluster, home):
    assert main(command("--submit", "--tasks", "2", "--nodes", "2", "--cpus", "3")) == 0
    spooled = cluster.folder / "41.sh"
    text = spooled.read_text()
    place = "$SLURM_PROCID/$SLURM_NTASKS $SLURM_LOCALID $SLURM_NODEID"
    told = f"echo {place} $MASTER_PORT $OMP_NUM_THREADS $SLURM_CPUS_PER_TASK"
    spooled.write_text(text[: text.index(sys.executable)] + shlex.join(["bash", "-c", told]))
    assert cluster.start(home / "runs/first").status == 0
    lines = (home / "runs/first.slurm-41.log").read_text().splitlines()
    assert sorted(lines) == [f"{rank}/4 {rank % 2} {rank // 2} 15041 3 3" for rank in range(4)]
    spooled.write_text(text[: text.index(sys.executable)] + "bash -c '[ $SLURM_PROCID = 2 ] && exit 3; sleep 60'")
    assert cluster.start(home / "runs/first").status == 137


# How a task leaves


@pytest.mark.parametrize(
    ("rank", "number", "status", "requeued", "said"),
    [
        ("0", USR1, 138, True, "stopped at pair 8, saved; time limit: has SLURM requeue job 41, which goes on"),
        ("0", TERM, 143, False, "stopped at pair 8, saved; the same command goes on"),
    ],
)
def test_the_first_task_speaks_for_all(cluster, monkeypatch, capsys, rank, number, status, requeued, said):
    (cluster.folder / "41.requeued").unlink(missing_ok=True)
    monkeypatch.setenv("SLURM_PROCID", rank)
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    assert train_command._stopped(8, number, True) == status
    assert (cluster.folder / "41.requeued").exists() == requeued
    assert capsys.readouterr().err == (f"powermuse: {said}\n" if said else "")


def test_what_slurm_says_against_requeueing_is_told(cluster, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    monkeypatch.setenv("STAND_IN_REFUSES", "yes")
    assert train_command._stopped(8, USR1, True) == 138
    assert capsys.readouterr().err.splitlines()[1] == (
        "powermuse: not requeued (scontrol requeue 41: scontrol: error: Requested operation is presently disabled); "
        "the same command goes on"
    )
    monkeypatch.setenv("PATH", "")
    assert train_command._stopped(8, USR1, True) == 138
    assert "(scontrol requeue 41: No such file or directory)" in capsys.readouterr().err


def test_slurm_may_repeat_itself_but_a_second_ctrl_c_is_impatience(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    with stop_signals() as caught:
        for number in (USR1, TERM, TERM):
            os.kill(os.getpid(), number)
        assert caught == [USR1, TERM, TERM]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    monkeypatch.delenv("SLURM_JOB_ID")
    before = signal.getsignal(USR1)
    with stop_signals() as caught:
        assert signal.getsignal(USR1) == before
        os.kill(os.getpid(), TERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), TERM)


def test_a_notice_waits_for_the_steps_and_is_dropped_where_none_follow(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    with time_limit_waits():
        os.kill(os.getpid(), USR1)
        with stop_signals() as caught:
            pass
        assert caught == [USR1]
        os.kill(os.getpid(), USR1)  # the run is over: it must neither kill nor stay
    with stop_signals() as caught:
        assert caught == []


# The script


def test_the_script_asks_for_what_was_asked_and_is_a_shells(home, capsys):
    more = ("--nodes", "2", "--gpus", "4", "--cpus", "6", "--time", "1-02:30", "--mem", "64G", "--partition", "a b",
            "--account", "music", "--setup", "module load cuda", "--setup", "export A='b c'",
            "-s", "training.batch=8", "-s", "tracking.uri=sqlite:///$HOME/a b;.db")  # fmt: skip
    assert main(command(*more)) == 0
    out = home / "runs/first.slurm.sh"
    assert capsys.readouterr().out == f"{out}: submit it with: sbatch {out}\n"
    text = out.read_text()
    assert options_of(text) == {
        "job-name": "powermuse-first", "chdir": str(home), "output": f"{home}/runs/first.slurm-%j.log",
        "open-mode": "append", "nodes": "2", "ntasks-per-node": "4", "gpus-per-node": "4", "cpus-per-task": "6",
        "mem": "64G", "time": "1-02:30:00", "partition": "a b", "account": "music", "signal": "USR1@180",
        "requeue": "",
    }  # fmt: skip
    subprocess.run(["bash", "-n", out], check=True)
    body = text[text.index("set -e") :]
    assert body.index("module load cuda\nexport A='b c'\n") < body.index("export OMP_NUM_THREADS") < body.index("srun ")
    assert shlex.split(body[body.index(sys.executable) :]) == [
        sys.executable, "-m", "powermuse.cli", "train", f"{home}/toy.yaml", "--data", f"{home}/data",
        "--run", f"{home}/runs/first", *more[-4:],
    ]  # fmt: skip
    assert sorted(path.name for path in (home / "runs").iterdir()) == ["first.slurm.sh"]


def test_a_strange_name_comes_through_and_a_shipped_recipe_keeps_its_name(home):
    name = "a 'b' \"c\" $(touch gone) #d %j"
    words = ["slurm", "tiny", "--data", "data", "--run", f"runs/{name}", "-o", "job.sh"]
    assert main(words) == 0
    text = (home / "job.sh").read_text()
    assert options_of(text)["output"] == f"{home}/runs/{name.replace('%', '%%')}.slurm-%j.log"
    assert options_of(text)["job-name"] == f"powermuse-{name}"
    task = shlex.split(text[text.index(sys.executable) :])
    assert task[4] == "tiny" and task[-1] == f"{home}/runs/{name}"
    subprocess.run(["bash", "-n", home / "job.sh"], check=True)
    assert main(words) == 0  # its own script is replaced


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90", 5400), ("05:30", 330), ("04:00:00", 14400), ("2-3", 183600), ("2-03:04", 183840), ("2-03:04:05", 183845)],
)
def test_times_are_read_as_slurm_reads_them(time, seconds):
    assert slurm.seconds(time) == seconds


@pytest.mark.parametrize("time", ["", "4h", "1:2:3:4", "-5", "1-", "1.5", "٣٠"])
def test_what_is_no_time_is_refused(time):
    with pytest.raises(BadInput, match="--time"):
        slurm.seconds(time)


REFUSED = {
    "a job without time to save": (command("--time", "04:59"), "at least 5 minutes"),
    "SLURM's word for no limit": (command("--time", "0"), "at least 5 minutes"),
    "what is no time": (command("--time", "soon"), "--time soon: minutes, MM:SS"),
    "no node": (command("--nodes", "0"), "--nodes must be at least 1, not 0"),
    "less than no GPU": (command("--gpus", "-1"), "--gpus must be at least 0, not -1"),
    "more tasks than GPUs": (command("--gpus", "2", "--tasks", "3"), "each of the 2 GPUs of a node has one task"),
    "memory in no unit": (command("--mem", "much"), "--mem much"),
    "a line break in an option": (command("--account", "a\n#SBATCH --nodes=9"), "no control character"),
    "a backslash in a run": (command(run="runs/a\\b"), "no backslash"),
    "an unknown recipe": (["slurm", "huge", "--data", "data"], "no recipe is called 'huge'"),
    "an unknown key": (command("-s", "training.speed=9"), "speed"),
    "a setting that no run can have": (command("-s", "training.batch=0"), "training.batch must be above 0"),
    "a batch that the tasks cannot share": (command("--nodes", "3"), "training.batch is 4 pairs, which 3 processes"),
    "one task to shard a model": (command("-s", "training.shard=true"), "training.shard=true wants several processes"),
    "what is no data set": (command(data="full"), "is not a prepared data set"),
    "a data set of another codec": (command("-s", "codec.name=mdct"), "prepared with codec mel, the recipe wants mdct"),
    "prepared music for triplets": (
        ["slurm", "factors", "--data", "data", "--run", "runs/first", "--gpus", "0"],
        "data: holds no rendered triplets",
    ),
    "triplets for a recipe of pairs": (["slurm", "tiny", "--data", "triplets"], "triplets: holds rendered triplets"),
    "crops that are longer than the clips": (command("-s", "data.crop_frames=9999"), "data.crop_frames 9999 is longer"),
    "a run that was begun otherwise": (
        command("-s", "training.batch=8", run="begun"),
        "was begun with training.batch=4, now it is 8",
    ),
    "a run on another data set": (command(run="begun"), "was begun with data set clip_frames=7"),
    "a term that there is not": (command("-s", "weights.nonsense=1"), "no term is called 'nonsense'"),
    "a target that there is not": (command("-s", "targets={x: '<= 1'}"), "nothing is called 'x'"),
    "weights of another recipe to begin from": (
        command("-s", "training.begin_from=starter"),
        "agent.encoders.0.0.bias has shape [64], the recipe wants",
    ),
    "what is no model to begin from": (command("-s", "training.begin_from=full"), "full: is not a model"),
    "a run that is none": (command(run="full"), "exists and is not a run"),
    "a script in its run": (command("-o", "runs/first/job.sh", run="runs/first"), "there is no directory"),
    "a script in an empty run": (command("-o", "empty/job.sh", run="empty"), "cannot lie in the folder of its run"),
    "a script over something else": (command("-o", "toy.yaml"), "toy.yaml: exists and is no batch script"),
    "submitting without sbatch": (command("--submit"), "--submit wants sbatch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_job_gets_one_line_and_status_2_and_nothing_is_written(home, monkeypatch, capsys, case):
    words, told = REFUSED[case]
    monkeypatch.setenv("PATH", "")
    (home / "full").mkdir()
    (home / "full/notes.txt").write_text("notes")
    (home / "empty").mkdir()
    make_up_triplets(home / "triplets", Choice("mel"), 240, count=1)
    described = read_header(home / "data")
    runs.open_run(home / "begun", toy(), {**dataclasses.asdict(described), "clip_frames": 7})
    before = sorted(home.rglob("*"))
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert told in error and error.count("\n") == 1 and out == ""
    assert sorted(home.rglob("*")) == before


def test_a_run_that_was_begun_gets_a_job_that_goes_on_with_it(home, capsys):
    Trainer(toy(), "data", "runs/first", lambda _: None)
    assert main(command("-s", "training.pairs=400")) == 0
    assert capsys.readouterr().err == ""


def test_a_data_set_that_is_only_on_the_nodes_is_mentioned(home, capsys):
    assert main(command(data="/scratch of nodes/data")) == 0
    said = "/scratch of nodes/data: not on this machine; the job will look for it on its nodes"
    assert capsys.readouterr().err == f"powermuse: {said}\n"


def test_weights_that_suit_the_recipe_are_let_pass(home, capsys):
    weights.save_model(home / "before", weights.build_model(toy(), 128), toy())
    assert main(command("-s", "training.begin_from=before")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("begun", [False, True])
def test_weights_that_a_run_has_still_to_come_to_are_mentioned(home, capsys, begun):
    if begun:
        Trainer(toy(), "data", "before", lambda _: None)
    assert main(command("-s", "training.begin_from=before")) == 0
    said = "before: no weights are there yet; the job will look for them, to begin from"
    assert capsys.readouterr().err == f"powermuse: {said}\n"


def test_where_a_run_began_is_looked_at_until_it_has_a_checkpoint(home, capsys):
    settings = "training.begin_from=before", "training.pairs=8"
    weights.save_model(home / "before", weights.build_model(toy(), 128), toy())
    trainer = Trainer(toy(*settings), "data", "runs/first", lambda _: None)
    (home / "before/model.safetensors").write_bytes(b"")
    words = command("-s", settings[0], "-s", "training.pairs=80")
    assert main(words) == 2
    assert "not a readable weight file" in capsys.readouterr().err
    trainer.fit()
    assert main(words) == 0


def test_submitting_tells_the_number_of_the_job_and_its_log_or_what_sbatch_says(cluster, home, capsys):
    assert main(command("--submit")) == 0
    run = home / "runs/first"
    assert capsys.readouterr().out == f"{run}.slurm.sh: job 41, log {run}.slurm-41.log\n"
    assert (cluster.folder / "41.sh").read_text() == Path(f"{run}.slurm.sh").read_text()
    assert main(command("--submit", "--partition", "closed")) == 2
    assert "sbatch: error: invalid partition specified: closed" in capsys.readouterr().err
    assert shutil.which("sbatch") == str(cluster.folder / "bin/sbatch")
