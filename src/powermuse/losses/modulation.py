"""How much of a source's loudness contour a blend copies: Pearson correlation of envelopes, as a cost.

Envelope: the peak of |x| in parts of 64 ms, over at least 8 s, or in short stretches spread over that time; or, read
from latents without decoding, the largest channel norm in parts of five frames (67 ms at 75 Hz). The groove's envelope
is rhythm that one may want kept: weight `modulation.groove` and `modulation.harmony` apart.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PART_S = 0.064
LEAST_S = 8.0
LEAST_PARTS = 15
PART_FRAMES = 5
_EPS = 1e-8
# -ln(1 - 0.999 |c|): a perfect copy costs 6.9, with a gradient that stays finite.
_MOST = 0.999


def quadratic(correlation_B: Tensor) -> Tensor:
    """c^2, mean over clips: in [0, 1], gradient at most 2."""
    return correlation_B.square().mean()


def exponential(correlation_B: Tensor) -> Tensor:
    """-ln(1 - 0.999 |c|), mean over clips: 0 for unrelated envelopes, 6.9 for a copy."""
    return -torch.log1p(-_MOST * correlation_B.abs()).mean()


def sound_correlation(blend_BCN: Tensor, source_BCN: Tensor, sample_rate_hz: int, stretches: int = 1) -> Tensor:
    """Correlation [B] of the envelopes of two sounds [B * S, C, N], the S stretches of a clip one after another.

    Raises ValueError where chance rules: below 8 s of one stretch, below 15 parts of stretches spread over a clip.
    """
    part = round(PART_S * sample_rate_hz)
    if stretches == 1 and blend_BCN.shape[-1] < LEAST_S * sample_rate_hz:
        raise ValueError(f"modulation wants at least {LEAST_S:.0f} s, not {blend_BCN.shape[-1] / sample_rate_hz:.2f} s")
    if (parts := stretches * (blend_BCN.shape[-1] // part)) < LEAST_PARTS:
        raise ValueError(f"modulation wants at least {LEAST_PARTS} parts of {PART_S} s, not {parts}")
    peaks = (F.max_pool1d(x.mean(dim=1, keepdim=True).abs(), part) for x in (blend_BCN, source_BCN))
    return correlation(*(x.unflatten(0, (-1, stretches)).flatten(1) for x in peaks))


def latent_correlation(blend_BDT: Tensor, source_BDT: Tensor) -> Tensor:
    """Correlation [B] of the envelopes read from latents: for codecs whose latents grow with level (mel, MDCT)."""
    return correlation(latent_envelope(blend_BDT), latent_envelope(source_BDT))


def latent_envelope(z_BDT: Tensor) -> Tensor:
    """The largest channel norm in parts of five frames, [B, T // 5]."""
    norm_B1T = (z_BDT.square().sum(dim=1, keepdim=True) + _EPS).sqrt()
    return F.max_pool1d(norm_B1T, PART_FRAMES)[:, 0]


def correlation(a_BT: Tensor, b_BT: Tensor) -> Tensor:
    """Pearson correlation [B] over time; 0, with a finite gradient, where one does not vary."""
    a, b = a_BT - a_BT.mean(dim=-1, keepdim=True), b_BT - b_BT.mean(dim=-1, keepdim=True)
    return (a * b).sum(dim=-1) / (a.square().sum(dim=-1) * b.square().sum(dim=-1) + _EPS).sqrt()
