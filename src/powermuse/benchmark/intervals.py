"""How sure a mean is: bootstrap over triplets or clips, because the cases that share one are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

_RESAMPLES = 4000
_TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval; all None where no case has a value, no interval from one triplet."""

    mean: float | None
    low: float | None
    high: float | None
    cases: int
    """Cases with a value."""
    missing: int
    """Cases that could not be scored."""


def bootstrap_interval(values: Sequence[float | None], drawn_by: Sequence[tuple[str, ...]], seed: int = 0) -> Interval:
    """The mean of the values that are there, with the percentile interval of 4,000 resamples (Efron & Tibshirani 1993,
    ch. 13). One seed gives every system the same resamples.

    `drawn_by` names what each case is made of: what several cases share is drawn with all of them. Of a triplet that is
    its name; of a pair groove and harmony, each drawn by itself where both come again (Owen, Annals of Applied
    Statistics 1, 2007), the pair as a whole where neither does.
    """
    known = [(value, names) for value, names in zip(values, drawn_by, strict=True) if value is not None]
    missing = len(values) - len(known)
    if not known:
        return Interval(None, None, None, 0, missing)
    values_N = np.array([value for value, _ in known])
    if not np.isfinite(values_N).all():
        raise ValueError("values must be finite; one that could not be measured is None")
    mean = float(values_N.mean())
    weights_RN = _weights(tuple(names for _, names in known), seed)
    if weights_RN is None:
        return Interval(mean, None, None, len(known), missing)
    total_R = weights_RN.sum(axis=1)
    drawn_R = (weights_RN @ values_N)[total_R > 0] / total_R[total_R > 0]
    low, high = np.quantile(drawn_R, _TAILS)
    return Interval(mean, float(low), float(high), len(known), missing)


@lru_cache(maxsize=16)
def _weights(names: tuple[tuple[str, ...], ...], seed: int) -> np.ndarray | None:
    """How often each case counts in each resample, [4000, cases]; None where there is but one thing to draw."""
    if len(set(names)) < 2:
        return None
    shared = [way for way in zip(*names, strict=True) if 1 < len(set(way)) < len(way)]
    ways: list[tuple[Any, ...]] = shared or [names]
    weights_RN = np.ones((_RESAMPLES, len(names)))
    for k, way in enumerate(ways):
        place = {name: i for i, name in enumerate(dict.fromkeys(way))}
        weights_RN *= _drawn(len(place), seed + k)[:, [place[name] for name in way]]
    return weights_RN


@lru_cache(maxsize=64)
def _drawn(count: int, seed: int) -> np.ndarray:
    """How often each of so many is drawn in each resample, [4000, count]."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1.0 / count), size=_RESAMPLES).astype(np.float64)
