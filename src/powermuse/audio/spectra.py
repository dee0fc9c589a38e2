"""Short-time Fourier transforms on the frame clock of the house (T = ceil(N / hop), frames centred on their hop) and
the Slaney mel scale. torch only, differentiable, the same for one clip and for a batch."""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def frame_count(samples: int, hop: int) -> int:
    """Frames that cover `samples` samples."""
    return -(-samples // hop)


@lru_cache(maxsize=16)
def window(n_fft: int) -> Tensor:
    """Periodic Hann window scaled so that a full-scale sine has spectral magnitude 1 at its bin."""
    with torch.inference_mode(False):  # kept for every later caller, who may want a gradient
        hann = torch.hann_window(n_fft, periodic=True)
        return hann * (2.0 / hann.sum())


def stft(wav_BN: Tensor, n_fft: int, hop: int) -> Tensor:
    """Complex spectrum [B, F, T], F = n_fft / 2 + 1; zeros are assumed beyond both ends."""
    frames = frame_count(wav_BN.shape[-1], hop)
    left = (n_fft - hop) // 2
    right = frames * hop - wav_BN.shape[-1] + n_fft - hop - left
    framed_BTn = F.pad(wav_BN, (left, right)).unfold(-1, n_fft, hop)
    return torch.fft.rfft(framed_BTn * window(n_fft).to(wav_BN)).transpose(1, 2)


def power_spectrum(wav_BN: Tensor, n_fft: int, hop: int) -> Tensor:
    """|STFT|^2, [B, F, T]; a full-scale sine reads 1 at its bin. Its gradient is finite on silence."""
    return torch.view_as_real(stft(wav_BN, n_fft, hop)).square().sum(dim=-1)


def istft(spectrum_BFT: Tensor, n_fft: int, hop: int) -> Tensor:
    """Least-squares inverse of `stft`, [B, T * hop] (Griffin & Lim 1984, eq. 6). `hop` must divide `n_fft`."""
    if n_fft % hop or n_fft == hop:
        raise ValueError(f"hop {hop} does not divide the window length {n_fft}")
    frames = spectrum_BFT.shape[-1]
    hann = window(n_fft).to(spectrum_BFT.real)
    framed_BTn = torch.fft.irfft(spectrum_BFT.transpose(1, 2), n=n_fft) * hann
    left = (n_fft - hop) // 2
    signal = _add_shifted(framed_BTn, hop)[:, left : left + frames * hop]
    energy = _add_shifted(hann.square().expand(1, frames, n_fft), hop)[:, left : left + frames * hop]
    return signal / energy


def _add_shifted(framed_BTn: Tensor, hop: int) -> Tensor:
    batch, frames, n = framed_BTn.shape
    blocks = n // hop
    parts = framed_BTn.reshape(batch, frames, blocks, hop)
    total = sum(F.pad(parts[:, :, k], (0, 0, k, blocks - 1 - k)) for k in range(blocks))
    assert isinstance(total, Tensor)
    return total.reshape(batch, -1)


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's Auditory Toolbox scale: linear below 1 kHz, logarithmic above (27 steps per factor 6.4)."""
    hz = np.asarray(hz, dtype=np.float64)
    return np.where(
        hz < 1000.0, hz / (200.0 / 3.0), 15.0 + 27.0 * np.log(np.maximum(hz, 1e-9) / 1000.0) / math.log(6.4)
    )


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(mel < 15.0, mel * (200.0 / 3.0), 1000.0 * np.exp(math.log(6.4) * (mel - 15.0) / 27.0))


@lru_cache(maxsize=16)
def mel_filters(
    sample_rate_hz: int, n_fft: int, bands: int, low_hz: float = 0.0, high_hz: float | None = None
) -> Tensor:
    """Triangular filters [M, F] of equal area on the Slaney scale (librosa.filters.mel with its defaults)."""
    high_hz = sample_rate_hz / 2 if high_hz is None else high_hz
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(np.array(low_hz)), hz_to_mel(np.array(high_hz)), bands + 2))
    bins_hz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate_hz)
    rise = (bins_hz - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    fall = (edges_hz[2:, None] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])[:, None]
    with torch.inference_mode(False):
        return torch.from_numpy((np.maximum(0.0, np.minimum(rise, fall)) * area).astype(np.float32))
