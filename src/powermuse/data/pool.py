"""A pool of processes, one thread each, whose results come in the order of what was asked."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch

from powermuse.types import BadInput

Result = TypeVar("Result")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def in_order(
    work: Callable[..., Result], items: Iterable[tuple[Any, ...]], workers: int, begin: Callable[..., None], *given: Any
) -> Iterator[Result]:
    """`work(*item)` of every item, in order, from a pool that is never far ahead; `begin(*given)` runs first in each
    process. With one worker all is done in this process. Raises BadInput where a process dies."""
    if workers <= 1:
        begin(*given)
        yield from (work(*item) for item in items)
        return
    context = get_context("spawn")
    lifeline, end = context.Pipe(duplex=False)
    with end, lifeline, ProcessPoolExecutor(workers, context, _start, (lifeline, begin, *given)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                with _interrupts_held(), _one_thread_each():
                    waiting.append(pool.submit(_work, work, *item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise BadInput(
                "a worker process died (out of memory?); run the same command again, or with fewer --workers"
            ) from None
        except BaseException:  # an interrupt, or nobody wants the rest: what is in hand is given up
            end.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Those that this process may use: a job of a cluster often has fewer than its node."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes begun in here never see Ctrl-C, which the terminal sends to all: the one that began them ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes begun in here do linear algebra in one thread: how many its libraries begin they read when they load,
    and on 64 cores 64 processes would have 4,096."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start(lifeline: Connection, begin: Callable[..., None], *given: Any) -> None:
    """Begins a process of the pool: one thread each, and an end where the one that began it ends or lets go of it."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    global _unready
    try:
        begin(*given)
    except Exception as error:  # raised here it would be lost, and the pool be broken without a word
        _unready = error


_unready: Exception | None = None
"""Why this process could not begin."""


def _work(work: Callable[..., Result], *item: Any) -> Result:
    if _unready is not None:
        raise _unready
    return work(*item)


def _end_with(lifeline: Connection) -> None:
    """Nothing is ever sent: what comes is the end of the pipe, which some systems tell by an error."""
    with suppress(OSError):
        lifeline.poll(None)
    os._exit(1)
