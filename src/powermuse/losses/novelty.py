"""How much a blend points the way its sources do. 0 is new, 1 is a copy (or its negative)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio.spectra import power_spectrum

_EPS = 1e-6


def similarity(blend_BDT: Tensor, groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """Mean over frames of |cosine| to groove and to harmony, halved: in [0, 1].

    The absolute value is taken of each frame: averaged first, a half-copied, half-inverted clip would score zero.
    Where all latents share a mean (mel), remove the training set's mean per channel before calling.
    """
    return 0.5 * (frame_cosine(blend_BDT, groove_BDT) + frame_cosine(blend_BDT, harmony_BDT))


def frame_cosine(a_BDT: Tensor, b_BDT: Tensor) -> Tensor:
    """Mean over frames of the absolute cosine between channel vectors; a silent frame counts 0."""
    dot_BT = (a_BDT * b_BDT).sum(dim=1)
    norm_BT = (a_BDT.square().sum(dim=1) + _EPS).sqrt() * (b_BDT.square().sum(dim=1) + _EPS).sqrt()
    return (dot_BT / norm_BT).abs().mean()


def centred(z_BDT: Tensor, mean_D: Tensor) -> Tensor:
    """Latents without the mean of each channel over the training set."""
    return z_BDT - mean_D[:, None]


def spectral_outliers(wav_BCN: Tensor, sample_rate_hz: int) -> Tensor:
    """How far 1.8-2.2, 3.8-4.2 and 5.8-6.2 kHz, where a failing cascade whistles, stand out of the 800 Hz on either
    side: x / (1 + x) of the excess x = relu(power / surroundings - 1), mean over bands and clips, in [0, 1)."""
    n_fft = 1024
    power_BF = power_spectrum(wav_BCN.flatten(0, 1), n_fft, n_fft // 4).mean(dim=-1)
    hz_F = torch.fft.rfftfreq(n_fft, 1.0 / sample_rate_hz).to(power_BF)
    terms = []
    for centre_hz in (2000.0, 4000.0, 6000.0):
        distance_F = (hz_F - centre_hz).abs()
        inside, around = distance_F <= 200.0, (distance_F > 200.0) & (distance_F <= 1000.0)
        excess_B = F.relu(power_BF[:, inside].mean(-1) / (power_BF[:, around].mean(-1) + 1e-8) - 1.0)
        terms.append(excess_B / (1.0 + excess_B))
    return torch.stack(terms).mean()
