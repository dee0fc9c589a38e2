"""What is read of a blend by packages that are not part of the core."""

import numpy as np

from powermuse.metrics.score import Case, Score


def embedding(blend_N: np.ndarray) -> np.ndarray | None:
    return None


def judged(case: Case, truth: int | None) -> Score:
    return {}
