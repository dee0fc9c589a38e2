"""Whether a blend points the way its sources do: 0 is new, 1 a copy.

Mean over frames of |cosine| to groove and to harmony, halved, as the training loss has it (`losses.novelty`), here on
log mel spectra less the mean of each band over both sources, so that it needs no codec. Weakness: it asks that nothing
be shared, where a right answer shares rhythm and notes; the prototype wanted 0.02 to 0.10. Not null-corrected.
"""

import numpy as np


def validate(blend_MT: np.ndarray, source_MT: np.ndarray) -> None:
    """Raises ValueError unless both are finite and of one shape [M, T]."""
    if blend_MT.ndim != 2 or blend_MT.shape != source_MT.shape:
        raise ValueError(f"two spectra [M, T] of one shape are wanted, not {blend_MT.shape} and {source_MT.shape}")
    if not (np.isfinite(blend_MT).all() and np.isfinite(source_MT).all()):
        raise ValueError("spectra must be finite")


def frame_cosine(a_MT: np.ndarray, b_MT: np.ndarray) -> float:
    """Mean over frames of the absolute cosine, in [0, 1]; a frame of zeros counts 0."""
    validate(a_MT, b_MT)
    norm_T = np.linalg.norm(a_MT, axis=0) * np.linalg.norm(b_MT, axis=0)
    return float(np.mean(np.abs((a_MT * b_MT).sum(axis=0)) / np.maximum(norm_T, 1e-12)))


def evaluate(blend_MT: np.ndarray, groove_MT: np.ndarray, harmony_MT: np.ndarray) -> float:
    """Cosine to groove and to harmony, halved, after the sources' mean per band is taken off all three."""
    mean_M1 = 0.5 * (groove_MT.mean(axis=1, keepdims=True) + harmony_MT.mean(axis=1, keepdims=True))
    return 0.5 * sum(frame_cosine(blend_MT - mean_M1, source - mean_M1) for source in (groove_MT, harmony_MT))
