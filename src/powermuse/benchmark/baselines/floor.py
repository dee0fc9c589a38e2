"""The floor: what scores by chance."""

import hashlib

import numpy as np

from powermuse import chance


def music(unrelated_N: np.ndarray) -> np.ndarray:
    """The unrelated clip itself."""
    return unrelated_N


def noise(unrelated_N: np.ndarray) -> np.ndarray:
    """Stationary noise whose long-term spectrum is the clip's: its magnitudes with random phases, which the clip's
    samples seed."""
    seed = chance.number(hashlib.blake2b(unrelated_N.tobytes()).hexdigest())
    spectrum_F = np.fft.rfft(unrelated_N.astype(np.float64))
    phase_F = np.random.default_rng(seed).uniform(-np.pi, np.pi, len(spectrum_F))
    phase_F[0] = phase_F[-1] = 0.0  # real at both ends of the spectrum
    turned_F = np.abs(spectrum_F) * np.exp(1j * phase_F)
    return np.fft.irfft(turned_F, n=len(unrelated_N)).astype(np.float32)
