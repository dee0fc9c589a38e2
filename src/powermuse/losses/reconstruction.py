"""Distances between two sounds or two latent sequences: 0 where they are equal."""

import torch
from torch import Tensor

from powermuse.audio.spectra import mel_filters, power_spectrum

_EPS = 1e-8
_STFT_WINDOWS = (512, 1024, 2048)
_MEL_FFT, _MEL_BANDS, _MEL_HIGH_HZ = 1024, 80, 8000.0
_LOG_FLOOR = 1e-5
_CONVERGENCE_FLOOR = 1e-3


def latent_l1(blend_BDT: Tensor, wanted_BDT: Tensor) -> Tensor:
    """Mean absolute difference of latents, in latent units."""
    return (blend_BDT - wanted_BDT).abs().mean()


def rms_difference(blend_BCN: Tensor, wanted_BCN: Tensor) -> Tensor:
    """Root mean square of the difference of two waveforms, per clip, then the mean over clips."""
    return ((blend_BCN - wanted_BCN).square().mean(dim=(1, 2)) + _EPS).sqrt().mean()


def multi_resolution_stft(blend_BCN: Tensor, wanted_BCN: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude L1, mean over windows 512, 1024, 2048 with hops of a quarter
    (Yamamoto, Song & Kim, ICASSP 2020, eq. 6)."""
    terms = [_stft_distance(blend_BCN.flatten(0, 1), wanted_BCN.flatten(0, 1), n) for n in _STFT_WINDOWS]
    return torch.stack(terms).mean()


def _stft_distance(blend_BN: Tensor, wanted_BN: Tensor, n_fft: int) -> Tensor:
    blend, wanted = (_magnitude(x, n_fft) for x in (blend_BN, wanted_BN))
    apart = ((blend - wanted).square().sum(dim=(1, 2)) + _EPS).sqrt()
    # A crop may be silent: below -60 dB the distance is taken against the floor, not against nothing.
    floor = _CONVERGENCE_FLOOR**2 * wanted[0].numel()
    convergence = apart / (wanted.square().sum(dim=(1, 2)) + floor).sqrt()
    return convergence.mean() + (blend.log() - wanted.log()).abs().mean()


def _magnitude(wav_BN: Tensor, n_fft: int) -> Tensor:
    return (power_spectrum(wav_BN, n_fft, n_fft // 4) + _EPS).sqrt()


def log_mel_l1(blend_BCN: Tensor, wanted_BCN: Tensor, sample_rate_hz: int) -> Tensor:
    """Mean absolute difference of natural-log mel spectra, 80 bands to 8 kHz, floor -50 dB."""
    blend, wanted = (_log_mel(x.flatten(0, 1), sample_rate_hz) for x in (blend_BCN, wanted_BCN))
    return (blend - wanted).abs().mean()


def _log_mel(wav_BN: Tensor, sample_rate_hz: int) -> Tensor:
    power = power_spectrum(wav_BN, _MEL_FFT, _MEL_FFT // 4)
    filters = mel_filters(sample_rate_hz, _MEL_FFT, _MEL_BANDS, 0.0, _MEL_HIGH_HZ).to(wav_BN)
    # Filters of equal area are tiny: normalised to peak 1 so that the floor is one of level.
    return ((filters / filters.amax()) @ power + _LOG_FLOOR).log()
