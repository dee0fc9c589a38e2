"""Stopping when asked to: signals are collected, and acted on at the end of a step.

SIGINT and SIGTERM anywhere; under SLURM also SIGUSR1, which tells that the time limit of the job is near.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects the signals instead of dying of them; a second one is not waited for."""
    caught: list[int] = []
    slurm = _under_slurm()

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        # SLURM repeats itself (a step's signal may come from srun as well), and has SIGKILL for whom it cannot wait.
        if len(caught) > 1 and (number == signal.SIGINT or not slurm):
            raise KeyboardInterrupt

    numbers = {signal.SIGINT, signal.SIGTERM} | ({signal.SIGUSR1} if slurm else set())
    before = {number: signal.signal(number, note) for number in numbers}
    caught += _early
    _early.clear()
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_early: list[int] = []


@contextmanager
def time_limit_waits() -> Iterator[None]:
    """Under SLURM a SIGUSR1 in here does not kill: it waits for `stop_signals`, and is dropped where none follows.

    A handler and not a mask: a mask holds for one thread, and the signal would kill through any other.
    """
    if not _under_slurm():
        yield
        return
    before = signal.signal(signal.SIGUSR1, lambda number, frame: _early.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
        _early.clear()


def _under_slurm() -> bool:
    return "SLURM_JOB_ID" in os.environ
