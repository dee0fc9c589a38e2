"""The harmony under the envelopes of the groove.

The carrier's own envelope is divided out first, as far as 40 dB below its loudest: else its onsets would come through.
Bands in which the carrier has nothing stay empty.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.audio.spectra import hz_to_mel, istft, mel_to_hz, stft

BANDS = 24
_N_FFT, _HOP = 1024, 256  # 43 ms and 11 ms: short enough for a drum, long enough for the lowest band
_LOUDNESS_HOP = 240  # 10 ms
_CARRIER_FLOOR, _EMPTY_BAND = 1e-4, 1e-6  # -40 dB below the band's own loudest, -60 dB below that of all bands
_EPS = 1e-12


def with_loudness(groove_N: np.ndarray, harmony_N: np.ndarray) -> np.ndarray:
    """The harmony, its RMS contour (windows of 20 ms) replaced by the groove's."""
    groove, harmony = torch.from_numpy(groove_N), torch.from_numpy(harmony_N)
    gain_T = _gain(_frame_power(groove), _frame_power(harmony))
    gain_N = F.interpolate(gain_T[None, None], scale_factor=_LOUDNESS_HOP, mode="linear", align_corners=False)[0, 0]
    return (harmony * gain_N[: len(harmony)]).numpy()


def _frame_power(wav_N: Tensor) -> Tensor:
    """Mean square around the middle of each hop."""
    short = -len(wav_N) % _LOUDNESS_HOP
    padded = F.pad(wav_N.square(), (_LOUDNESS_HOP // 2, _LOUDNESS_HOP // 2 + short))
    return padded.unfold(0, 2 * _LOUDNESS_HOP, _LOUDNESS_HOP).mean(dim=-1)


def vocoder(groove_N: np.ndarray, harmony_N: np.ndarray) -> np.ndarray:
    """The harmony in 24 mel bands, the envelope of each replaced by that of the groove's band."""
    spectra_BFT = stft(torch.from_numpy(np.stack([groove_N, harmony_N])), _N_FFT, _HOP)
    shares_MF = band_shares()
    groove_MT, harmony_MT = shares_MF @ spectra_BFT.abs().square()
    gain_FT = shares_MF.T @ _gain(groove_MT, harmony_MT)
    return istft(spectra_BFT[1:] * gain_FT, _N_FFT, _HOP)[0, : len(harmony_N)].numpy()


def band_shares() -> Tensor:
    """[24, F]: the share of each bin in each band, triangles on the mel scale; the shares of a bin sum to 1."""
    nyquist_hz = np.array(SAMPLE_RATE_HZ / 2)
    centres_hz = mel_to_hz(np.linspace(0.0, hz_to_mel(nyquist_hz), BANDS))
    bins_hz = np.linspace(0.0, float(nyquist_hz), _N_FFT // 2 + 1)
    return torch.from_numpy(np.stack([np.interp(bins_hz, centres_hz, one) for one in np.eye(BANDS)]).astype(np.float32))


def _gain(wanted: Tensor, had: Tensor) -> Tensor:
    """Amplitude gain from one power contour [..., T] to another."""
    floor = _CARRIER_FLOOR * had.amax(dim=-1, keepdim=True) + _EMPTY_BAND * had.max()
    return (wanted / (had + floor + _EPS)).sqrt()
