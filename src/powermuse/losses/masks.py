"""What a pair of masks m_g, m_h in [0, 1], [B, D, T], is asked to be (SPEC section 3)."""

import torch
from torch import Tensor

_LEAST_VARIANCE = 0.05


def overlap(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """mean(m_g m_h): 0 where nothing is taken from both."""
    return (groove_BDT * harmony_BDT).mean()


def coverage(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """mean((m_g + m_h - 1)^2): 0 where everything is taken from one."""
    return (groove_BDT + harmony_BDT - 1.0).square().mean()


def temporal_diversity(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """Hinge on the variance over time, 0.05 wanted of each; its gradient is zero at constant masks (SPEC 7.1)."""
    shortfall = [
        (_LEAST_VARIANCE - m.var(dim=-1, unbiased=False).mean()).clamp_min(0.0) for m in (groove_BDT, harmony_BDT)
    ]
    return shortfall[0] + shortfall[1]


def balance(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """(mean m_g - 0.5)^2 + (mean m_h - 0.5)^2: 0 where both clips give half."""
    return (groove_BDT.mean() - 0.5).square() + (harmony_BDT.mean() - 0.5).square()


def statistics(groove_BDT: Tensor, harmony_BDT: Tensor) -> dict[str, Tensor]:
    """What the log shows of the masks that were used, without gradient."""
    with torch.no_grad():
        shared = overlap(groove_BDT, harmony_BDT)
        return {
            "masks.groove": groove_BDT.mean(),
            "masks.harmony": harmony_BDT.mean(),
            "masks.overlap": shared,
            "masks.complementarity": 1.0 - shared,
        }
