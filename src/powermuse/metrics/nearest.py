"""Where a blend comes nearest to its sources: for every bar of it the moment of a source that sounds most like it.

Two stretches are alike as far as their log mel spectra (`truth.log_mel`), each band told against its mean over its
clip, correlate: 1 for the same sound at any level, about 0 for other music by the same instruments. The nearest bar is
where a copy would show first.
"""

from typing import NamedTuple

import numpy as np

_LEAST_ENERGY = 1e-9


class Nearest(NamedTuple):
    """Two stretches of one length: where they begin, in frames, and how alike they are, in [-1, 1]."""

    blend_frame: int
    source_frame: int
    similarity: float


def validate(blend_MT: np.ndarray, source_MT: np.ndarray, frames: int) -> None:
    """Raises ValueError unless both are [M, T] of as many bands, finite, and at least `frames` long."""
    if blend_MT.ndim != 2 or source_MT.ndim != 2 or len(blend_MT) != len(source_MT):
        raise ValueError(f"spectra of equally many bands are wanted, not {blend_MT.shape} and {source_MT.shape}")
    if not 0 < frames <= min(blend_MT.shape[1], source_MT.shape[1]):
        raise ValueError(f"stretches of {frames} frames are wanted of {blend_MT.shape[1]} and {source_MT.shape[1]}")
    if not (np.isfinite(blend_MT).all() and np.isfinite(source_MT).all()):
        raise ValueError("spectra must be finite")


def evaluate(blend_MT: np.ndarray, source_MT: np.ndarray, frames: int, every: float | None = None) -> Nearest:
    """The stretch of `frames` frames of the blend, one after another from its beginning (or one `every` so many, which
    need not be whole: a bar seldom is), that is most like some stretch of the source, wherever that begins."""
    validate(blend_MT, source_MT, frames)
    blend_MT, source_MT = (x - x.mean(axis=1, keepdims=True) for x in (blend_MT, source_MT))
    energy_S = _sums(np.square(source_MT).sum(axis=0), frames)
    begins = _begins(blend_MT.shape[1], frames, every or frames)
    found = [_nearest(blend_MT[:, b : b + frames], source_MT, energy_S, b) for b in begins]
    return max(found, key=lambda n: n.similarity)


def _begins(frames: int, length: int, every: float) -> list[int]:
    count = int((frames - length) / every + 0.5) + 1  # the last may begin half a frame early
    return [begin for k in range(count) if (begin := round(k * every)) <= frames - length]


def _nearest(part_MT: np.ndarray, source_MT: np.ndarray, energy_S: np.ndarray, begin: int) -> Nearest:
    """The products with all stretches of the source at once, by a Fourier transform."""
    length = source_MT.shape[1]
    spectrum = np.fft.rfft(source_MT, length, axis=1) * np.fft.rfft(part_MT, length, axis=1).conj()
    products_S = np.fft.irfft(spectrum.sum(axis=0), length)[: len(energy_S)]
    energy = float(np.square(part_MT).sum())
    similarity_S = products_S / np.sqrt(np.maximum(energy_S * energy, _LEAST_ENERGY))
    at = int(similarity_S.argmax())
    return Nearest(begin, at, float(np.clip(similarity_S[at], -1.0, 1.0)))


def _sums(x_T: np.ndarray, frames: int) -> np.ndarray:
    """Sums over every stretch of so many frames."""
    upto = np.concatenate([[0.0], np.cumsum(x_T)])
    return upto[frames:] - upto[:-frames]
