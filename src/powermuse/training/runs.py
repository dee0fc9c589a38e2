"""The folder of a run: begun once, then gone on with by the same command."""

import dataclasses
from pathlib import Path

from powermuse import disk, recipe
from powermuse.data.shards import Header
from powermuse.recipe import Recipe
from powermuse.training.tracking import flat
from powermuse.types import BadInput

# What may change between two starts of one run without changing what has been computed.
_FREE = ("training.pairs", "training.keep_checkpoints", "tracking.")


def open_run(folder: Path, wanted: Recipe) -> None:
    """Begins a run or checks that it may go on. Raises BadInput where it was begun with another recipe."""
    file = folder / "recipe.yaml"
    if not file.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder}: exists and is not a run; name another directory for --run")
        folder.mkdir(parents=True, exist_ok=True)
    else:
        before = flat(dataclasses.asdict(recipe.parse(file.read_text(), str(file))))
        now = flat(dataclasses.asdict(wanted))
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key) and not key.startswith(_FREE):
                raise BadInput(
                    f"{folder}: was begun with {key}={before.get(key)}, now it is {now.get(key)}; "
                    "name another directory for --run, or go on with the old value"
                )
    disk.write_text(file, recipe.dump(wanted))


def check_codec(wanted: Recipe, header: Header, dataset: Path) -> None:
    """Raises BadInput where a data set was encoded by another codec than the recipe's."""
    if header.codec != wanted.codec.name:
        raise BadInput(
            f"{dataset}: was prepared with codec {header.codec}, the recipe wants {wanted.codec.name}; "
            f"prepare it with --codec {wanted.codec.name}, or train with -s codec.name={header.codec}"
        )
