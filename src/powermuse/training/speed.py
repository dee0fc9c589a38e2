"""How fast a run trains: pairs and latent frames a second, and the share of the device's matrix product it makes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

_COUNTED_STEP = 50
_SIDE, _TRIES = 1024, 3
_aten = torch.ops.aten


class Speed:
    """Measures training steps alone, between `begin` and `read`.

    The operations of a pair are counted once, in the fiftieth step of the process (it costs a second; what is shorter
    can do without); the peak is a matrix product of side 1,024 in float32 on the same threads, measured after it.
    """

    def __init__(self, crop_frames: int, device: torch.device, world: int) -> None:
        self.crop_frames, self.device, self.world = crop_frames, device, world
        self._flops: float | None = None
        self._counted: FlopCounterMode | None = None
        self._peak = 0.0
        self._steps = 0
        self.begin()

    def begin(self) -> None:
        """A new measurement."""
        self._from, self._pairs = time.monotonic(), 0

    def add(self, pairs: int) -> None:
        """So many pairs, of all ranks, were trained on."""
        if self._counted is not None:
            self._flops = self.world * self._counted.get_total_flops() / pairs
            self._counted = None
            self._peak = self.world * peak_flops(self.device)
            self.begin()  # counting costs time
            return
        self._pairs += pairs

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Around a step: counts its operations if that was not done yet."""
        self._steps += 1
        if self._steps != _COUNTED_STEP:
            yield
            return
        with FlopCounterMode(display=False, custom_mapping=_UNKNOWN) as counter:
            yield
        self._counted = counter

    def read(self) -> dict[str, float]:
        """`pairs_per_s`, `frames_per_s` and, once it is known, `share_of_peak` since `begin`, which begins anew; empty
        after no step but the one that counted."""
        passed_s = max(time.monotonic() - self._from, 1e-9)
        pairs_per_s = self._pairs / passed_s
        self.begin()
        if pairs_per_s == 0.0:
            return {}
        told = {"pairs_per_s": round(pairs_per_s, 3), "frames_per_s": round(pairs_per_s * self.crop_frames, 1)}
        if self._flops is not None:
            told["share_of_peak"] = round(self._flops * pairs_per_s / self._peak, 4)
        return told


def peak_flops(device: torch.device) -> float:
    """Operations a second of a matrix product of side 1,024 in float32, the fastest of three."""
    a, b = torch.ones(2, _SIDE, _SIDE, device=device).unbind()
    fastest = float("inf")
    for _ in range(_TRIES):
        begun = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for the device
        fastest = min(fastest, time.perf_counter() - begun)
    return 2.0 * _SIDE**3 / fastest


def _attention(query: Any, key: Any, *rest: Any, **more: Any) -> int:
    """Two products of [T, W] by [W, T] a head."""
    return int(4 * prod(query) * key[-2])


def _attention_backward(gradient: Any, query: Any, key: Any, *rest: Any, **more: Any) -> int:
    """Five products, one of them that of the forward pass once more."""
    return int(10 * prod(query) * key[-2])


def _nothing(*given: Any, **more: Any) -> int:
    """What counts for nothing beside the products."""
    return 0


# Unknown to the counter, which knows a GPU's attention. What it does not know it takes apart, and the parts of the
# gradient of SiLU round otherwise than the whole: the step that is counted must come to the same bits as any other.
_UNKNOWN: dict[Any, Any] = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    _aten.silu_backward.default: _nothing,
}
