"""Bars that a composer is held to, and what they are worth: each is tried first on a second right answer."""

from dataclasses import dataclass
from typing import Literal

from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.results import ALL, RETOLD, TRUTH, Gate, Report


@dataclass(frozen=True)
class Bar:
    """A bar on a metric's mean. With `of_truth` the value is added to the truth's mean; `within` always is about it."""

    name: str
    metric: str
    rule: Literal["at least", "at most", "within"]
    value: float
    of_truth: bool = False

    def __str__(self) -> str:
        if self.rule == "within":
            return f"within {self.value:g} of the truth's"
        if self.of_truth:
            sign = "+" if self.value > 0 else "-"
            return f"{self.rule} the truth's" + (f" {sign} {abs(self.value):g}" if self.value else "")
        return f"{self.rule} {self.value:g}"

    def passes(self, value: float, truth: float | None) -> bool | None:
        """Whether a value passes; None where the truth is needed and has none."""
        if truth is None and (self.of_truth or self.rule == "within"):
            return None
        if self.rule == "within":
            return abs(value - (truth or 0.0)) <= self.value
        bound = self.value + ((truth or 0.0) if self.of_truth else 0.0)
        return value >= bound if self.rule == "at least" else value <= bound


def judge(report: Report, bar: Bar, group: str = ALL) -> Gate:
    """The bar held to every system in a group. It is ill-posed where another orchestration of the truth fails it;
    rivals that pass with their whole interval are named."""
    means = {name: of[bar.metric] for name, of in report.means[group].items()}
    truth = means[TRUTH].mean if TRUTH in means else None
    passed = {name: None if m.mean is None else bar.passes(m.mean, truth) for name, m in means.items()}
    rivals = [s.name for s in report.systems if s.kind in ("baseline", "floor")]
    easy = tuple(name for name in rivals if passed[name] and _whole(bar, means[name], truth))
    ill_posed = f"{RETOLD}, which is right too, fails it" if passed.get(RETOLD) is False else ""
    return Gate(bar.name, bar.metric, group, str(bar), passed, easy, ill_posed)


def _whole(bar: Bar, interval: Interval, truth: float | None) -> bool:
    return all(end is not None and bool(bar.passes(end, truth)) for end in (interval.low, interval.high))


def passes_all(report: Report, system: str, group: str = ALL) -> tuple[int, int]:
    """Gates of a group that a system passes, and those that are sound."""
    sound = [gate for gate in report.gates if gate.group == group and not gate.ill_posed]
    return sum(gate.passed.get(system) is True for gate in sound), len(sound)
