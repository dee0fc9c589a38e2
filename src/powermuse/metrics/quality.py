"""Whether a blend sounds like a recording, whatever is played.

Fréchet distance of Gaussians fitted to embeddings of real and of made music (Heusel et al. 2017; Kilgour et al., FAD,
Interspeech 2019), >= 0, in the units of the embedding squared. It falls with the number of windows: compare sets of
equal size only, and not below some sixteen windows a dimension. Dimensions are the principal ones of the reference.
Spectral flux and 90 % roll-off show blur and missing treble: compare them with the reference's, neither has a best
value of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MAX_DIMENSIONS = 64
ROLLOFF = 0.9


class Spread(NamedTuple):
    """A distance with its bootstrap 95 % interval."""

    value: float
    low: float
    high: float


def validate(reference_ND: np.ndarray, estimated_ND: np.ndarray) -> None:
    """Raises ValueError unless both are [N, D], finite, of one N and D, N > 1."""
    if reference_ND.ndim != 2 or reference_ND.shape != estimated_ND.shape or len(reference_ND) < 2:
        raise ValueError(f"two sets of equal size [N, D] are wanted, not {reference_ND.shape}, {estimated_ND.shape}")
    if not (np.isfinite(reference_ND).all() and np.isfinite(estimated_ND).all()):
        raise ValueError("the embeddings hold values that are not finite")


def principal(reference_ND: np.ndarray, dimensions: int = MAX_DIMENSIONS) -> np.ndarray:
    """Directions [D, d] of the largest variance in the reference, d at most `dimensions`."""
    centred = reference_ND - reference_ND.mean(axis=0)
    return np.linalg.svd(centred, full_matrices=False)[2][:dimensions].T


def frechet(reference_ND: np.ndarray, estimated_ND: np.ndarray) -> float:
    """|mean difference|^2 + tr(C_r + C_e - 2 (C_r C_e)^1/2). The trace of the root is the sum of the roots of the
    eigenvalues of C_r^1/2 C_e C_r^1/2, which is symmetric: nothing complex appears."""
    validate(reference_ND, estimated_ND)
    gap_D = reference_ND.mean(axis=0) - estimated_ND.mean(axis=0)
    of_reference, of_estimated = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (reference_ND, estimated_ND))
    values, vectors = np.linalg.eigh(of_reference)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ of_estimated @ root), 0.0)).sum()
    return float(max(0.0, gap_D @ gap_D + np.trace(of_reference) + np.trace(of_estimated) - 2 * shared))


def evaluate(
    reference: Sequence[np.ndarray], estimated: Sequence[np.ndarray], seed: int = 0, rounds: int = 200
) -> Spread:
    """Distance of two sets of clips, each clip's windows [n, D] one entry, with a bootstrap over entries (triplets):
    windows of one clip are not independent. Both sets are drawn anew, alike where they are equally many. A drawn set
    holds fewer clips and so lies farther off: the interval is that of the draws about their mean, around the value."""
    directions = principal(np.concatenate(reference))
    real, made = ([x @ directions for x in clips] for clips in (reference, estimated))
    value = frechet(np.concatenate(real), np.concatenate(made))
    random, drawn = np.random.default_rng(seed), []
    for _ in range(rounds):
        chosen = random.integers(len(made), size=len(made))
        pool = chosen if len(real) == len(made) else random.integers(len(real), size=len(real))
        one, other = np.concatenate([real[k] for k in pool]), np.concatenate([made[k] for k in chosen])
        least = min(len(one), len(other))
        drawn.append(frechet(one[:least], other[:least]))
    low, high = np.quantile(np.array(drawn) - np.mean(drawn), (0.025, 0.975))
    return Spread(value, max(0.0, value + float(low)), value + float(high))


def flux(magnitude_FT: np.ndarray) -> float:
    """Mean rise of the magnitude from frame to frame over the mean magnitude, >= 0: 0 for a steady tone, about .33 for
    white noise. Blur over time lowers it."""
    level = float(magnitude_FT.mean())
    return float(np.maximum(np.diff(magnitude_FT, axis=1), 0.0).mean()) / level if level > 1e-9 else 0.0


def rolloff_hz(magnitude_FT: np.ndarray, sample_rate_hz: int) -> float:
    """Frequency below which 90 % of the energy of the clip lies; 0 in silence."""
    rising_F = np.cumsum(np.square(magnitude_FT, dtype=np.float64).sum(axis=1))
    if not len(rising_F) or rising_F[-1] <= 1e-12:
        return 0.0
    return float(np.searchsorted(rising_F, ROLLOFF * rising_F[-1])) * sample_rate_hz / 2 / (len(rising_F) - 1)
