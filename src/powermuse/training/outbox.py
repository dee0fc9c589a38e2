"""What is to be sent somewhere that may not answer: in order, again after a while, and never at a run's cost."""

import time
from collections import deque
from collections.abc import Callable

_RETRY_S = 60.0
_PATIENCE = 20.0
"""A try that failed is not repeated within so many times its own length: waiting costs at most a twentieth of a run."""


class Outbox:
    """Keeps work until it has been done. Says once that `where` fails, and once that it works again."""

    def __init__(self, where: str, say: Callable[[str], None]) -> None:
        self.where, self._say = where, say
        self._waiting: deque[Callable[[], object]] = deque()
        self._again_at, self._failing = 0.0, False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, work: Callable[[], object]) -> None:
        """Puts work behind what waits already."""
        self._waiting.append(work)

    def send(self, *, at_once: bool = False) -> bool:
        """Does what waits, as far as it succeeds; `at_once` even soon after a failure. Whether nothing waits."""
        begun = time.monotonic()
        if begun < self._again_at and not at_once:
            return not self._waiting
        try:
            while self._waiting:
                self._waiting[0]()
                self._waiting.popleft()
        except Exception as error:  # a store's client may raise anything, and no figure of a run depends on it
            took = time.monotonic() - begun
            self._again_at = begun + took + max(_RETRY_S, _PATIENCE * took)
            self._tell(f"{self.where}: {_first_line(error)}; the run goes on, and tries again", failing=True)
            return False
        self._tell(f"{self.where}: answers again, and has what it missed", failing=False)
        return True

    def _tell(self, message: str, *, failing: bool) -> None:
        if failing != self._failing:
            self._say(message)
        self._failing = failing


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
