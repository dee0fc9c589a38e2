"""`powermuse slurm`: a run as a job of a cluster."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from powermuse.commands.shared import Handler
from powermuse.terminal import UsageError, say

if TYPE_CHECKING:
    from powermuse.recipe import Recipe
    from powermuse.training.slurm import Job


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "slurm",
        help="write a SLURM batch script that trains a recipe",
        description="Writes, and with --submit submits, a batch script that trains RECIPE. Shortly before\n"
        "the time limit the run saves and requeues its job, until all its pairs are trained.",
        epilog="example: powermuse slurm tiny --data datasets/mine --run runs/long --time 12:00:00 --submit",
    )
    command.add_argument("recipe", metavar="RECIPE", help="shipped recipe or .yaml file")
    command.add_argument("--data", required=True, metavar="DATASET", help="what `powermuse prepare` or `render` made")
    command.add_argument("--run", metavar="RUN", help="directory of the run (default: runs/ and the recipe's name)")
    change = "change a setting, as training.batch=4"
    command.add_argument("-s", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=change)
    command.add_argument("--nodes", type=int, default=1, metavar="N", help="nodes (1)")
    command.add_argument("--gpus", type=int, default=1, metavar="N", help="GPUs of a node, a task each (1); 0: none")
    command.add_argument("--tasks", type=int, metavar="N", help="tasks of a node where there are no GPUs (1)")
    command.add_argument("--cpus", type=int, default=8, metavar="N", help="CPUs of a task (8)")
    command.add_argument("--mem", default="32G", metavar="SIZE", help="memory of a node (32G)")
    command.add_argument(
        "--time", default="04:00:00", metavar="TIME", help="limit, as 90 (minutes), 04:00:00 (the default), 2-00:00:00"
    )
    command.add_argument("--partition", default="", metavar="P", help="partition (default: the cluster's)")
    command.add_argument("--account", default="", metavar="A", help="account (default: yours)")
    line = "a shell line before the run, as 'module load cuda'; may be repeated"
    command.add_argument("--setup", action="append", default=[], metavar="LINE", help=line)
    command.add_argument("-o", "--out", metavar="SCRIPT", help="the script (default: RUN.slurm.sh)")
    command.add_argument("--submit", action="store_true", help="give it to sbatch")
    return command, _slurm


def _slurm(options: argparse.Namespace) -> int:
    from powermuse import disk
    from powermuse import recipe as recipes
    from powermuse.training import slurm

    if options.submit and not shutil.which("sbatch"):
        raise UsageError("--submit wants sbatch, which is not on this machine's PATH; without --submit it only writes")
    recipe = recipes.load(options.recipe, options.overrides)
    job = _job(options, recipe)
    text = slurm.script(job)
    out = Path(_absolute(options.out or f"{job.run}.slurm.sh"))
    _check(recipe, Path(options.data), job)
    _check_out(out, job.run)
    # SLURM makes no folder for a log, and ends a job that has none without a word.
    job.run.parent.mkdir(parents=True, exist_ok=True)
    disk.write_text(out, text)
    if not options.submit:
        print(f"{out}: submit it with: sbatch {out}")
        return 0
    number = _submit(out)
    print(f"{out}: job {number}, log {job.run}.slurm-{number}.log")
    return 0


def _job(options: argparse.Namespace, recipe: "Recipe") -> "Job":
    from powermuse import recipe as recipes
    from powermuse.training import slurm

    name = options.recipe if options.recipe in recipes.shipped() else _absolute(options.recipe)
    run = _absolute(options.run or f"runs/{recipe.name}")
    overrides = [word for override in options.overrides for word in ("-s", override)]
    # This very python, by its path: a node's shell may have another one, or none, first on its PATH.
    python = (sys.executable, "-m", "powermuse.cli")
    return slurm.Job(
        command=(*python, "train", name, "--data", _absolute(options.data), "--run", run, *overrides),
        run=Path(run),
        folder=Path.cwd(),
        time_s=slurm.seconds(options.time),
        nodes=options.nodes,
        gpus=options.gpus,
        tasks=max(options.gpus, 1) if options.tasks is None else options.tasks,
        cpus=options.cpus,
        memory=options.mem,
        partition=options.partition,
        account=options.account,
        setup=tuple(options.setup),
    )


def _absolute(path: str) -> str:
    # Symbolic links stay: what they lead to may have another name on a node.
    return os.path.abspath(path)  # noqa: PTH100


def _check(recipe: "Recipe", data: Path, job: "Job") -> None:
    """Raises BadInput, before a job waits in the queue, for what training would refuse before its first step."""
    from powermuse.outline import blank_model
    from powermuse.training import checkpoint, learner, parallel, runs

    world = job.nodes * job.tasks
    runs.check_settings(recipe)
    parallel.check_world(recipe.training, world)
    agent: Any = blank_model(recipe).agent
    learner.objective(recipe, agent, world)
    runs.check_run(job.run, recipe, _identity(recipe, data, job.run))
    if not checkpoint.found(job.run / "checkpoints"):
        _check_beginning(recipe)


def _identity(recipe: "Recipe", data: Path, run: Path) -> dict[str, Any] | None:
    """What tells the data set of a job from others; None where it is not here. Raises BadInput where it does not suit
    the recipe."""
    from powermuse.data.sources import open_data
    from powermuse.training import runs

    for folder in (data, Path(recipe.data.singles)):  # which is "." where there are none
        if not folder.exists():
            say(f"{folder}: not on this machine; the job will look for it on its nodes")
            return None
    known, orchestrations = runs.known_triplets(run), recipe.flow.orchestrations
    opened = open_data(data, recipe.data, recipe.training.seed, known, orchestrations=orchestrations)
    runs.check_codec(recipe, opened.data.header, opened.data.folder)
    return opened.identity


def _check_beginning(recipe: "Recipe") -> None:
    """Raises BadInput where the weights that a run is to begin from do not suit it; those that a run has still to come
    to, as in a chain of jobs, are mentioned."""
    from powermuse import weights
    from powermuse.outline import blank_model

    model = recipe.training.begin_from
    if model and weights.is_to_come(model):
        say(f"{model}: no weights are there yet; the job will look for them, to begin from")
    elif model:
        weights.to_begin_from(blank_model(recipe), model, recipe)


def _check_out(out: Path, run: Path) -> None:
    """Raises UsageError where the script would replace something else, or lie in the run, which begins empty."""
    from powermuse.training import slurm

    if not out.parent.is_dir() and out.parent != run.parent:  # which is made
        raise UsageError(f"{out}: there is no directory {out.parent}")
    if out.resolve().is_relative_to(run.resolve()):
        raise UsageError(f"{out}: the script cannot lie in the folder of its run; name another place with -o")
    if out.exists() and not (out.is_file() and out.read_bytes().startswith(slurm.HEAD.encode())):
        raise UsageError(f"{out}: exists and is no batch script of powermuse; name another file with -o")


def _submit(out: Path) -> str:
    done = subprocess.run(["sbatch", "--parsable", str(out)], capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"sbatch {out}: {done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout.strip().split(";")[0]  # a cluster's name may follow
