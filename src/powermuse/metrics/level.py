"""How loud a blend is beside its sources: RMS over sqrt((rms_g^2 + rms_h^2) / 2), 1 wanted, 0.9 to 1.1 the prototype's
goal; and its level in dBFS (a full-scale sine is -3)."""

import math

import numpy as np


def validate(wav_N: np.ndarray) -> None:
    """Raises ValueError unless `wav_N` is not empty and finite."""
    if not wav_N.size or not np.isfinite(wav_N).all():
        raise ValueError(f"a finite clip is wanted, not shape {wav_N.shape}")


def rms(wav_N: np.ndarray) -> float:
    """Root mean square."""
    validate(wav_N)
    return float(np.sqrt(np.mean(np.square(wav_N, dtype=np.float64))))


def evaluate(blend_N: np.ndarray, groove_N: np.ndarray, harmony_N: np.ndarray) -> float | None:
    """The ratio, >= 0; None where both sources are silent."""
    wanted = math.sqrt((rms(groove_N) ** 2 + rms(harmony_N) ** 2) / 2)
    return rms(blend_N) / wanted if wanted > 1e-6 else None
