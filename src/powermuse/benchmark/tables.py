"""The results as a table: for the terminal and for a README."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.results import ALL, Metric, Report, System

ARROWS = {"up": "↑", "down": "↓", "truth": "≈"}
"""What is better: more, less, or as much as the truth has."""
_ENDLESS = 10_000
_COLOURS = {"pass": "green", "fail": "red", "ill-posed": "yellow", "": "default"}
_MARKS = {"pass": " ✓", "fail": " ✗", "ill-posed": " ?", "": ""}


def table(report: Report, group: str = ALL, only: Sequence[str] | None = None) -> Table:
    """Systems by metrics (`only` those named) with intervals, for rich; passed gates green, failed ones red."""
    metrics = _metrics(report, only)
    shown = Table(title=f"{report.title}: {group}", caption=caption(report, group, only))
    shown.add_column("system", no_wrap=True)
    for metric in metrics:
        shown.add_column(escape(f"{metric.name} {ARROWS[metric.better]}"), justify="right", no_wrap=True)
    for system, cells in _rows(report, group, metrics):
        coloured = [f"[{_COLOURS[mark]}]{escape(text)}{_MARKS[mark]}[/]" for text, mark in cells]
        shown.add_row(escape(system.name), *coloured)
    return shown


def fitting(report: Report, group: str, only: Sequence[str], within: int | None) -> list[Table]:
    """The same in as many tables as it takes for each to fit within so many characters; in one for None."""
    names = [metric.name for metric in _metrics(report, only)]
    parts: list[list[str]] = [names[:1]]
    for name in names[1:]:
        wider = [*parts[-1], name]
        if within is not None and width(table(report, group, wider)) > within:
            parts.append([name])
        else:
            parts[-1] = wider
    return [table(report, group, part) for part in parts]


def width(shown: Table) -> int:
    """Characters that a table takes where nothing of it is cut."""
    console = Console(width=_ENDLESS)
    return Measurement.get(console, console.options, shown).maximum


def markdown(report: Report, group: str = ALL, only: Sequence[str] | None = None) -> str:
    """The same for a README."""
    metrics = _metrics(report, only)
    heads = ["system", *(f"{m.name} {ARROWS[m.better]}" for m in metrics)]
    lines = [line(heads), line(["---", *("---:" for _ in metrics)])]
    for system, cells in _rows(report, group, metrics):
        lines.append(line([system.name, *(text + _MARKS[mark] for text, mark in cells)]))
    return "\n".join([*lines, "", caption(report, group, only), ""])


def caption(report: Report, group: str, only: Sequence[str] | None = None) -> str:
    """What the figures are: cases, also where some system has fewer of them, interval, and who read chords, notes or
    beats."""
    cases = [case for case in report.cases if group in case.groups]
    triplets = len({case.triplet for case in cases})
    readers: dict[str, list[str]] = {}
    for metric in _metrics(report, only):
        if metric.reader:
            readers.setdefault(metric.reader, []).append(metric.name)
    told = [f"{', '.join(names)} read by {reader}" for reader, names in readers.items()]
    start = f"{len(cases)} cases of {triplets} triplets; mean and 95 % interval"
    return "; ".join([start, *_fewer(report, group, only, len(cases)), *told]) + "."


def _fewer(report: Report, group: str, only: Sequence[str] | None, cases: int) -> list[str]:
    found: dict[int, list[str]] = {}
    for metric in _metrics(report, only):
        counts = [of[metric.name].cases for of in report.means[group].values() if metric.name in of]
        least = min((count for count in counts if count), default=cases)
        if least < cases:
            found.setdefault(least, []).append(metric.name)
    return [f"{least} of some system: {', '.join(names)}" for least, names in sorted(found.items())]


def mark(report: Report, group: str, metric: str, system: str) -> str:
    """pass, fail, ill-posed, or nothing where no gate speaks of it."""
    gate = report.gate(group, metric)
    passed = gate.passed.get(system) if gate else None
    if gate is None or passed is None:
        return ""
    return "ill-posed" if gate.ill_posed else "pass" if passed else "fail"


def figure(interval: Interval, metric: Metric) -> str:
    """0.81 [0.78, 0.84]; a dash where nothing was measured."""
    if interval.mean is None:
        return "–"
    text = number(interval.mean, metric)
    if interval.low is None or interval.high is None:
        return text
    return f"{text} [{number(interval.low, metric)}, {number(interval.high, metric)}]"


def number(value: float, metric: Metric) -> str:
    """With the digits that the metric is given in; never a negative zero."""
    return f"{round(value, metric.digits) + 0.0:.{metric.digits}f}"


def _metrics(report: Report, only: Sequence[str] | None) -> list[Metric]:
    return [metric for metric in report.metrics if only is None or metric.name in only]


def _rows(report: Report, group: str, metrics: Sequence[Metric]) -> Iterator[tuple[System, list[tuple[str, str]]]]:
    for system in report.systems:
        means = report.means[group][system.name]
        yield system, [(figure(means[m.name], m), mark(report, group, m.name, system.name)) for m in metrics]


def line(cells: list[str]) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"
