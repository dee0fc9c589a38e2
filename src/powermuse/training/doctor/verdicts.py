"""The words of a diagnosis."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from powermuse.training.doctor.record import NotChecked, Record


class Ill(NamedTuple):
    """Something is wrong: the figure with its threshold, what to do, and that as settings for the next run."""

    found: str
    advice: str
    settings: tuple[str, ...] = ()


Judge = Callable[[Record], Ill | str]
"""Looks at a run: what is wrong, or a line on what was found well. Raises NotChecked where it cannot tell."""


class Rule(NamedTuple):
    """A judge under the name of the illness that it knows."""

    name: str
    judge: Judge


class Verdict(NamedTuple):
    """What became of one rule."""

    rule: str
    state: Literal["ill", "well", "not checked"]
    found: str
    advice: str = ""
    settings: tuple[str, ...] = ()


def pronounce(rule: Rule, record: Record) -> Verdict:
    """The verdict of one rule on one run."""
    try:
        answer = rule.judge(record)
    except NotChecked as reason:
        return Verdict(rule.name, "not checked", str(reason))
    return Verdict(rule.name, "well", answer) if isinstance(answer, str) else Verdict(rule.name, "ill", *answer)


def setting(key: str, value: float) -> str:
    """A setting as `-s` takes it."""
    return f"{key}={value:g}"


def raised(record: Record, term: str, first: float, most: float = float("inf")) -> str:
    """More weight for a loss term: `first`, or twice what it has, at most `most`."""
    now = record.weight(term)
    return setting(f"weights.{term}", first if now < first else min(2.0 * now, max(most, now)))
