"""Leakage cards: exchange one clip, and see that only what it should decide moves."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from powermuse.benchmark import cases
from powermuse.benchmark.results import TRUTH, Change, LeakageCard
from powermuse.benchmark.swap import Trial
from powermuse.benchmark.systems import System

_ROOM = 0.05
_RHYTHM, _HARMONY = "onset_env.groove", "chords"
_EXCHANGED = {_RHYTHM: cases.OTHER_A, _HARMONY: cases.OTHER_B}
"""The clip that decides it: after its exchange the truth's is what chance has."""
_LEAST = 0.5
Found = dict[str, list[Trial]]


def cards(rows: Sequence[System], found: Found) -> tuple[LeakageCard, ...]:
    """A card for each model, where cases with an exchanged clip were scored."""
    models = [row.name for row in rows if row.kind == "model"]
    return tuple(card for name in models if (card := _card(name, found)) is not None)


def _card(name: str, found: Found) -> LeakageCard | None:
    changes = [
        _change(name, found, "A", _RHYTHM, falls=True),
        _change(name, found, "A", _HARMONY, falls=False),
        _change(name, found, "B", _HARMONY, falls=True),
        _change(name, found, "B", _RHYTHM, falls=False),
    ]
    known = tuple(change for change in changes if change is not None)
    return LeakageCard(name, known) if known else None


def _change(name: str, found: Found, changed: Literal["A", "B"], metric: str, falls: bool) -> Change | None:
    """Agreement with the old clips before and after one of them was exchanged, on the same triplets. What should fall
    is held against a truth that has neither of the old clips, what should stay against the truth itself. A system that
    had little of it to begin with shows nothing, and fails."""
    group = cases.OTHER_A if changed == "A" else cases.OTHER_B
    before, after = _pair(found.get(name, []), group, metric)
    truth_before, truth_after = _pair(found.get(TRUTH, []), group, metric)
    if before is None or after is None or truth_before is None or truth_after is None:
        return None
    if not falls:
        truth_after = truth_before
    passed = after <= truth_after + _ROOM if falls else abs(after - before) <= _ROOM
    # What was never there cannot fall or stay: half of what the truth has beyond what falls away is the least.
    gone = _pair(found.get(TRUTH, []), _EXCHANGED[metric], metric)[1]
    if gone is not None and before - gone < _LEAST * (truth_before - gone):
        passed = False
    return Change(
        "A" if changed == "A" else "B",
        metric,
        "falls" if falls else "stays",
        before,
        after,
        truth_before,
        truth_after,
        passed,
    )


def _pair(trials: Sequence[Trial], group: str, metric: str) -> tuple[float | None, float | None]:
    """Means over the triplets that were exchanged, as they were and as they became."""
    after = {t.case.removeprefix(f"{group} "): t.values.get(metric) for t in trials if t.group == group}
    before = {t.case: t.values.get(metric) for t in trials if t.case in after}
    both = [(before[c], after[c]) for c in after if before.get(c) is not None and after[c] is not None]
    if not both:
        return None, None
    old, new = np.mean(np.array(both, dtype=np.float64), axis=0)
    return float(old), float(new)
