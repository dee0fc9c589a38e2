"""Noise on what the model hears."""

import torch

from powermuse.training.curriculum import noisy
from powermuse.types import Clip


def clip() -> Clip:
    z = 5.7 * torch.randn(2, 64, 400, generator=torch.Generator().manual_seed(0))
    return Clip(z, torch.rand(2, 8, 400), torch.rand(2, 24, 400), torch.zeros(2, 400))


def test_without_noise_the_clip_is_itself():
    one = clip()
    assert noisy(one, 0.0) is one


def test_noise_has_the_standard_deviation_of_the_clip_and_leaves_the_features():
    one = clip()
    torch.manual_seed(1)
    half, full = noisy(one, 0.5), noisy(one, 1.0)
    assert abs(float(full.z_BDT.std() / one.z_BDT.std()) - 1.0) < 0.02
    assert abs(float((full.z_BDT * one.z_BDT).mean())) < 0.5
    assert abs(float(half.z_BDT.std() / one.z_BDT.std()) - 0.5**0.5) < 0.02
    assert half.onsets_BKT is one.onsets_BKT and half.level_BT is one.level_BT
