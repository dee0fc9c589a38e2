"""Checkpoints: one safetensors file each, with everything that decides what comes next. Written aside and renamed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from powermuse import weights
from powermuse.types import BadInput

Tensors = dict[str, dict[str, Tensor]]
"""By group and name."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by group and name, and the plain values of a run at `seen`."""

    seen: int
    tensors: Tensors
    values: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, keep: int, best_at: int = -1) -> Path:
    """Writes `folder/<seen>.safetensors`; keeps the newest `keep` up to it and the one at `best_at`, and none of a
    future that was given up."""
    folder.mkdir(parents=True, exist_ok=True)
    flat = {
        f"{group}/{name}": t.detach().cpu().contiguous()
        for group, ts in checkpoint.tensors.items()
        for name, t in ts.items()
    }
    metadata = {"state": json.dumps({"seen": checkpoint.seen, "values": checkpoint.values})}
    path = folder / f"{checkpoint.seen:012d}.safetensors"
    weights.write_tensors(path, flat, metadata)
    kept = {*[p for p in found(folder) if p <= path][-max(keep, 1) :], folder / f"{best_at:012d}.safetensors"}
    for other in set(found(folder)) - kept:
        other.unlink(missing_ok=True)
    return path


def found(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(folder.glob("[0-9]*.safetensors"))


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole (None where there is none at all), and what was wrong with newer ones. Raises
    BadInput where there are some and none is whole: to begin anew would overwrite what can perhaps be saved."""
    complaints: list[str] = []
    for path in reversed(found(folder)):
        try:
            return load(path), complaints
        except BadInput as error:
            complaints.append(str(error))
    if complaints:
        raise BadInput(f"{complaints[0]}, nor is any before it; move {folder} away to begin the run anew")
    return None, complaints


def load(path: Path) -> Checkpoint:
    """One checkpoint. Raises BadInput for a truncated or foreign file."""
    tensors: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            for key in file.keys():  # noqa: SIM118 - not a dictionary
                group, name = key.split("/", 1)
                tensors.setdefault(group, {})[name] = file.get_tensor(key)
        state = json.loads(metadata["state"])
        return Checkpoint(int(state["seen"]), tensors, state["values"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise BadInput(f"{path}: not a whole checkpoint ({error})") from None


def differences(a: dict[str, dict[str, Tensor]], b: dict[str, dict[str, Tensor]], *, exact: bool = True) -> list[str]:
    """Names, `group/name`, of the tensors that are not the same in both, bit for bit or else nearly."""
    flat_a, flat_b = ({f"{group}/{k}": t.cpu() for group, ts in x.items() for k, t in ts.items()} for x in (a, b))
    same = torch.equal if exact else torch.allclose
    return sorted(
        name
        for name in flat_a.keys() | flat_b.keys()
        if name not in flat_a or name not in flat_b or not same(flat_a[name], flat_b[name])
    )
