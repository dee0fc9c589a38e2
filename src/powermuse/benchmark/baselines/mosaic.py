"""Audio mosaicing by non-negative matrix factorisation (Driedger, Prätzlich & Müller, "Let It Bee", ISMIR 2015).

The groove's magnitude spectrogram is approximated by W H, W fixed: the harmony's magnitude frames. Between the
multiplicative updates of the Kullback-Leibler divergence the activations H are steered, more so each time: a frame is
not repeated at once, few frames sound together, and runs of consecutive frames (diagonals of H) are favoured, which
keeps the harmony's sound. The harmony's complex frames, weighted by H and overlap-added, are the result.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio.spectra import istft, stft

_N_FFT, _HOP = 2048, 512  # 85 ms and 21 ms; the paper's hop of half a window would blur the groove's onsets
_ITERATIONS = 20
_REPETITION_FRAMES = 3
_TOGETHER = 10
_RUN_FRAMES = 3
_AUDIBLE = 1e-3  # frames 60 dB below the loudest are not templates: they would be noise, amplified
_EPS = 1e-9


def mosaic(groove_N: np.ndarray, harmony_N: np.ndarray) -> np.ndarray:
    """The groove's spectrogram rebuilt from frames of the harmony."""
    groove_FT, harmony_FT = stft(torch.from_numpy(np.stack([groove_N, harmony_N])), _N_FFT, _HOP)
    loudness_T = harmony_FT.abs().sum(dim=0)
    audible_T = loudness_T > _AUDIBLE * loudness_T.max() + _EPS
    templates_FK = torch.where(audible_T, harmony_FT / loudness_T.clamp_min(_EPS), 0.0)
    activations_KT = activations(templates_FK.abs(), groove_FT.abs())
    blend_FT = templates_FK @ activations_KT.to(templates_FK.dtype)
    return istft(blend_FT[None], _N_FFT, _HOP)[0, : len(groove_N)].numpy()


def activations(templates_FK: Tensor, target_FT: Tensor) -> Tensor:
    """H [K, T] with W H near the target; templates sum to 1 or are 0. Starts from one value, so nothing is random."""
    active_KT = torch.ones(templates_FK.shape[1], target_FT.shape[1])
    for done in range(_ITERATIONS):
        active_KT = _steered(active_KT, weaken=1.0 - (done + 1) / _ITERATIONS)
        model_FT = templates_FK @ active_KT
        active_KT = active_KT * (templates_FK.T @ (target_FT / (model_FT + _EPS)))
    return active_KT


def _steered(active_KT: Tensor, weaken: float) -> Tensor:
    """Against repetition, against polyphony, for continuity; what is not favoured is multiplied by `weaken`."""
    nearby_KT = F.max_pool1d(active_KT[None], 2 * _REPETITION_FRAMES + 1, 1, _REPETITION_FRAMES)[0]
    active_KT = torch.where(active_KT >= nearby_KT, active_KT, weaken * active_KT)
    least_T = active_KT.topk(min(_TOGETHER, len(active_KT)), dim=0).values[-1]
    active_KT = torch.where(active_KT >= least_T, active_KT, weaken * active_KT)
    return _along_diagonals(active_KT)


def _along_diagonals(active_KT: Tensor) -> Tensor:
    """Sum over runs of frames that advance together in both clips."""
    reach = _RUN_FRAMES // 2
    frames_K, frames_T = active_KT.shape
    padded = F.pad(active_KT, (reach, reach, reach, reach))
    runs = [padded[k : k + frames_K, k : k + frames_T] for k in range(2 * reach + 1)]
    return torch.stack(runs).sum(dim=0)
