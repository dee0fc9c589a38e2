"""What a benchmark found: systems, metrics and cases, a value for each, and what follows from them.

A loop fills it like this:

    report = Report("Swap benchmark", systems, metrics, cases, {s.name: {c.name: score(s, c) ...} ...}, seed=0)
    report = replace(report, gates=tuple(gates.judge(report, bar) for bar in BARS))
    write(report, folder / "report.json")
    page.write_page(report, folder / "report.html")
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from powermuse import disk
from powermuse.benchmark.intervals import Interval, bootstrap_interval
from powermuse.types import BadInput

FORMAT = 1
Kind = Literal["model", "baseline", "reference", "floor"]
Better = Literal["up", "down", "truth"]
Values = dict[str, dict[str, dict[str, float | None]]]
Means = dict[str, dict[str, dict[str, Interval]]]

TRUTH = "truth"
RETOLD = "another orchestration"
"""Names of the two references that gates are held against."""
ALL, SAME, OTHER = "all", "same tempo", "other tempo"


@dataclass(frozen=True)
class System:
    """Whatever makes a blend."""

    name: str
    kind: Kind
    description: str = ""


@dataclass(frozen=True)
class Metric:
    """A measure of a blend. `better` is truth where neither more nor less is better but what the truth has."""

    name: str
    unit: str
    better: Better
    meaning: str
    reader: str = ""
    """What reads chords, notes or beats for it, where something does."""
    digits: int = 2


@dataclass(frozen=True)
class Group:
    """A set of cases that are averaged together."""

    name: str
    meaning: str


GROUPS = (
    Group(ALL, "every triplet, at one tempo or at two"),
    Group(SAME, "A and B have the same tempo"),
    Group(OTHER, "A and B have different tempi; B's chords stay on B's clock"),
    Group("A = B", "the same clip twice: it should come back"),
    Group("silence", "A or B is silent"),
    Group("shuffled A", "made from the A of another triplet: rhythm should fall to chance, harmony stay"),
    Group("shuffled B", "made from the B of another triplet: harmony should fall to chance, rhythm stay"),
    Group("real pairs", "recordings, of which nothing is known but how they sound"),
)


@dataclass(frozen=True)
class Case:
    """One blend to make and to score: a triplet, and the groups that it counts in."""

    name: str
    triplet: str
    groups: tuple[str, ...]
    clips: tuple[str, ...] = ()
    """Of a pair of a list: groove and harmony, which other pairs may have too."""

    @property
    def drawn_by(self) -> tuple[str, ...]:
        """What it shares with other cases: an interval draws those together."""
        return self.clips or (self.triplet,)


@dataclass(frozen=True)
class Gate:
    """A bar on one metric in one group: who passes (None: no value), and why it would be ill-posed."""

    name: str
    metric: str
    group: str
    rule: str
    passed: dict[str, bool | None]
    easy: tuple[str, ...] = ()
    """Rivals that pass with their whole interval."""
    ill_posed: str = ""
    """The reason, empty where the gate is sound."""


@dataclass(frozen=True)
class Change:
    """What a metric does when one of the clips is exchanged, beside what the truth does."""

    changed: Literal["A", "B"]
    metric: str
    wanted: Literal["falls", "stays"]
    before: float
    after: float
    truth_before: float
    truth_after: float
    passed: bool | None = None


@dataclass(frozen=True)
class LeakageCard:
    """Whether each clip of a model's decides what it should, and nothing else."""

    system: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Example:
    """A case to listen to: sound files by name (A, B, truth, systems), relative to the report's folder."""

    case: str
    title: str
    sounds: dict[str, str]


@dataclass(frozen=True)
class Report:
    """The results of a benchmark. Raises ValueError where a name is used that is not introduced."""

    title: str
    systems: tuple[System, ...]
    metrics: tuple[Metric, ...]
    cases: tuple[Case, ...]
    values: Values
    """By system, case, metric; what is not there could not be measured."""
    groups: tuple[Group, ...] = GROUPS
    gates: tuple[Gate, ...] = ()
    sets: Means = field(default_factory=dict)
    """Figures of whole sets of blends and not of cases, by group, system, metric."""
    leakage: tuple[LeakageCard, ...] = ()
    examples: tuple[Example, ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)
    """The command, the data set and the versions that made it."""
    seed: int = 0

    def __post_init__(self) -> None:
        systems, metrics, cases, groups = (
            _names(part) for part in (self.systems, self.metrics, self.cases, self.groups)
        )
        _known("system", {*self.values, *(c.system for c in self.leakage)}, systems)
        _known("system", {name for gate in self.gates for name in gate.passed}, systems)
        _known("case", {*(c for by in self.values.values() for c in by), *(e.case for e in self.examples)}, cases)
        _known("metric", {m for by in self.values.values() for one in by.values() for m in one}, metrics)
        _known("metric", {gate.metric for gate in self.gates}, metrics)
        of_sets = [(system, of) for by in self.sets.values() for system, of in by.items()]
        _known("system", {system for system, _ in of_sets}, systems)
        _known("metric", {metric for _, of in of_sets for metric in of}, metrics)
        _known("group", {*(g for c in self.cases for g in c.groups), *(gate.group for gate in self.gates)}, groups)

    @cached_property
    def means(self) -> Means:
        """By group, system, metric."""
        return {
            group.name: {s.name: {m.name: self._mean(group, s, m) for m in self.metrics} for s in self.systems}
            for group in self.groups
        }

    def _mean(self, group: Group, system: System, metric: Metric) -> Interval:
        if (of_set := self.sets.get(group.name, {}).get(system.name, {}).get(metric.name)) is not None:
            return of_set
        cases = [case for case in self.cases if group.name in case.groups]
        values = [self.value(system.name, case.name, metric.name) for case in cases]
        return bootstrap_interval(values, [case.drawn_by for case in cases], self.seed)

    def difference(self, group: str, system: str, other: str, metric: str) -> Interval:
        """Of two systems on the cases that both have a value of: what is hard for both counts in neither."""
        cases = [case for case in self.cases if group in case.groups]
        both = [(self.value(system, case.name, metric), self.value(other, case.name, metric)) for case in cases]
        values = [None if one is None or two is None else one - two for one, two in both]
        return bootstrap_interval(values, [case.drawn_by for case in cases], self.seed)

    @cached_property
    def differences(self) -> dict[str, Means]:
        """By group, model, other system, metric: the model less the other, in every group that holds something."""
        models = [s.name for s in self.systems if s.kind == "model"]
        return {
            group.name: {
                model: {
                    other.name: {m.name: self.difference(group.name, model, other.name, m.name) for m in self.metrics}
                    for other in self.systems
                    if other.name != model
                }
                for model in models
            }
            for group in self.filled_groups
        }

    def value(self, system: str, case: str, metric: str) -> float | None:
        """One value; None where it could not be measured."""
        return self.values.get(system, {}).get(case, {}).get(metric)

    @property
    def filled_groups(self) -> tuple[Group, ...]:
        """The groups in which something was measured."""
        return tuple(g for g in self.groups if any(m.cases for s in self.means[g.name].values() for m in s.values()))

    def gate(self, group: str, metric: str) -> Gate | None:
        """The gate on a metric in a group, if there is one."""
        return next((gate for gate in self.gates if (gate.group, gate.metric) == (group, metric)), None)


def _names(parts: Iterable[Any]) -> list[str]:
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        raise ValueError(f"a name stands twice in {names}")
    return names


def _known(what: str, used: set[str], introduced: list[str]) -> None:
    if strangers := sorted(used - set(introduced)):
        raise ValueError(f"no {what} is called {', '.join(strangers)}; there are {', '.join(introduced)}")


def to_json(report: Report) -> str:
    """The report with its means, in one order whatever the order of its making: equal reports, equal bytes."""
    body = asdict(report)
    body["values"] = {
        s.name: {
            c.name: {m.name: _finite(report.value(s.name, c.name, m.name)) for m in report.metrics}
            for c in report.cases
        }
        for s in report.systems
    }
    for gate in body["gates"]:
        gate["passed"] = {s.name: gate["passed"][s.name] for s in report.systems if s.name in gate["passed"]}
    means = {g: {s: {m: asdict(i) for m, i in by.items()} for s, by in of.items()} for g, of in report.means.items()}
    differences = {
        group: {
            model: {other: {m: asdict(i) for m, i in of.items() if i.cases} for other, of in by.items()}
            for model, by in models.items()
        }
        for group, models in report.differences.items()
    }
    provenance = dict(sorted(report.provenance.items()))
    told = {"format": FORMAT, **body, "provenance": provenance, "means": means, "differences": differences}
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError("a value is not finite; one that could not be measured is None")
    return None if value is None else float(value)


def from_json(text: str) -> Report:
    """The report that `to_json` wrote; its means are made again. Raises BadInput for anything else."""
    try:
        body = json.loads(text)
        if body.pop("format") != FORMAT:
            raise KeyError("format")
        del body["means"]
        body.pop("differences", None)  # made again too
        for name, part in (("systems", System), ("metrics", Metric), ("groups", Group)):
            body[name] = tuple(part(**one) for one in body[name])
        body["examples"] = tuple(Example(**one) for one in body["examples"])
        body["cases"] = tuple(
            Case(**{**one, **{name: tuple(one.get(name, ())) for name in ("groups", "clips")}}) for one in body["cases"]
        )
        body["gates"] = tuple(Gate(**{**one, "easy": tuple(one["easy"])}) for one in body["gates"])
        body["sets"] = {
            group: {system: {m: Interval(**i) for m, i in of.items()} for system, of in by.items()}
            for group, by in body["sets"].items()
        }
        body["leakage"] = tuple(
            LeakageCard(one["system"], tuple(Change(**change) for change in one["changes"])) for one in body["leakage"]
        )
        return Report(**body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"not a report of format {FORMAT}: {error}") from None


def write(report: Report, path: str | Path) -> None:
    """Writes report.json: aside, then renamed."""
    disk.write_text(path, to_json(report))


def read(path: str | Path) -> Report:
    """Reads report.json. Raises BadInput where it is missing or something else."""
    try:
        return from_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
