"""How much of a blend is its sources, cut out and turned up or down.

Copy: the share of the blend's energy that non-negative gains of |A| and |B| explain, a gain per source, mel band (16 to
12 kHz) and 0.25 s, by least squares on magnitudes; null-corrected over circular shifts of both sources, 1 for a mix,
about 0 for music that only shares the sources' spectra. Sustained harmony has some by nature: the truth's own copy is
the measure, so **copy excess** = copy - copy(truth), 0 wanted.
Free copy: the same where each 0.25 s of the blend may look for the best moment of each source, so that re-timed copying
shows (slices of B on A's onsets); its null is the same search in the sources a major third higher, which have the same
textures and few of the notes. New notes of B's instruments on B's pitches resemble some moment of B: the truth has .4,
slices of B .7, a mix .8. Its excess is what counts.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.audio.spectra import hz_to_mel, power_spectrum
from powermuse.metrics import nulls

BANDS, CELL_S = 16, 0.25
_N_FFT, _HOP = 1024, 500
FRAME_RATE_HZ = SAMPLE_RATE_HZ / _HOP
"""48 frames a second."""
_CELL_FRAMES = round(CELL_S * FRAME_RATE_HZ)
_SEARCH_BANDS = 64
_THIRD_DOWN = 2.0 ** (-4 / 12)
_LEAST_ENERGY = 1e-9


class Products(NamedTuple):
    """Sums of products over each cell, [16, C]: what two sources have with themselves and with each other."""

    aa: np.ndarray
    bb: np.ndarray
    ab: np.ndarray


class Sources(NamedTuple):
    """Two sources, and all that does not depend on the blend."""

    groove_FT: np.ndarray
    harmony_FT: np.ndarray
    shifts: tuple[int, ...]
    """Circular shifts in frames at which chance is measured; of both alike."""
    products: tuple[Products, ...]
    """At no shift, then at each of the shifts."""
    groove_higher_FT: np.ndarray
    harmony_higher_FT: np.ndarray
    """The same a major third higher."""


def validate(blend_FT: np.ndarray, sources: Sources) -> None:
    """Raises ValueError unless the blend is as long as its sources, finite, and nowhere negative."""
    if blend_FT.shape != sources.groove_FT.shape:
        raise ValueError(f"magnitudes of {blend_FT.shape} and of {sources.groove_FT.shape} cannot be compared")
    if not np.isfinite(blend_FT).all() or (blend_FT < 0).any():
        raise ValueError("magnitudes must be finite and >= 0")


def magnitude(wav_N: np.ndarray) -> np.ndarray:
    """|STFT| [513, T] at 48 frames a second of a mono clip at 24 kHz, whole cells only."""
    wav = torch.from_numpy(np.ascontiguousarray(wav_N, np.float32))[None]
    magnitude_FT = power_spectrum(wav, _N_FFT, _HOP)[0].sqrt().numpy()
    return np.ascontiguousarray(magnitude_FT[:, : magnitude_FT.shape[1] // _CELL_FRAMES * _CELL_FRAMES])


def prepare(
    groove_FT: np.ndarray, harmony_FT: np.ndarray, groove_onsets_T: np.ndarray, harmony_onsets_T: np.ndarray
) -> Sources:
    """What two sources (of one length, [513, T]) are compared by. Onset curves, on any clock, say which shifts are left
    out: those at which either source repeats itself."""
    if groove_FT.shape != harmony_FT.shape:
        raise ValueError(f"sources of one length are wanted, not {groove_FT.shape} and {harmony_FT.shape}")
    duration_s = groove_FT.shape[1] / FRAME_RATE_HZ
    allowed = [
        {n / len(curve) for n in nulls.shifts(curve, len(curve) / duration_s)}
        for curve in (groove_onsets_T, harmony_onsets_T)
    ]
    shifts = tuple(sorted(round(part * groove_FT.shape[1]) for part in set.intersection(*allowed)))
    at_rest = _products(groove_FT, harmony_FT)
    moved = (_products(np.roll(groove_FT, n, 1), np.roll(harmony_FT, n, 1)) for n in shifts)
    higher = (_third_up(groove_FT), _third_up(harmony_FT))
    return Sources(groove_FT, harmony_FT, shifts, (at_rest, *moved), *higher)


def explained(blend_FT: np.ndarray, groove_FT: np.ndarray, harmony_FT: np.ndarray) -> float:
    """Share of the blend's energy, in [0, 1], that gains of two sources explain; 0 for a silent blend."""
    return _share(blend_FT, groove_FT, harmony_FT, _products(groove_FT, harmony_FT))


def copy(blend_FT: np.ndarray, sources: Sources) -> float | None:
    """Null-corrected copy; None where the sources repeat themselves, or chance leaves no room."""
    validate(blend_FT, sources)
    if len(sources.shifts) < nulls.FEWEST_SHIFTS:
        return None
    shares = [
        _share(blend_FT, np.roll(sources.groove_FT, n, 1), np.roll(sources.harmony_FT, n, 1), products)
        for n, products in zip((0, *sources.shifts), sources.products, strict=True)
    ]
    return nulls.corrected(shares[0], float(np.mean(shares[1:])))


def free_copy(blend_FT: np.ndarray, sources: Sources) -> float | None:
    """Null-corrected copy with time free; None where chance leaves no room."""
    validate(blend_FT, sources)
    found, null = (
        explained(blend_FT, *(_best_moments(blend_FT, source) for source in both))
        for both in (
            (sources.groove_FT, sources.harmony_FT),
            (sources.groove_higher_FT, sources.harmony_higher_FT),
        )
    )
    return nulls.corrected(found, null)


def excess(of_the_blend: float | None, of_the_truth: float | None) -> float | None:
    """Copy beyond the truth's own."""
    return None if of_the_blend is None or of_the_truth is None else of_the_blend - of_the_truth


def evaluate(blend_FT: np.ndarray, sources: Sources) -> tuple[float | None, float | None]:
    """(copy, free copy)."""
    return copy(blend_FT, sources), free_copy(blend_FT, sources)


def _share(blend_FT: np.ndarray, groove_FT: np.ndarray, harmony_FT: np.ndarray, products: Products) -> float:
    total = float(np.square(blend_FT, dtype=np.float64).sum())
    if total <= _LEAST_ENERGY:
        return 0.0
    return min(1.0, float(_fit(_cells(blend_FT * groove_FT), _cells(blend_FT * harmony_FT), products).sum()) / total)


def _fit(xa: np.ndarray, xb: np.ndarray, products: Products) -> np.ndarray:
    """Energy that the best non-negative gains explain in each cell. Either both gains are positive, or the better
    source alone is the answer: all products are >= 0."""
    aa, bb, ab = products
    alone = np.maximum(xa**2 / np.maximum(aa, _LEAST_ENERGY), xb**2 / np.maximum(bb, _LEAST_ENERGY))
    determinant = aa * bb - ab**2
    a, b = xa * bb - xb * ab, xb * aa - xa * ab
    both = (a > 0) & (b > 0) & (determinant > 1e-6 * aa * bb)
    return np.where(both, (a * xa + b * xb) / np.where(both, determinant, 1.0), alone)


def _products(groove_FT: np.ndarray, harmony_FT: np.ndarray) -> Products:
    return Products(_cells(groove_FT**2), _cells(harmony_FT**2), _cells(groove_FT * harmony_FT))


def _cells(power_FT: np.ndarray) -> np.ndarray:
    """Sums over 16 mel bands and 0.25 s: [16, C]."""
    by_band = np.add.reduceat(power_FT, _edges(BANDS), axis=0)
    return by_band.reshape(BANDS, -1, _CELL_FRAMES).sum(axis=-1, dtype=np.float64)


@lru_cache(maxsize=4)
def _edges(bands: int) -> np.ndarray:
    """First bin of each of so many bands of equal width in mel, at least a bin each."""
    mel_F = hz_to_mel(np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE_HZ))
    edges = np.searchsorted(mel_F, np.linspace(0, mel_F[-1], bands, endpoint=False))
    return np.maximum.accumulate(np.maximum(edges, np.arange(bands)))


def _third_up(magnitude_FT: np.ndarray) -> np.ndarray:
    """Each frame's spectrum stretched by 2^(4/12), between bins linearly. A semitone would leave drums as they are, and
    no room above chance."""
    bins = np.arange(len(magnitude_FT))
    below = (bins * _THIRD_DOWN).astype(int)
    share_F1 = (bins * _THIRD_DOWN - below)[:, None].astype(np.float32)
    above = np.minimum(below + 1, len(bins) - 1)
    return (1 - share_F1) * magnitude_FT[below] + share_F1 * magnitude_FT[above]


def _best_moments(blend_FT: np.ndarray, source_FT: np.ndarray) -> np.ndarray:
    """The source [F, T] put together anew: for each 0.25 s of the blend the moment most like it, by cosine."""
    blend, source = (np.add.reduceat(x, _edges(_SEARCH_BANDS), axis=0) for x in (blend_FT, source_FT))
    frames = source.shape[1]
    around = np.concatenate([source, source[:, : _CELL_FRAMES - 1]], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(around, _CELL_FRAMES, axis=1)  # [64, T, 12]
    norm_T = np.sqrt(np.square(windows).sum(axis=(0, 2)))
    like_CT = np.zeros((frames // _CELL_FRAMES, frames), np.float32)
    for k in range(_CELL_FRAMES):
        like_CT += blend[:, k::_CELL_FRAMES].T @ windows[:, :, k]
    best_C = (like_CT / np.maximum(norm_T, 1e-6)).argmax(axis=1)
    chosen = (best_C[:, None] + np.arange(_CELL_FRAMES)).ravel() % frames
    return np.ascontiguousarray(source_FT[:, chosen])
