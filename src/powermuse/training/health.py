"""Naming what went wrong when a number stops being finite: by replaying the step with hooks. Costs nothing before."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from powermuse import disk

FAILED = "failed.json"
"""In a run that a number ended: after which pair, and what was told."""


class NotFinite(RuntimeError):
    """A loss or a gradient that is not a finite number stopped the run at a pair; the message names the term and the
    layer."""

    def __init__(self, pair: int, what: str) -> None:
        super().__init__(f"pair {pair}: {what}")
        self.pair = pair


@contextmanager
def recorded(run: Path, *, writes: bool) -> Iterator[None]:
    """Around training: NotFinite is kept in the run's folder by the rank that writes, until the run goes on."""
    if writes:
        (run / FAILED).unlink(missing_ok=True)
    try:
        yield
    except NotFinite as error:
        with suppress(OSError):  # a full disk would hide what is to be told
            if writes:
                disk.write_text(run / FAILED, json.dumps({"pair": error.pair, "told": str(error)}))
        raise


@contextmanager
def first_non_finite(model: nn.Module) -> Iterator[list[str]]:
    """Collects the names of the modules whose output is not finite, in the order they ran: the first is the culprit."""
    culprits: list[str] = []
    handles = [module.register_forward_hook(_watch(name, culprits)) for name, module in model.named_modules() if name]
    try:
        yield culprits
    finally:
        for handle in handles:
            handle.remove()


def _watch(name: str, culprits: list[str]) -> Callable[[nn.Module, object, object], None]:
    def hook(module: nn.Module, inputs: object, output: object) -> None:
        if any(not bool(torch.isfinite(t).all()) for t in _tensors(output)):
            culprits.append(name)

    return hook


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def diagnose(
    model: nn.Module, step: Callable[[], tuple[Tensor, dict[str, Tensor]]], seen: int, last_good: str
) -> NotFinite:
    """Runs `step` (total and terms of the batch that failed) once more and says what was not finite, and where."""
    with first_non_finite(model) as culprits:
        total, terms = step()
    bad_terms = [name for name, value in terms.items() if not bool(torch.isfinite(value))]
    bad_weights = [name for name, p in model.named_parameters() if not bool(torch.isfinite(p).all())]
    what = (
        f"loss term {', '.join(bad_terms)}" if bad_terms else "the total" if not torch.isfinite(total) else "a gradient"
    )
    where = f"first in layer {culprits[0]}" if culprits else "every layer's output was finite"
    if bad_weights:
        where += f", weight {bad_weights[0]} is not finite"
    return NotFinite(seen, f"{what} is not a finite number ({where}); the run stands at {last_good}")
