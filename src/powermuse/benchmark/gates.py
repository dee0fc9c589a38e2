"""Bars that a composer is held to, and what they are worth: each is tried first on a second right answer."""

from dataclasses import dataclass

from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.results import ALL, RETOLD, Gate, Report


@dataclass(frozen=True)
class Bar:
    """A range that a metric's mean must lie in, None for no bound; `rule` says in words where the bounds come from."""

    name: str
    metric: str
    low: float | None
    high: float | None
    rule: str

    def passes(self, value: float) -> bool:
        """Whether a value lies in the range, bounds included."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def judge(report: Report, bar: Bar, group: str = ALL) -> Gate:
    """The bar held to every system in a group. It is ill-posed where another orchestration of the truth fails it;
    rivals that pass with their whole interval are named."""
    means = {name: of[bar.metric] for name, of in report.means[group].items()}
    passed = {name: None if m.mean is None else bar.passes(m.mean) for name, m in means.items()}
    rivals = [s.name for s in report.systems if s.kind in ("baseline", "floor")]
    easy = tuple(name for name in rivals if passed[name] and _whole(bar, means[name]))
    ill_posed = f"{RETOLD}, which is right too, fails it" if passed.get(RETOLD) is False else ""
    return Gate(bar.name, bar.metric, group, bar.rule, passed, easy, ill_posed)


def _whole(bar: Bar, interval: Interval) -> bool:
    return all(end is not None and bar.passes(end) for end in (interval.low, interval.high))


def passes_all(report: Report, system: str, group: str = ALL) -> tuple[int, int]:
    """Gates of a group that a system passes, and those that are sound."""
    sound = [gate for gate in report.gates if gate.group == group and not gate.ill_posed]
    return sum(gate.passed.get(system) is True for gate in sound), len(sound)
