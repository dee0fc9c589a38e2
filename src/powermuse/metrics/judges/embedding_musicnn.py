"""An embedding of music for the Fréchet distance: the penultimate layer of musicnn (Pons & Serra 2019, ISC licence).

A tagger trained on MagnaTagATune (25,863 clips of real music): 96 log mel bands at 16 kHz, filters that span timbre and
filters that span time, 200 units from which it names instruments, genre and mood. The network is rebuilt here in torch,
its weights are read from the checkpoint in the package `musicnn`; TensorFlow is not needed.
"""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.audio.spectra import mel_filters, power_spectrum
from powermuse.metrics.judges import tf_checkpoint
from powermuse.types import MissingExtra

WINDOW_S, HOP_S = 3.0, 1.3
"""Eleven windows in 16 s."""
_RATE_HZ, _N_FFT, _HOP, _MELS = 16_000, 512, 256, 96
_FRAMES = round(WINDOW_S * _RATE_HZ / _HOP)
_BATCH_NORM_EPS = 1e-3
_FOLDER = "MTT_musicnn"

Weights = dict[str, Tensor]


def read(wav_N: np.ndarray) -> np.ndarray:
    """Embeddings [windows, 200] of a mono clip at 24 kHz, about 0.6 s for 16 s. Clips under 3 s have one window."""
    with torch.inference_mode():
        return torch.stack([_penultimate(x) for x in _windows(wav_N)]).numpy()


def tags(wav_N: np.ndarray) -> dict[str, float]:
    """Probability of each of the 50 tags, mean over windows."""
    weights = _weights()  # first: it says what to install where the package is missing
    from musicnn.configuration import MTT_LABELS

    with torch.inference_mode():
        logits = [_dense(_penultimate(x), weights, "dense_1") for x in _windows(wav_N)]
        mean = torch.stack([x.sigmoid() for x in logits]).mean(dim=0)
    return dict(zip(MTT_LABELS, mean.tolist(), strict=True))


@functools.cache
def _weights() -> Weights:
    found = importlib.util.find_spec("musicnn")
    if found is None or found.origin is None:
        raise MissingExtra("the embedding of musicnn", "judges")
    arrays = tf_checkpoint.read(Path(found.origin).parent / _FOLDER)
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items() if "Adam" not in name}


def _windows(wav_N: np.ndarray) -> list[Tensor]:
    """Features [753, frames] of each window. The convolutions run once over the clip: what lies beyond a window's edge
    is its neighbourhood and not zeros, as it would be window by window."""
    features = _middle(_front(_log_mel(wav_N), _weights()), _weights())
    hop, last = round(HOP_S * _RATE_HZ / _HOP), max(0, features.shape[1] - _FRAMES)
    return [features[:, at : at + _FRAMES] for at in range(0, last + 1, hop)]


def _log_mel(wav_N: np.ndarray) -> Tensor:
    """[96, T]: log10(1 + 10,000 power), the power unnormalised as librosa has it."""
    wav = torch.from_numpy(soxr.resample(np.asarray(wav_N, np.float32), SAMPLE_RATE_HZ, _RATE_HZ))[None]
    power_FT = power_spectrum(wav, _N_FFT, _HOP)[0] * (_N_FFT / 4) ** 2  # a Hann window has the sum n / 2
    return torch.log10(1.0 + 1e4 * (mel_filters(_RATE_HZ, _N_FFT, _MELS) @ power_FT))


def _front(mel_MT: Tensor, weights: Weights) -> Tensor:
    """[561, T]: two widths of timbre filters and three lengths of temporal ones, the strongest band of each."""
    x = _norm(mel_MT.T[None, None], weights, 0)  # [1, 1, T, M]
    parts = []
    for k, length in enumerate((7, 7, 128, 64, 32)):
        kernel = weights[_numbered("conv2d", k) + "/kernel"].permute(3, 2, 0, 1)
        padded = F.pad(x, (0, 0, (length - 1) // 2, length // 2))  # TensorFlow's `same`: the odd one behind
        found = F.conv2d(padded, kernel, weights[_numbered("conv2d", k) + "/bias"]).relu()
        parts.append(_norm(found, weights, k + 1).amax(dim=-1)[0])
    return torch.cat(parts)


def _middle(front: Tensor, weights: Weights) -> Tensor:
    """[753, T]: the front, and three layers over 7 frames, each added to the one before."""
    layers = [_layer(front, weights, 5)]
    for k in (6, 7):
        layers.append(layers[-1] + _layer(layers[-1], weights, k))
    return torch.cat([front, *layers])


def _layer(x: Tensor, weights: Weights, k: int) -> Tensor:
    kernel = weights[_numbered("conv2d", k) + "/kernel"][:, :, 0].permute(2, 1, 0)
    found = F.conv1d(x[None], kernel, weights[_numbered("conv2d", k) + "/bias"], padding=3).relu()
    return _norm(found, weights, k + 1)[0]


def _penultimate(features: Tensor) -> Tensor:
    """[200]: largest and mean value of each feature over the window, and a normalised dense layer."""
    pooled = torch.stack([features.amax(dim=1), features.mean(dim=1)], dim=1).flatten()
    return _norm(_dense(_norm(pooled, _weights(), 9), _weights(), "dense").relu(), _weights(), 10)


def _dense(x: Tensor, weights: Weights, name: str) -> Tensor:
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def _norm(x: Tensor, weights: Weights, k: int) -> Tensor:
    """Batch normalisation with the statistics of training, over dimension 1 (or 0 of a vector)."""
    name = _numbered("batch_normalization", k)
    scale = weights[f"{name}/gamma"] / (weights[f"{name}/moving_variance"] + _BATCH_NORM_EPS).sqrt()
    offset = weights[f"{name}/beta"] - weights[f"{name}/moving_mean"] * scale
    shape = (-1,) if x.dim() == 1 else (1, -1, *(1,) * (x.dim() - 2))
    return x * scale.view(shape) + offset.view(shape)


def _numbered(name: str, k: int) -> str:
    return f"{name}_{k}" if k else name
