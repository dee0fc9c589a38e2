"""Memory of a computation that is not done: its tensors have shapes and no content, and the bytes of all that are alive
at once are counted."""

import functools
import gc
import sys
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_aten = torch.ops.aten
_CHOOSING = (_aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_)


class Ledger(TorchDispatchMode):
    """Bytes of the tensors that are alive: `now`, and `peak` since it was last set to `now`.

    What a step reads off a tensor has no value here: a Poisson draw is its mean, a mask chooses all places, anything
    else is 1.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def begin(self) -> int:
        """Forgets the peak up to here; gives what is alive."""
        gc.collect()  # cycles of a model that was built and changed
        self.peak = self.now
        return self.now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _aten.poisson.default:
            return args[0]
        if func is _aten._local_scalar_dense.default and getattr(args[0], "constant", None) is None:
            return 1
        if func.overloadpacket in _CHOOSING:
            args = (args[0], [_all_places(index) for index in args[1]], *args[2:])
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._note(tensor)
        return out

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self._alive.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


@contextmanager
def imagined(device: torch.device) -> Iterator[Ledger]:
    """In here every tensor is made on `device` without content, and nothing is computed; chance and the tables that
    functions keep are afterwards as if it had not been."""
    with ExitStack() as stack:
        stack.callback(_forget_tables)  # of imagined tensors
        stack.enter_context(torch.random.fork_rng(devices=[]))
        # A backward pass in this very thread: another one would not know that nothing is real.
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(device)
        yield stack.enter_context(Ledger())


def _all_places(index: Tensor | None) -> Tensor | None:
    if index is None or index.dtype != torch.bool:
        return index
    return torch.empty(index.numel(), dtype=torch.long, device=index.device)


def _forget_tables() -> None:
    """Empties the caches of the package's functions."""
    for name, module in list(sys.modules.items()):
        if name.startswith("powermuse."):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
