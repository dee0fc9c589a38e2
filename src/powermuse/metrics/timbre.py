"""Whose colour a blend has: distance of spectral envelopes, whatever is played and when.

Mel-frequency cepstral coefficients 2 to 13 (40 mel bands to 11 kHz, natural log, orthonormal DCT-II; Davis &
Mermelstein 1980; the first, level, is left out), their mean and standard deviation over the frames that sound
(Aucouturier & Pachet 2002 use the same statistics). The score sets the distance to B against that of an unrelated clip:
1 - d(blend, B) / d(unrelated, B): 1 for B's colour, about 0 for any other clip's, negative for one farther away.
Weakness: drums in the blend change its envelope, so the truth itself stays below 1.
"""

import math
from functools import lru_cache

import numpy as np
import torch

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.audio.spectra import mel_filters, power_spectrum

_N_FFT, _HOP = 1024, 512
_MELS = 40
_HIGH_HZ = 11_000.0
_FIRST, _LAST = 2, 13
_FLOOR_DB = 60.0
_SILENT = 1e-14
_LEAST_DISTANCE = 1e-3


def validate(wav_N: np.ndarray) -> None:
    """Raises ValueError unless `wav_N` is one finite mono clip."""
    if wav_N.ndim != 1 or not len(wav_N) or not np.isfinite(wav_N).all():
        raise ValueError(f"a finite mono clip is wanted, not shape {wav_N.shape}")


def mfcc(wav_N: np.ndarray) -> np.ndarray:
    """Coefficients 2 to 13 of each frame that sounds (within 60 dB of the loudest): [12, T]. Silence has no frames."""
    validate(wav_N)
    wav = torch.from_numpy(np.ascontiguousarray(wav_N, np.float32))[None]
    mel_MT = mel_filters(SAMPLE_RATE_HZ, _N_FFT, _MELS, 0.0, _HIGH_HZ) @ power_spectrum(wav, _N_FFT, _HOP)[0]
    power_MT = mel_MT.numpy().astype(np.float64)
    level_T, loudest = power_MT.sum(axis=0), float(power_MT.sum(axis=0).max(initial=0.0))
    heard = level_T > max(loudest * 10 ** (-_FLOOR_DB / 10), _SILENT)
    # A floor below the loudest bin of the clip: what is inaudible must not decide.
    floor = max(float(power_MT.max(initial=0.0)) * 10 ** (-_FLOOR_DB / 10), _SILENT)
    return _dct() @ np.log(power_MT[:, heard] + floor)


def statistics(mfcc_CT: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each coefficient over time [24]; zeros where nothing sounds."""
    if not mfcc_CT.shape[1]:
        return np.zeros(2 * len(mfcc_CT))
    return np.concatenate([mfcc_CT.mean(axis=1), mfcc_CT.std(axis=1)])


def distance(statistics_S: np.ndarray, other_S: np.ndarray) -> float:
    """Euclidean, >= 0."""
    return float(np.linalg.norm(statistics_S - other_S))


def evaluate(blend_S: np.ndarray, harmony_S: np.ndarray, unrelated_S: np.ndarray) -> float | None:
    """1 - d(blend, harmony) / d(unrelated, harmony); None where the unrelated clip has the same colour."""
    apart = distance(unrelated_S, harmony_S)
    return 1.0 - distance(blend_S, harmony_S) / apart if apart > _LEAST_DISTANCE else None


@lru_cache(maxsize=1)
def _dct() -> np.ndarray:
    """[12, 40]: rows 2 to 13 (counted from 1 as level) of the orthonormal DCT-II."""
    order = np.arange(_FIRST - 1, _LAST)[:, None]
    return math.sqrt(2 / _MELS) * np.cos(math.pi * order * (np.arange(_MELS) + 0.5) / _MELS)
