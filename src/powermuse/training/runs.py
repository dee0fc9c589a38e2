"""The folder of a run: begun once, then gone on with by the same command."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from powermuse import disk, recipe, registry
from powermuse.data.shards import Header
from powermuse.recipe import Recipe
from powermuse.training import lock, tracking
from powermuse.training.tracking import flat
from powermuse.types import BadInput

_RECIPE, _DATA = "recipe.yaml", "data.json"
# What may change between two starts of one run without changing what has been computed.
_FREE = (
    "training.pairs", "training.cooldown", "training.final_share", "training.keep_checkpoints", "training.monitor",
    "training.shard", "tracking.",
)  # fmt: skip
_ABOVE_ZERO = (
    "training.pairs", "training.batch", "training.clip_norm", "training.log_every",
    "training.accumulate", "training.validate_every", "training.validation_pairs", "training.save_every",
    "training.keep_checkpoints", "data.crop_frames", "data.decode_frames", "data.decode_stretches",
    "adversary.every", "adversary.clip_norm", "noise.step", "target.most",
)  # fmt: skip
_NOT_NEGATIVE = (
    "training.learning_rate", "training.weight_decay", "training.threads", "training.monitor", "cascade.input_noise",
    "tracking.listen", "data.triplets", "data.first", "training.warmup", "training.cooldown",
    "adversary.rate_share", "noise.rate", "noise.start", "target.rate", "target.damping",
    "flow.noise", "flow.steps", "flow.refine_layers", "flow.paint_layers",
)  # fmt: skip

_SHARES = (
    "data.unity", "data.singles_share", "training.final_share", "noise.ceiling", "flow.drop", "flow.drop_all",
)  # fmt: skip
_SEEDS = 2**63
_OF_TRIPLETS = ("data.triplets", "data.first", "data.unity", "data.singles", "data.notes", "data.equaliser_db")
"""What prepared data sets do not know."""


def open_run(folder: Path, wanted: Recipe, data: dict[str, Any]) -> None:
    """Begins a run or checks that it may go on. `data` tells its data set from others. Raises BadInput where it was
    begun with another recipe or data set."""
    check_run(folder, wanted, data)
    folder.mkdir(parents=True, exist_ok=True)
    disk.write_text(folder / _DATA, json.dumps(flat(data), indent=1))
    disk.write_text(folder / _RECIPE, recipe.dump(wanted))


def check_run(folder: Path, wanted: Recipe, data: dict[str, Any] | None) -> None:
    """Raises BadInput where a folder is no run, or one that was begun with another recipe or data set; of the latter
    nothing is known where `data` is None."""
    file, data_file = folder / _RECIPE, folder / _DATA
    check_free(folder)
    if not file.exists():
        return
    _check_same(folder, "", recipe_settings(recipe.parse(file.read_text(), str(file))), recipe_settings(wanted))
    if data is not None and data_file.exists():
        _check_same(folder, "data set ", json.loads(data_file.read_text()), flat(data))


def known_triplets(folder: Path) -> tuple[int, ...]:
    """How many rendered triplets a run that was begun trains and validates on; nothing where it does not say so."""
    try:
        counts = json.loads((folder / _DATA).read_text())
        return int(counts["triplets.train"]), int(counts["triplets.val"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def check_free(folder: Path) -> None:
    """Raises BadInput where a folder holds something that is not a run; a lock alone is one that is just begun."""
    if not folder.exists() or (folder / _RECIPE).exists():
        return
    if not folder.is_dir() or any(path.name != lock.OWNED for path in folder.iterdir()):
        raise BadInput(f"{folder}: exists and is not a run; name another directory for --run")


def check_settings(wanted: Recipe) -> None:
    """Raises BadInput for a setting that no run can have, by its name; MissingExtra for a tracker that is not there."""
    tracking.check(wanted)
    settings = recipe_settings(wanted)
    for key in _ABOVE_ZERO:
        if not settings[key] > 0:
            raise BadInput(f"{key} must be above 0, not {settings[key]}")
    for key in _NOT_NEGATIVE:
        if not settings[key] >= 0:
            raise BadInput(f"{key} must be at least 0, not {settings[key]}")
    for key in _SHARES:
        if not 0.0 <= settings[key] <= 1.0:
            raise BadInput(f"{key} must be from 0 to 1, not {settings[key]}")
    for key in _OF_TRIPLETS:
        if settings[key] and wanted.data.pairing != "triplets":
            raise BadInput(f"{key} wants data.pairing=triplets, not {wanted.data.pairing}")
    if wanted.data.singles and not wanted.data.unity:
        raise BadInput("data.singles wants data.unity above 0: a share of the single clips is recordings")
    if not 0.0 <= wanted.training.ema < 1.0:
        raise BadInput(f"training.ema must be from 0 to below 1, not {wanted.training.ema}")
    if not -_SEEDS <= wanted.training.seed < _SEEDS:
        raise BadInput(f"training.seed must be a number of 63 bits, not {wanted.training.seed}")
    betas = wanted.training.betas
    if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
        raise BadInput(f"training.betas must be two numbers from 0 to below 1, not {betas}")


def check_codec(wanted: Recipe, header: Header, dataset: Path) -> None:
    """Raises BadInput where a data set was encoded by another codec than the recipe's, or by other weights of it."""
    name = wanted.codec.name
    if header.codec != name:
        raise BadInput(
            f"{dataset}: was prepared with codec {header.codec}, the recipe wants {name}; "
            f"prepare it with --codec {name}, or train with -s codec.name={header.codec}"
        )
    options = {**registry.defaults("codecs", name), **wanted.codec.options}
    for option in registry.find("codecs", name)[1].latent_options:
        was = header.codec_options.get(option)
        if was != options[option]:
            raise BadInput(
                f"{dataset}: was prepared with {name} {option}={was}, the recipe wants {options[option]}; "
                f"train with -s codec.options.{option}={was}"
            )


def check_lengths(wanted: Recipe, least_crop: int, least_decode: int) -> None:
    """Raises BadInput where crops, or what is decoded of them, are too short for a term of the objective."""
    for key, has, least in (
        ("data.crop_frames", wanted.data.crop_frames, least_crop),
        ("data.decode_frames", wanted.data.decode_frames, least_decode),
    ):
        if has < least:
            raise BadInput(
                f"{key} is {has}, modulation wants at least {least} with data.decode_stretches "
                f"{wanted.data.decode_stretches} (8 s, or 15 parts of 64 ms spread over them): below that chance rules"
            )


def recipe_settings(of: Recipe) -> dict[str, Any]:
    """Every setting of a recipe under its dotted name."""
    return flat(dataclasses.asdict(of))


def _check_same(folder: Path, what: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key) and not key.startswith(_FREE):
            raise BadInput(
                f"{folder}: was begun with {what}{key}={before.get(key)}, now it is {now.get(key)}; "
                "name another directory for --run, or go on with the old value"
            )
