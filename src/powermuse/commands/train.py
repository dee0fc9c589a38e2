"""`powermuse train`: a recipe on a data set."""

import argparse
import sys
from typing import Any

from powermuse.commands.shared import Handler
from powermuse.terminal import progress, say


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "train",
        help="train a recipe on a data set",
        description="Trains RECIPE, a shipped name or a YAML file. The same command again goes on where\n"
        "the run stopped. "
        "Ctrl-C saves and leaves.",
        epilog="example: powermuse train tiny --data datasets/loops --run runs/first -s training.pairs=4000",
    )
    command.add_argument("recipe", metavar="RECIPE", help="shipped recipe or .yaml file")
    command.add_argument("--data", required=True, metavar="DATASET", help="what `powermuse prepare` made")
    command.add_argument("--run", metavar="RUN", help="directory of the run (default: runs/ and the recipe's name)")
    command.add_argument(
        "-s",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, as training.batch=4",
    )
    return command, _train


def _train(options: argparse.Namespace) -> int:
    from powermuse import recipe as recipes

    recipe = recipes.load(options.recipe, options.overrides)
    run = options.run or f"runs/{recipe.name}"
    from powermuse.training.trainer import Progress, Trainer

    with progress() as update:

        def show(now: Progress) -> None:
            if now.message:
                print(f"powermuse: {now.message}", file=sys.stderr)
            loss = now.scalars.get("loss")
            speed = now.scalars.get("clock.pairs_per_s")
            note = "" if loss is None else f"loss {loss:.4f}  {speed:.0f} pairs/s"
            update("train", now.seen, now.pairs, note)

        trainer = Trainer(recipe, options.data, run, show)
        ended = trainer.fit()
    for verdict in trainer.targets.verdicts():
        print(verdict)
    if ended.signal:
        return say(f"stopped at pair {ended.seen}, saved; the same command goes on", 128 + ended.signal)
    best = "" if ended.best == float("inf") else f", best validation loss {ended.best:.4f}"
    print(f"{run}: {ended.seen} pairs{best}; compose with it: powermuse compose A B -o OUT.wav --model {run}")
    return 0
