"""The parts of the page that are there without a script: tables, gates, leakage cards, players, glossary."""

from collections.abc import Sequence

from powermuse.benchmark import charts, gates, tables
from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.markup import Markup, element, join
from powermuse.benchmark.players import Player
from powermuse.benchmark.results import TRUTH, Change, Example, Gate, Group, LeakageCard, Metric, Report, System

KEYS = "1234567890qwertyuiop"
"""One key each for the sounds of a row."""
_KINDS = {"model": "model", "baseline": "rival", "reference": "right answer", "floor": "chance"}
_BETTER = {"up": "More is better", "down": "Less is better", "truth": "Best is what the truth has"}
_MARKS = {"pass": "✓ passes", "fail": "✗ fails", "ill-posed": "? ill-posed gate"}


def group_switch(report: Report) -> Markup:
    """One radio button for each group that holds something."""
    choices = [
        element(
            "label",
            element("input", type="radio", name="group", value=group.name, checked=k == 0),
            element("span", group.name),
            title=group.meaning,
        )
        for k, group in enumerate(report.filled_groups)
    ]
    return element("fieldset", element("legend", "Cases"), *choices, class_="switch", id="groups")


def result_tables(report: Report) -> Markup:
    """A table for each group; a script shows one at a time."""
    return join(*(_result_table(report, group) for group in report.filled_groups))


def _result_table(report: Report, group: Group) -> Markup:
    means = report.means[group.name]
    scales = {m.name: charts.span([means[s.name][m.name] for s in report.systems]) for m in report.metrics}
    heads = [_head("system", "", 0), *(_metric_head(m, k + 1) for k, m in enumerate(report.metrics))]
    rows = [
        element(
            "tr", _system_cell(system, k), *(_cell(report, group, system, m, scales[m.name]) for m in report.metrics)
        )
        for k, system in enumerate(report.systems)
    ]
    return element(
        "section",
        element("h3", group.name),
        element("p", f"{_sentence(group.meaning)} {tables.caption(report, group.name)}", class_="note"),
        element(
            "div",
            element("table", element("thead", element("tr", *heads)), element("tbody", *rows)),
            class_="scroll", tabindex=0, role="region", aria_label=f"Results: {group.name}",
        ),
        class_="group", data_group=group.name,
    )  # fmt: skip


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _head(text: str, arrow: str, column: int, title: str | None = None) -> Markup:
    button = element("button", text, element("span", arrow, class_="arrow"), type="button", title=title)
    return element("th", button, scope="col", data_column=column, aria_sort="none")


def _metric_head(metric: Metric, column: int) -> Markup:
    unit = f" ({metric.unit})" if metric.unit else ""
    return _head(metric.name + unit, f" {tables.ARROWS[metric.better]}", column, metric.meaning)


def _system_cell(system: System, place: int) -> Markup:
    kind = element("span", _KINDS[system.kind], class_=f"kind {system.kind}")
    return element(
        "th", element("b", system.name), kind, scope="row", title=system.description or None, data_sort=place
    )


def _cell(report: Report, group: Group, system: System, metric: Metric, scale: tuple[float, float]) -> Markup:
    interval = report.means[group.name][system.name][metric.name]
    truth = report.means[group.name][TRUTH][metric.name].mean if TRUTH in report.means[group.name] else None
    mark = tables.mark(report, group.name, metric.name, system.name)
    if interval.mean is None:
        return element("td", "–", element("span", " not measured", class_="hidden-text"), class_="empty", data_sort="")
    said = element("span", _MARKS[mark][0], class_="mark", title=_MARKS[mark]) if mark else None
    value = element("b", tables.number(interval.mean, metric))
    ends = [None if end is None else tables.number(end, metric) for end in (interval.low, interval.high)]
    spread = None if None in ends else element("small", f"{ends[0]} to {ends[1]}")
    lost = element("small", f"{interval.missing} not scored", class_="lost") if interval.missing else None
    return element(
        "td", value, said, charts.whisker(interval, scale, truth), spread, lost,
        class_=mark or None, data_sort=f"{_rank(interval, metric, truth):.9g}",
    )  # fmt: skip


def _rank(interval: Interval, metric: Metric, truth: float | None) -> float:
    """Smaller is better."""
    value = interval.mean or 0.0
    if metric.better == "truth":
        return abs(value - truth) if truth is not None else value
    return -value if metric.better == "up" else value


def gate_table(report: Report) -> Markup:
    """Every gate with its rule, who passes it, and what it is worth."""
    if not report.gates:
        return element("p", "No gates were set.", class_="note")
    groups = [g.name for g in report.filled_groups if any(gate.group == g.name for gate in report.gates)]
    return join(*(_gates_of(report, name) for name in groups))


def _gates_of(report: Report, group: str) -> Markup:
    set_here = [gate for gate in report.gates if gate.group == group]
    heads = [
        element("th", text, scope="col") for text in ("system", *(g.name for g in set_here), "well-posed gates passed")
    ]
    rows = [element("tr", *_verdicts(report, group, set_here, system)) for system in report.systems]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="gates")
    region = element("div", table, class_="scroll", tabindex=0, role="region", aria_label=f"Gates: {group}")
    rules = _pairs([(gate.name, _rule(gate)) for gate in set_here])
    return element("section", element("h3", group), rules, region, class_="group", data_group=group)


def _rule(gate: Gate) -> str:
    ill_posed = f" Ill-posed: {gate.ill_posed}." if gate.ill_posed else ""
    easy = f" Passed with ease by {', '.join(gate.easy)}." if gate.easy else ""
    return f"{gate.metric} {gate.rule}.{ill_posed}{easy}"


def _verdicts(report: Report, group: str, set_here: Sequence[Gate], system: System) -> list[Markup]:
    cells = [element("th", element("b", system.name), scope="row")]
    for gate in set_here:
        passed = gate.passed.get(system.name)
        kind = "" if passed is None else "ill-posed" if gate.ill_posed else "pass" if passed else "fail"
        text, said = {None: ("–", "not measured"), True: ("✓", "passes"), False: ("✗", "fails")}[passed]
        cells.append(element("td", text, element("span", f" {said}", class_="hidden-text"), class_=kind or None))
    done, well_posed = gates.passes_all(report, system.name, group)
    return [*cells, element("td", f"{done} of {well_posed}", class_="total")]


def leakage_cards(cards: Sequence[LeakageCard]) -> Markup:
    """What moves when only A, and when only B, is exchanged."""
    if not cards:
        return element("p", "No model was looked at.", class_="note")
    return join(*(_card(card) for card in cards))


def _card(card: LeakageCard) -> Markup:
    changes = element("div", *(_change(change) for change in card.changes), class_="changes")
    return element("article", element("h3", card.system), changes, class_="card")


def _change(change: Change) -> Markup:
    kind = {True: "pass", False: "fail", None: ""}[change.passed]
    said = element("span", _MARKS[kind], class_="mark") if kind else None
    wanted = "should fall to chance" if change.wanted == "falls" else "should stay"
    return element(
        "figure",
        element("figcaption", element("b", f"Only {change.changed} changes"), f"{change.metric} {wanted}"),
        charts.slope(change),
        element("p", f"{change.before:.2f} → {change.after:.2f}", said),
        element("p", f"truth {change.truth_before:.2f} → {change.truth_after:.2f}", class_="note"),
        class_=kind or None,
    )  # fmt: skip


def example(one: Example, row: int, sounds: dict[str, Player]) -> Markup:
    """A case with its sounds; one key each."""
    cards = [_player(name, player, row, k) for k, (name, player) in enumerate(sounds.items())]
    seconds = max(player.seconds for player in sounds.values())
    slider = element(
        "input", type="range", min=0, max=f"{seconds:.2f}", step="0.01", value=0, class_="position"
    )  # fmt: skip
    position = element("label", "Position", slider)
    return element(
        "article", element("h3", one.title or one.case), position, element("div", *cards, class_="players"),
        class_="example", data_row=row, data_case=one.case, tabindex=-1,
    )  # fmt: skip


def _player(name: str, player: Player, row: int, place: int) -> Markup:
    key = KEYS[place] if place < len(KEYS) else ""
    label = element("span", element("kbd", key) if key else None, f" {name}", class_="name")
    picture = element("span", element("img", src=player.picture, alt=""), element("i"), class_="picture")
    button = element(
        "button", label, picture, type="button", aria_pressed="false", aria_label=f"Play {name}",
        aria_keyshortcuts=key or None,
    )  # fmt: skip
    audio = element("audio", src=player.sound, preload="metadata", controls=True, aria_label=name, data_name=name)
    return element("div", button, audio, class_="player", data_key=key, id=f"sound-{row}-{place}")


def glossary(report: Report) -> Markup:
    """What each system is and what each metric means."""
    systems = [(s.name, f"{_KINDS[s.kind]}: {s.description or 'no description'}") for s in report.systems]
    metrics = [(m.name, _explained(m)) for m in report.metrics]
    return join(_details("What each measure means", metrics), _details("What each system is", systems))


def _explained(metric: Metric) -> str:
    unit = f" In {metric.unit}." if metric.unit else ""
    reader = f" Read by {metric.reader}." if metric.reader else ""
    return f"{_sentence(metric.meaning.rstrip('.'))}{unit} {_BETTER[metric.better]}.{reader}"


def _details(title: str, rows: Sequence[tuple[str, str]]) -> Markup:
    return element("details", element("summary", title), _pairs(rows))


def _pairs(rows: Sequence[tuple[str, str]]) -> Markup:
    return element("dl", *(join(element("dt", name), element("dd", text)) for name, text in rows))


def provenance(report: Report) -> Markup:
    """Where it came from."""
    return _pairs(sorted(report.provenance.items()))
