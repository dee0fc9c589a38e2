"""What a pair of masks m_g, m_h in [0, 1], [B, D, T], is asked to be."""

from torch import Tensor

_LEAST_VARIANCE = 0.05
_EPS = 1e-6


def overlap(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """mean(m_g m_h): 0 where nothing is taken from both."""
    return (groove_BDT * harmony_BDT).mean()


def coverage(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """mean((m_g + m_h - 1)^2): 0 where everything is taken from one."""
    return (groove_BDT + harmony_BDT - 1.0).square().mean()


def temporal_diversity(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """Hinge on the variance over time, 0.05 wanted of each; its gradient is zero at constant masks."""
    shortfall = [
        (_LEAST_VARIANCE - m.var(dim=-1, unbiased=False).mean()).clamp_min(0.0) for m in (groove_BDT, harmony_BDT)
    ]
    return shortfall[0] + shortfall[1]


def balance(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """(mean m_g - 0.5)^2 + (mean m_h - 0.5)^2: 0 where both clips give half."""
    return (groove_BDT.mean() - 0.5).square() + (harmony_BDT.mean() - 0.5).square()


def clip_balance(mask_BDT: Tensor) -> Tensor:
    """Mean over clips of (mean of the clip's mask - 0.5)^2: 0 where both give half of every clip."""
    return (mask_BDT.mean(dim=(1, 2)) - 0.5).square().mean()


def channel_balance(mask_BDT: Tensor) -> Tensor:
    """Mean over channels of (mean of the channel's mask over batch and time - 0.5)^2: 0 where no channel is given
    away for good, which is how a fixed split of the channels cheats."""
    return (mask_BDT.mean(dim=(0, 2)) - 0.5).square().mean()


def onset_gap(mask_BDT: Tensor, onsets_BKT: Tensor) -> Tensor:
    """How much more of its clip a mask keeps where the clip has onsets than elsewhere, mean over clips, in [-1, 1].

    The mean mask of a frame weighted by onset strength, minus its plain mean over time: the second is what circular
    shifts of the mask get on average. Unlike a variance it has a gradient at constant masks. A clip without onsets
    counts 0.
    """
    strength_BT = onsets_BKT.mean(dim=1)
    weight_BT = strength_BT / strength_BT.sum(dim=-1, keepdim=True).clamp_min(_EPS)
    has_onsets_B1 = weight_BT.sum(dim=-1, keepdim=True) > 0.5
    kept_BT = mask_BDT.mean(dim=1)
    return ((weight_BT - 1.0 / kept_BT.shape[-1]) * has_onsets_B1 * kept_BT).sum(dim=-1).mean()


def statistics(groove_BDT: Tensor, harmony_BDT: Tensor) -> dict[str, Tensor]:
    """What the log shows of the masks that were used, with gradient, so that a target may bind it."""
    shared = overlap(groove_BDT, harmony_BDT)
    return {
        "balance.groove": groove_BDT.mean(),
        "balance.harmony": harmony_BDT.mean(),
        "overlap": shared,
        "complementarity": 1.0 - shared,
        "separation": separation(groove_BDT, harmony_BDT),
        "content_share": content_share(groove_BDT),
        "balance.clips": _off_half(groove_BDT.mean(dim=(1, 2)), harmony_BDT.mean(dim=(1, 2))),
        "balance.channels": _off_half(groove_BDT.mean(dim=(0, 2)), harmony_BDT.mean(dim=(0, 2))),
    }


def _off_half(groove_means: Tensor, harmony_means: Tensor) -> Tensor:
    """Mean distance of means from 0.5, in [0, 0.5]."""
    return 0.5 * ((groove_means - 0.5).abs().mean() + (harmony_means - 0.5).abs().mean())


def separation(groove_BDT: Tensor, harmony_BDT: Tensor) -> Tensor:
    """-4 cov(m_g, m_h) over everything: 1 for hard masks that share nothing and give half each, 0 for constant ones."""
    return -4.0 * ((groove_BDT - groove_BDT.mean()) * (harmony_BDT - harmony_BDT.mean())).mean()


def content_share(mask_BDT: Tensor) -> Tensor:
    """Share of a mask's variance that lies in time and across clips, in [0, 1]: 0 for a fixed split of the channels.
    1 where the mask does not vary at all over channels; 0 for a constant mask."""
    total = mask_BDT.var(unbiased=False)
    fixed = mask_BDT.mean(dim=(0, 2)).var(unbiased=False)
    return (total - fixed) / total.clamp_min(_EPS)
