"""Small pictures inside the page, as SVG in the colours of the text."""

from collections.abc import Sequence

from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.markup import Markup, element
from powermuse.benchmark.results import Change

_WIDTH, _HEIGHT = 84, 10
_EDGE = 4
_SLOPE_WIDTH, _SLOPE_HEIGHT = 120, 64


def span(intervals: Sequence[Interval]) -> tuple[float, float]:
    """The range that holds all of them, never empty."""
    ends = [end for i in intervals for end in (i.mean, i.low, i.high) if end is not None]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def whisker(interval: Interval, scale: tuple[float, float], truth: float | None) -> Markup:
    """An interval as a line, its mean as a dot, the truth's mean as a dashed line; on the scale of its column."""
    if interval.mean is None:
        return Markup("")

    def x(value: float) -> str:
        share = (value - scale[0]) / (scale[1] - scale[0])
        return f"{_EDGE + share * (_WIDTH - 2 * _EDGE):.1f}"

    middle = _HEIGHT // 2
    parts: list[Markup] = []
    if truth is not None:
        parts.append(element("line", x1=x(truth), x2=x(truth), y1=0, y2=_HEIGHT, class_="truth-tick"))
    if interval.low is not None and interval.high is not None:
        parts.append(element("line", x1=x(interval.low), x2=x(interval.high), y1=middle, y2=middle))
    parts.append(element("circle", cx=x(interval.mean), cy=middle, r=3))
    return element(
        "svg", *parts, class_="whisker", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH, height=_HEIGHT,
        aria_hidden="true",
    )  # fmt: skip


def slope(change: Change) -> Markup:
    """Before and after an exchange: the model's line, the truth's dashed."""
    low, high = span([Interval(v, None, None, 1, 0) for v in (0.0, 1.0, change.before, change.after, *_truth(change))])

    def point(value: float, side: int) -> tuple[str, str]:
        y = 6 + (high - value) / (high - low) * (_SLOPE_HEIGHT - 12)
        return str(10 + side * (_SLOPE_WIDTH - 20)), f"{y:.1f}"

    def line(before: float, after: float, kind: str) -> list[Markup]:
        (x1, y1), (x2, y2) = point(before, 0), point(after, 1)
        ends = [element("circle", cx=x, cy=y, r=3, class_=kind) for x, y in ((x1, y1), (x2, y2))]
        return [element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind), *ends]

    ours, truths = (f"{b:.2f} to {a:.2f}" for b, a in ((change.before, change.after), _truth(change)))
    said = f"{change.metric}: {ours}; truth {truths}"
    return element(
        "svg",
        *line(*_truth(change), "truth-line"),
        *line(change.before, change.after, "model-line"),
        class_="slope", viewBox=f"0 0 {_SLOPE_WIDTH} {_SLOPE_HEIGHT}", width=_SLOPE_WIDTH, height=_SLOPE_HEIGHT,
        role="img", aria_label=said,
    )  # fmt: skip


def _truth(change: Change) -> tuple[float, float]:
    return change.truth_before, change.truth_after
