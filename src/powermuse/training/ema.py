"""An exponential moving average of the weights: what is validated and saved as the model where a recipe asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def averaged(state: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The weights and buffers of the model that a checkpoint stands for: averaged ones where there is an average."""
    return state["model"] | {name: t for name, t in state.get("ema", {}).items() if name in state["model"]}


class MovingAverage:
    """shadow <- decay shadow + (1 - decay) weights after every step (Polyak & Juditsky 1992), buffers as they are.

    The decay begins small, min(decay, (1 + n) / (10 + n)) after n steps, so that the first weights are soon forgotten
    (TensorFlow's ExponentialMovingAverage). A decay of 0 is no average: nothing is kept and nothing costs.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._weights = dict(model.named_parameters()) if decay else {}
        self._shadow = {name: p.detach().clone() for name, p in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """After a step of the optimiser."""
        if not self._shadow:
            return
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        weights = [self._weights[name].detach() for name in self._shadow]
        torch._foreach_lerp_(list(self._shadow.values()), weights, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights in here, and its own again after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint keeps: nothing where there is no average."""
        return {"ema": {**self._shadow, "steps": torch.tensor(self.steps)}} if self._shadow else {}

    def restore(self, tensors: dict[str, dict[str, Tensor]]) -> None:
        """Puts `state` back."""
        if not self._shadow:
            return
        kept = tensors["ema"]
        self.steps = int(kept["steps"])
        for name, shadow in self._shadow.items():
            shadow.copy_(kept[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, shadow in self._shadow.items():
            weight = self._weights[name]
            own = weight.detach().clone()
            weight.copy_(shadow)
            shadow.copy_(own)
