"""A blind listening test inside the page: which trials, in which order. The page itself is assets/listening.js.

ABX (Clark, JAES 30, 1982): X is A or B, which? Ratings after MUSHRA (ITU-R BS.1534-3): all systems of a case on one
screen from 0 to 100, among them, unnamed, the truth and as an anchor the plain mix.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from powermuse import chance
from powermuse.benchmark.results import TRUTH, Example, Report

ANCHOR = "plain mix"


@dataclass(frozen=True)
class Listening:
    """The settings of a listening test."""

    seed: int = 0
    abx_trials: int = 8
    most_rated: int = 8
    """Systems on one rating screen."""


def plan(report: Report, examples: Sequence[Example], settings: Listening) -> dict[str, Any]:
    """All trials in their order, with the names that the page keeps to itself until the end."""
    return {
        "title": report.title,
        "seed": settings.seed,
        "reference": TRUTH,
        "anchor": ANCHOR,
        "abx": _abx(report, examples, settings),
        "ratings": _ratings(report, examples, settings),
    }


def _abx(report: Report, examples: Sequence[Example], settings: Listening) -> list[dict[str, str]]:
    """Pairs that should be hard to tell apart: right answers against the truth, models against it and each other."""
    random = _random(settings, "abx")
    asked = [{"case": e.case, "pair": pair} for e in examples for pair in _pairs(report, e)]
    trials = []
    for k in random.permutation(len(asked))[: settings.abx_trials]:
        pair = [asked[k]["pair"][i] for i in random.permutation(2)]
        trials.append({"case": str(asked[k]["case"]), "one": pair[0], "other": pair[1], "x": pair[random.integers(2)]})
    return trials


def _pairs(report: Report, example: Example) -> Iterator[tuple[str, str]]:
    right = [s.name for s in report.systems if s.kind in ("reference", "model") and s.name in example.sounds]
    return combinations(sorted(right, key=lambda name: name != TRUTH), 2)


def _ratings(report: Report, examples: Sequence[Example], settings: Listening) -> list[dict[str, Any]]:
    random = _random(settings, "ratings")
    screens = []
    for k in random.permutation(len(examples)):
        rated = _rated(report, examples[k], settings.most_rated)
        screens.append({"case": examples[k].case, "systems": [rated[i] for i in random.permutation(len(rated))]})
    return screens


def _rated(report: Report, example: Example, most: int) -> list[str]:
    """Truth, anchor and models first, then as many others as there is room for."""
    kinds = {s.name: s.kind for s in report.systems}
    names = [name for name in example.sounds if name in kinds]
    return sorted(
        names, key=lambda name: (name not in (TRUTH, ANCHOR), kinds[name] != "model", kinds[name] == "floor")
    )[:most]


def _random(settings: Listening, what: str) -> np.random.Generator:
    return np.random.default_rng(chance.number(f"listening/{settings.seed}/{what}"))
