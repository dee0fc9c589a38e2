"""Every model less every other system, case by case: all play the same triplets, and what is hard for both counts in
neither. So two can be told apart whose intervals overlap."""

from collections.abc import Iterator

from powermuse.benchmark import tables
from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.markup import Markup, element, join
from powermuse.benchmark.results import Group, Metric, Report


def sections(report: Report) -> Markup:
    """A table for each group, which the switch of the results shows; a note where there is no model."""
    if not any(report.differences.values()):
        return element("p", "No model was evaluated.", class_="note")
    return join(*(_section(report, group) for group in report.filled_groups))


def markdown(report: Report, group: str) -> str:
    """The same for a README; sure differences, whose interval does not hold 0, are bold. Empty without a model."""
    lines = [
        tables.line([f"{model} − {other}", *(_bold(interval, metric) for metric, interval in of)])
        for model, other, of in _rows(report, group)
    ]
    if not lines:
        return ""
    heads = [tables.line(["difference", *(m.name for m in report.metrics)])]
    return "\n".join([*heads, tables.line(["---", *("---:" for _ in report.metrics)]), *lines, ""])


def is_sure(interval: Interval) -> bool:
    """Whether the interval of a difference does not hold 0."""
    return interval.low is not None and interval.high is not None and (interval.low > 0.0 or interval.high < 0.0)


def _section(report: Report, group: Group) -> Markup:
    heads = [element("th", text, scope="col") for text in ("model − other", *(m.name for m in report.metrics))]
    rows = [
        element("tr", element("th", f"{model} − {other}", scope="row"), *(_cell(*each) for each in of))
        for model, other, of in _rows(report, group.name)
    ]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="differences")
    about = f"Differences: {group.name}"
    return element(
        "section",
        element("h3", group.name),
        element("div", table, class_="scroll", tabindex=0, role="region", aria_label=about),
        class_="group",
        data_group=group.name,
    )


def _rows(report: Report, group: str) -> Iterator[tuple[str, str, list[tuple[Metric, Interval]]]]:
    """Pairs of a model and another system that have something measured in common."""
    for model, others in report.differences[group].items():
        for other, found in others.items():
            if any(interval.cases for interval in found.values()):
                yield model, other, [(metric, found[metric.name]) for metric in report.metrics]


def _cell(metric: Metric, interval: Interval) -> Markup:
    if interval.mean is None:
        return element("td", "–", class_="empty")
    ends = [None if end is None else tables.number(end, metric) for end in (interval.low, interval.high)]
    spread = None if None in ends else element("small", f"{ends[0]} to {ends[1]}")
    return element("td", element("b" if is_sure(interval) else "span", tables.number(interval.mean, metric)), spread)


def _bold(interval: Interval, metric: Metric) -> str:
    told = tables.figure(interval, metric)
    return f"**{told}**" if is_sure(interval) else told
