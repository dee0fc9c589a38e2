"""The runs below a folder with their key figures, read cheaply: the last part of the log, the header of the newest
checkpoint, no weights and no torch."""

import json
import math
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from powermuse.training import lock
from powermuse.types import BadInput

FINISHED, RUNNING, STOPPED, DAMAGED = "finished", "running", "stopped", "damaged"
_TAIL_BYTES = 1 << 16
_HEADER_BYTES = 1 << 26


@dataclass(frozen=True)
class Listed:
    """A run. None stands for what it does not tell."""

    name: str
    state: str
    changed: float
    """When something of it was last written, seconds since 1970."""
    recipe: str | None = None
    seen: int = 0
    """Pairs up to the last line of the log or the newest checkpoint."""
    pairs: int | None = None
    """Pairs wanted."""
    kept: int | None = None
    """The checkpoint that it would go on from."""
    best: float | None = None
    best_at: int | None = None
    loss: float | None = None
    """Of the last training line."""
    pairs_per_s: float | None = None
    targets_held: int | None = None
    """Bounds that held at the checkpoint."""
    targets: int = 0
    """Bounds in all: two for `0.5 +- 0.02`."""
    trouble: str = ""
    """What is damaged."""


def runs(folder: str) -> list[Listed]:
    """Every run below a folder, or the run that it is, the one that changed last first. Raises BadInput where there is
    no such folder."""
    base = Path(folder)
    if not base.is_dir():
        raise BadInput(
            f"{folder}: no such directory; powermuse train RECIPE --data DATASET --run {folder}/first makes one"
        )
    found = [
        _listed(run, run.relative_to(base).as_posix() if run != base else base.name or folder) for run in _below(base)
    ]
    return sorted(found, key=lambda run: -run.changed)


def _below(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        if "data.json" in files or ("log.jsonl" in files and ("recipe.yaml" in files or "checkpoints" in folders)):
            folders.clear()
            yield Path(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _listed(run: Path, name: str) -> Listed:
    """Never raises: what cannot be read is the run's trouble."""
    told: dict[str, Any] = {}
    trouble = []
    for read in (_recipe, _log, _checkpoint):
        try:
            told |= {key: value for key, value in read(run, told).items() if value is not None}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
            trouble.append(
                str(error) if isinstance(error, BadInput) else f"{_FILES[read]} cannot be read ({_short(error)})"
            )
    logged, ended = told.pop("logged", 0), told.pop("finished_at", -1)
    told["seen"] = max(logged, told.get("kept") or 0)
    state = FINISHED if ended >= 0 and ended == told.get("pairs") else STOPPED
    state = RUNNING if lock.is_held(run / "log.jsonl") else state
    return Listed(name, DAMAGED if trouble else state, _changed(run), trouble="; ".join(trouble), **told)


def _recipe(run: Path, told: dict[str, Any]) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = yaml.load((run / "recipe.yaml").read_text(encoding="utf-8"), Loader=loader)
    bounds = sum(2 if "+-" in text or "±" in text else 1 for text in content.get("targets", {}).values())
    return {"recipe": str(content["name"]), "pairs": int(content["training"]["pairs"]), "targets": bounds}


def _log(run: Path, told: dict[str, Any]) -> dict[str, Any]:
    """Of the last training lines, and the best of the last validations."""
    if not (run / "log.jsonl").exists():
        return {}
    lines = _last_lines(run / "log.jsonl")
    trained = [line for line in lines if line["split"] == "train"]
    best = min((line for line in lines if line["split"] == "val"), key=lambda line: line["loss"], default={})
    speeds = [line["clock.pairs_per_s"] for line in trained if "clock.pairs_per_s" in line]
    return {
        "logged": max((int(line["seen"]) for line in lines), default=0),
        "loss": _finite(trained[-1]["loss"]) if trained else None,
        "pairs_per_s": _finite(speeds[-1]) if speeds else None,
        "best": _finite(best["loss"]) if best else None,
        "best_at": best["seen"] if best else None,
    }


def _last_lines(log: Path) -> list[dict[str, Any]]:
    """The last part of the log, more of it where that has no training line. A last line that is being written does not
    count. Raises BadInput for a line that is none of a log."""
    size, part = log.stat().st_size, _TAIL_BYTES
    while True:
        with log.open("rb") as file:
            file.seek(max(0, size - part))
            texts = file.read(part).split(b"\n")
        whole = texts[1 if part < size else 0 : -1]
        if part >= size or any(b'"split": "train"' in text for text in whole):
            return [_parsed(text, log) for text in whole]
        part *= 4


def _parsed(text: bytes, log: Path) -> dict[str, Any]:
    try:
        line = json.loads(text)
        return {**line, "seen": int(line["seen"]), "split": str(line["split"])}
    except (ValueError, TypeError, KeyError):
        raise BadInput(f"{log.name} has a line that is none of a run's log") from None


def _checkpoint(run: Path, told: dict[str, Any]) -> dict[str, Any]:
    """Of the newest checkpoint that is whole, as the trainer goes on from it. Raises BadInput where none is."""
    paths = sorted((run / "checkpoints").glob("[0-9]*.safetensors"), reverse=True)
    for path in paths:
        try:
            return _kept(path, told)
        except (OSError, ValueError, KeyError, TypeError, struct.error):
            continue
    if paths:
        raise BadInput(f"checkpoints: not one of {len(paths)} is whole")
    return {}


def _kept(path: Path, told: dict[str, Any]) -> dict[str, Any]:
    """Position, best validation and targets, from the header of a safetensors file and one small tensor of it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEADER_BYTES:
            raise ValueError("no header")
        header = json.loads(file.read(length))
        state = json.loads(header.pop("__metadata__")["state"])
        if path.stat().st_size != 8 + length + max(tensor["data_offsets"][1] for tensor in header.values()):
            raise ValueError("cut short")
        violations: tuple[float, ...] = ()
        if tensor := header.get("targets/violations"):
            begin, end = tensor["data_offsets"]
            file.seek(8 + length + begin)
            violations = struct.unpack(f"<{(end - begin) // 4}f", file.read(end - begin))
    values, known = state["values"], math.isfinite(state["values"]["best"])
    better = known and values["best"] <= told.get("best", math.inf)
    return {
        "kept": int(state["seen"]),
        "finished_at": int(values["finished_at"]),
        "best": float(values["best"]) if better else None,
        "best_at": int(values["best_at"]) if better else None,
        "targets_held": sum(v <= 0 for v in violations) if violations else None,
    }


def _finite(value: Any) -> float | None:
    """A number that JSON knows."""
    return float(value) if math.isfinite(value) else None


def _changed(run: Path) -> float:
    files = [run / "log.jsonl", run / "recipe.yaml", run / "data.json", *(run / "checkpoints").glob("*.safetensors")]
    found = []
    for file in files:
        with suppress(FileNotFoundError):  # a run that works lets checkpoints go
            found.append(file.stat().st_mtime)
    return max(found, default=run.stat().st_mtime)


def _short(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:80] or type(error).__name__


_FILES = {_recipe: "recipe.yaml", _log: "log.jsonl", _checkpoint: "checkpoints"}
