"""Binary cross-entropy of a discriminator's logits, [B] or [B, ...] of patches; above zero means real (Goodfellow et
al. 2014, the non-saturating form for the generator)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def passes_for_real(fake_logits_B: Tensor) -> Tensor:
    """The generator's loss: 0 where every blend is taken for real, ln 2 where the discriminator cannot tell."""
    return F.binary_cross_entropy_with_logits(fake_logits_B, torch.ones_like(fake_logits_B))


def told_apart(real_logits_B: Tensor, fake_logits_B: Tensor) -> Tensor:
    """The discriminator's loss, mean over both: 0 where it is right and sure, ln 2 where it cannot tell."""
    real = F.binary_cross_entropy_with_logits(real_logits_B, torch.ones_like(real_logits_B))
    fake = F.binary_cross_entropy_with_logits(fake_logits_B, torch.zeros_like(fake_logits_B))
    return 0.5 * (real + fake)
