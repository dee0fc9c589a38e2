"""An equaliser that the harmony and the truth of a training pair share: the same music by other instruments, in another
room, so that a composer learns to take its colour from the clip and not from what it knows of instruments."""

import math

import torch
from torch import Tensor

from powermuse.chance import number
from powermuse.codecs import mel
from powermuse.types import BadInput, Clip

_WAVES = 8


def check(codec: str, strength_db: float) -> None:
    """Raises BadInput for latents that no equaliser can be applied to, and for a strength below 0."""
    if strength_db < 0.0:
        raise BadInput(f"data.equaliser_db must not be below 0, not {strength_db}")
    if strength_db > 0.0 and codec != "mel":
        raise BadInput(f"data.equaliser_db wants latents of the mel codec, not of {codec}")


def curve(key: str, latent_dim: int, strength_db: float) -> Tensor:
    """Gain [D] in dB, smooth over the channels, 0 on average, with a standard deviation of `strength_db` over all keys:
    cosines of one to eight half periods, the k-th 1 / sqrt(k) strong."""
    dice = torch.Generator().manual_seed(number(key) >> 1)
    period_K1 = torch.arange(1, _WAVES + 1)[:, None]
    place_D = (torch.arange(latent_dim) + 0.5) / latent_dim
    strong_K1 = torch.randn(_WAVES, 1, generator=dice) / period_K1.sqrt()
    deviation = math.sqrt(0.5 * sum(1.0 / k for k in range(1, _WAVES + 1)))
    return strength_db / deviation * (strong_K1 * torch.cos(math.pi * period_K1 * place_D)).sum(dim=0)


def equalised(clip: Clip, gains_db_BD: Tensor) -> Clip:
    """A clip with latents of the mel codec as if it had been heard through equalisers; what is known of its onsets,
    level and chroma stays."""
    return clip._replace(z_BDT=mel.equalised(clip.z_BDT, gains_db_BD))
