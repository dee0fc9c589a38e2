"""The noise curriculum: what the model hears drowns by and by."""

import torch

from powermuse.types import Clip


def noisy(clip: Clip, amount: float) -> Clip:
    """The clip with latents (1 - a) x + a std(x) noise, its features as they were; itself where a is 0."""
    if amount == 0.0:
        return clip
    z_BDT = clip.z_BDT
    noise_BDT = z_BDT.std(dim=(1, 2), keepdim=True) * torch.randn_like(z_BDT)
    return clip._replace(z_BDT=(1.0 - amount) * z_BDT + amount * noise_BDT)
