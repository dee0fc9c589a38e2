"""The health monitor: every so many pairs one step is watched by hooks, which are gone again after it."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from powermuse.model.muse import Muse
from powermuse.training import health, sharding, tracking
from powermuse.types import Composition

LARGEST = 10


class Reading(NamedTuple):
    """What was seen of one step; `seen` counts its pairs."""

    seen: int
    rms: list[float]
    """Of each stage's output."""
    scales: list[float]
    """Mean RMS scale factor of each stage."""
    gradients: dict[str, float]
    """The largest norms before clipping, by parameter, largest first; what is no number counts as the largest."""
    first_not_finite: str
    """The first layer that gave a value which is not finite; empty where all are."""

    def lines(self) -> list[str]:
        """As it is shown."""
        stages = [
            f"stage {i} RMS {rms:.3g} scaled by {scale:.3g}"
            for i, (rms, scale) in enumerate(zip(self.rms, self.scales, strict=True))
        ]
        told = [f"health at pair {self.seen}: {', '.join(stages)}"]
        told.append("largest gradients: " + ", ".join(f"{name} {norm:.3g}" for name, norm in self.gradients.items()))
        if self.first_not_finite:
            told.append(f"first layer that is not finite: {self.first_not_finite}")
        return told

    def json(self) -> str:
        """As one line of JSON, null for what is no number."""
        return json.dumps(
            {
                "seen": self.seen,
                "rms": [_number(x) for x in self.rms],
                "scales": [_number(x) for x in self.scales],
                "gradients": {name: _number(x) for name, x in self.gradients.items()},
                "first_not_finite": self.first_not_finite or None,
            }
        )


class Monitor:
    """Watches the step that completes each `every` pairs; writes RUN/health.jsonl and says the same to `tell`.

    Of a sharded model every rank has to watch, since each has a part of every gradient; only the first `writes`.
    """

    def __init__(self, every: int, model: Muse, run: Path, tell: Callable[[str], None], *, writes: bool = True) -> None:
        self.every, self.model, self.tell, self.writes = every, model, tell, writes
        self.file = run / "health.jsonl"
        self._cut = False

    @contextmanager
    def watching(self, before: int, after: int) -> Iterator[None]:
        """Around the step from `before` to `after` pairs: watches it where a reading is due."""
        if after // self.every == before // self.every:
            yield
            return
        norms: dict[str, Tensor] = {}
        compositions: list[Composition] = []
        handles = [
            self.model.cascade.register_forward_hook(lambda module, inputs, output: compositions.append(output)),
            *(
                # A gradient is complete here, and not yet clipped.
                parameter.register_post_accumulate_grad_hook(_keep(norms, name))
                for name, parameter in self.model.named_parameters()
                if parameter.requires_grad
            ),
        ]
        try:
            with health.first_non_finite(self.model) as culprits:
                yield
        finally:
            for handle in handles:
                handle.remove()
        reading = _reading(after, compositions[-1], norms, culprits)
        if self.writes:
            self._write(reading, before)

    def _write(self, reading: Reading, before: int) -> None:
        if not self._cut and self.file.exists():  # what a process wrote that got further than this one begins
            tracking.cut(self.file, before)
        self._cut = True
        with self.file.open("a") as file:
            file.write(reading.json() + "\n")
        for line in reading.lines():
            self.tell(line)


def _keep(norms: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    def hook(parameter: Tensor) -> None:
        assert parameter.grad is not None
        norms[name] = parameter.grad.detach().norm()

    return hook


@torch.no_grad()
def _reading(seen: int, composition: Composition, norms: dict[str, Tensor], culprits: list[str]) -> Reading:
    values = dict(zip(norms, sharding.whole(torch.stack(list(norms.values()))).tolist(), strict=True)) if norms else {}
    largest = sorted(values, key=lambda name: values[name] if math.isfinite(values[name]) else math.inf, reverse=True)
    return Reading(
        seen,
        [float(draft.square().mean().sqrt()) for draft in composition.drafts],
        [float(scale.mean()) for scale in composition.scales],
        {name: values[name] for name in largest[:LARGEST]},
        culprits[0] if culprits else "",
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
