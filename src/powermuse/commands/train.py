"""`powermuse train`: a recipe on a data set, or with --dry-run the proof that it would train."""

import argparse
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from powermuse.commands.shared import Handler
from powermuse.terminal import UsageError, progress, say

if TYPE_CHECKING:
    from powermuse.recipe import Recipe


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "train",
        help="train a recipe on a data set",
        description="Trains RECIPE, a shipped name or a YAML file. The same command again goes on where\n"
        "the run stopped. "
        "Ctrl-C saves and leaves. With --dry-run it proves each part at toy size, tells the sizes of the\n"
        "full recipe, and leaves nothing behind.",
        epilog="example: powermuse train tiny --data datasets/loops --run runs/first -s training.pairs=4000",
    )
    command.add_argument("recipe", metavar="RECIPE", help="shipped recipe or .yaml file")
    command.add_argument(
        "--data",
        metavar="DATASET",
        help="what `powermuse prepare` or `render` made (a dry run may go without: on made-up clips)",
    )
    command.add_argument("--run", metavar="RUN", help="directory of the run (default: runs/ and the recipe's name)")
    command.add_argument(
        "-s",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, as training.batch=4",
    )
    command.add_argument("--dry-run", action="store_true", help="prove the recipe at toy size in under a minute")
    return command, _train


def _train(options: argparse.Namespace) -> int:
    if not options.data and not options.dry_run:
        raise UsageError(
            "train wants --data DATASET, which `powermuse prepare` or `render` makes (only --dry-run goes without)"
        )
    from powermuse.training.signals import time_limit_waits

    with time_limit_waits():  # from before the imports, which take their time
        return _load_and_train(options)


def _load_and_train(options: argparse.Namespace) -> int:
    from powermuse import recipe as recipes

    recipe = recipes.load(options.recipe, options.overrides)
    if options.dry_run:
        return _dry_run(recipe, options.data or "")
    run = options.run or f"runs/{recipe.name}"
    from powermuse.training.trainer import Progress, Trainer

    with progress() as update:

        def show(now: Progress) -> None:
            if now.message:
                print(f"powermuse: {now.message}", file=sys.stderr)
            update("train", now.seen, now.pairs, _note(now.scalars))

        trainer = Trainer(recipe, options.data, run, show)
        begun = trainer.seen
        ended = trainer.fit()
    if not trainer.parallel.first:
        return 0  # another status would have the launcher end the first process, which may still be saving
    for verdict in trainer.learner.targets.verdicts():
        print(verdict)
    if ended.signal:
        return _stopped(ended.seen, ended.signal, ended.seen > begun)
    which = "validation loss" if trainer.learner.sharpens else "best validation loss"
    best = "" if ended.best == float("inf") else f", {which} {ended.best:.4f}"
    print(f"{run}: {ended.seen} pairs{best}; compose with it: powermuse compose A B -o OUT.wav --model {run}")
    return 0


def _note(scalars: dict[str, float]) -> str:
    """What stands behind the progress bar: loss and speed, where they are known."""
    told = [] if (loss := scalars.get("loss")) is None else [f"loss {loss:.4f}"]
    if (pairs := scalars.get("clock.pairs_per_s")) is not None:
        told.append(f"{pairs:.3g} pairs/s  {scalars['clock.frames_per_s']:,.0f} frames/s")
    if (share := scalars.get("clock.share_of_peak")) is not None:
        told.append(f"{share:.0%} of peak")
    return "  ".join(told)


def _stopped(seen: int, number: int, advanced: bool) -> int:
    """Says where the run stands; at SLURM's time limit the first task asks for the job back."""
    from powermuse.training import requeue

    status = 128 + number
    stopped = f"stopped at pair {seen}, saved"
    if number != signal.SIGUSR1:
        return say(f"{stopped}; the same command goes on", status)
    if not advanced:  # requeued, it would come to this again
        return say(f"{stopped}; not one step fits into the time limit: submit it with a longer --time", status)
    say(f"{stopped}; time limit: has SLURM requeue job {os.environ.get('SLURM_JOB_ID')}, which goes on")
    if failure := requeue.requeue():
        say(f"not requeued ({failure}); the same command goes on")
    return status


def _dry_run(recipe: "Recipe", dataset: str) -> int:
    begun = time.monotonic()
    from powermuse.training.rehearsal import rehearse

    with _terminated_by_leaving():
        for proof in rehearse(recipe, dataset):
            print(f"{proof.name}: {proof.shown}  {proof.seconds:.1f} s", flush=True)
    print()
    _show_outline(recipe)
    print(f"\ndry run passed in {time.monotonic() - begun:.1f} s")
    return 0


def _show_outline(recipe: "Recipe") -> None:
    from powermuse.outline import outline
    from powermuse.training.budget import Budget
    from powermuse.training.parallel import Parallel

    frame_axes = "[batch, channels, frames]; within a stage [batch, frames, channels]"
    print(f"{recipe.name} at full size, outputs {frame_axes}")
    rows = [(row.name, " ".join(str(list(s)) for s in row.shapes), f"{row.weights:,}") for row in outline(recipe)]
    table = [("block", "output", "weights"), *rows]
    name, output, weights = (max(len(line[column]) for line in table) for column in range(3))
    for line in table:
        print(f"{line[0]:{name}}  {line[1]:{output}}  {line[2]:>{weights}}")
    alone = Parallel(dataclasses.replace(recipe.training, shard=False))  # as what was rehearsed
    print(f"memory of a process: {Budget(recipe, alone).told()}")


@contextmanager
def _terminated_by_leaving() -> Iterator[None]:
    """SIGTERM ends what is done in here as an exception would, so that temporary folders are removed."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
