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
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    try:
        yield caught
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def time_limit_waits() -> Iterator[None]:
    """Under SLURM a SIGUSR1 in here does not kill: it waits for `stop_signals`, and is dropped where none follows."""
    if not _under_slurm():
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        yield
    finally:
        handler = signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # drops one that waits
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, handler)


def _under_slurm() -> bool:
    return "SLURM_JOB_ID" in os.environ
