"""How near the pitch content of two clips is, frame by frame.

Mean over frames of the cosine of two chromas, in [0, 1], null-corrected: 1 for the same notes at the same moments,
about 0 for others. Use it towards the **truth**. Towards the harmony clip it rewards keeping that clip's own timing:
percussive A with harmonic B scores .98 there and the right answer .43, so it is reported and never aimed at. Cosines of
chromas averaged over time say nothing (noise has .95). The bass alone may be compared the same way.
"""

import numpy as np

from powermuse.metrics import nulls


def validate(chroma_PT: np.ndarray) -> None:
    """Raises ValueError unless `chroma_PT` is [12, T], finite, and nowhere negative."""
    if chroma_PT.ndim != 2 or len(chroma_PT) != 12 or not np.isfinite(chroma_PT).all() or (chroma_PT < 0).any():
        raise ValueError(f"a chroma [12, T] of finite values >= 0 is wanted, not shape {chroma_PT.shape}")


def chroma_similarity(blend_PT: np.ndarray, other_PT: np.ndarray) -> float:
    """Mean cosine over the frames at which either sounds; a frame at which only one sounds counts 0."""
    a, b = np.linalg.norm(blend_PT, axis=0), np.linalg.norm(other_PT, axis=0)
    heard = (a > 0) | (b > 0)
    if not heard.any():
        return 0.0
    cosine_T = (blend_PT * other_PT).sum(axis=0) / np.maximum(a * b, 1e-12)
    return float(cosine_T[heard].mean())


def evaluate(
    blend_PT: np.ndarray, other_PT: np.ndarray, other_onsets_T: np.ndarray, frame_rate_hz: float
) -> float | None:
    """Null-corrected similarity of two chromas on the clock of `other_onsets_T`; None where the other repeats itself or
    hardly changes, so that chance leaves no room."""
    validate(blend_PT)
    validate(other_PT)
    return nulls.evaluate(chroma_similarity, blend_PT, other_PT, other_onsets_T, frame_rate_hz)
