"""How sure a mean is: bootstrap over triplets, because the cases of one triplet are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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


def bootstrap_interval(values: Sequence[float | None], triplets: Sequence[str], seed: int = 0) -> Interval:
    """The mean of the values that are there, with the percentile interval of 4,000 resamples of whole triplets (Efron
    & Tibshirani 1993, ch. 13). One seed gives every system the same resamples."""
    known = [(value, name) for value, name in zip(values, triplets, strict=True) if value is not None]
    missing = len(values) - len(known)
    if not known:
        return Interval(None, None, None, 0, missing)
    values_N = np.array([value for value, _ in known])
    if not np.isfinite(values_N).all():
        raise ValueError("values must be finite; one that could not be measured is None")
    _, member_N = np.unique([name for _, name in known], return_inverse=True)
    sums, counts = np.bincount(member_N, weights=values_N), np.bincount(member_N)
    mean = float(values_N.mean())
    if len(sums) < 2:
        return Interval(mean, None, None, len(known), missing)
    drawn = _drawn(len(sums), seed)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), _TAILS)
    return Interval(mean, float(low), float(high), len(known), missing)


@lru_cache(maxsize=64)
def _drawn(triplets: int, seed: int) -> np.ndarray:
    """How often each triplet is drawn in each resample, [4000, triplets]."""
    random = np.random.default_rng(seed)
    return random.multinomial(triplets, np.full(triplets, 1.0 / triplets), size=_RESAMPLES).astype(np.float64)
