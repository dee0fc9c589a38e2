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
        "reference": TRUTH if any(TRUTH in example.sounds for example in examples) else None,
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
    for place, k in enumerate(random.permutation(len(examples))):
        rated = _rated(report, examples[k], settings.most_rated, place)
        screens.append({"case": examples[k].case, "systems": [rated[i] for i in random.permutation(len(rated))]})
    return screens


def _rated(report: Report, example: Example, most: int, place: int) -> list[str]:
    """Truth and anchor, the models, then others as far as there is room; where there is none for all, those whose turn
    it is on the screen in this `place`."""
    kinds = {s.name: s.kind for s in report.systems}
    names = [name for name in example.sounds if name in kinds]
    always = [name for name in names if name in (TRUTH, ANCHOR)]
    models = [name for name in names if kinds[name] == "model"]
    others = sorted((name for name in names if name not in {*always, *models}), key=lambda name: kinds[name] == "floor")
    for more in (models, others):
        room = most - len(always)
        first = place * room if 0 < room < len(more) else 0
        always += [more[(first + i) % len(more)] for i in range(min(room, len(more)))]
    return always


def _random(settings: Listening, what: str) -> np.random.Generator:
    return np.random.default_rng(chance.number(f"listening/{settings.seed}/{what}"))
