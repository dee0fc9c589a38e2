"""The doctor: what a run's log says about its health, in plain words, with the setting that would help.

Each rule is a pure function of a run's record, with its thresholds as named constants beside it.
"""

from typing import NamedTuple

from powermuse.training.doctor import components, duel, level, masks, sources, steps
from powermuse.training.doctor.record import Record, read
from powermuse.training.doctor.verdicts import Verdict, pronounce

RULES = (*steps.RULES, *sources.RULES, *masks.RULES, *components.RULES, *duel.RULES, *level.RULES)


class Diagnosis(NamedTuple):
    """A run and what each rule found."""

    record: Record
    verdicts: tuple[Verdict, ...]

    def of(self, state: str) -> list[Verdict]:
        """The verdicts of one kind: ill, well or not checked."""
        return [verdict for verdict in self.verdicts if verdict.state == state]


def examine(folder: str) -> Diagnosis:
    """Reads a run and tries every rule on it. Raises BadInput for what is not a run."""
    record = read(folder)
    return Diagnosis(record, tuple(pronounce(rule, record) for rule in RULES))
