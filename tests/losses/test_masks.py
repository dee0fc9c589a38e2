"""The mask terms by values known by hand and by the identities that the specification states."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from powermuse.losses import masks

PENALTIES = (masks.overlap, masks.coverage, masks.temporal_diversity, masks.balance)

MASK = arrays.arrays(np.float64, (2, 3, 8), elements=st.floats(0.0, 1.0))


def _constant(groove: float, harmony: float) -> tuple[Tensor, Tensor]:
    return torch.full((2, 3, 8), groove), torch.full((2, 3, 8), harmony)


def _turns(period: int = 2) -> Tensor:
    """A mask of 0 and 1 in turn, [2, 3, 8]."""
    return (torch.arange(8) // period % 2).float().expand(2, 3, 8)


@pytest.mark.parametrize(
    ("groove", "harmony", "overlap", "coverage", "diversity", "balance"),
    [
        (0.5, 0.5, 0.25, 0.0, 0.1, 0.0),
        (0.3, 0.3, 0.09, 0.16, 0.1, 0.08),
        (1.0, 0.0, 0.0, 0.0, 0.1, 0.5),
        (1.0, 1.0, 1.0, 1.0, 0.1, 0.5),
    ],
)
def test_constant_masks_cost_what_arithmetic_says(groove, harmony, overlap, coverage, diversity, balance):
    pair = _constant(groove, harmony)
    found = [float(penalty(*pair)) for penalty in PENALTIES]
    assert found == pytest.approx([overlap, coverage, diversity, balance], abs=1e-6)


def test_masks_that_take_turns_in_time_cost_nothing():
    pair = _turns(), 1.0 - _turns()
    assert [float(penalty(*pair)) for penalty in PENALTIES] == [0.0, 0.0, 0.0, 0.0]


def test_a_split_of_the_channels_has_no_diversity_in_time():
    channels = torch.tensor([1.0, 0.0])[None, :, None].expand(1, 2, 8)
    assert float(masks.temporal_diversity(channels, 1.0 - channels)) == pytest.approx(0.1)


def test_diversity_asks_each_mask_for_a_variance_of_a_twentieth():
    # Values 0.5 +- 0.2 have variance 0.04: short by 0.01 each. +- 0.3 has 0.09: enough.
    assert float(masks.temporal_diversity(0.3 + 0.4 * _turns(), 0.3 + 0.4 * _turns())) == pytest.approx(0.02, abs=1e-6)
    assert float(masks.temporal_diversity(0.2 + 0.6 * _turns(), 0.3 + 0.4 * _turns())) == pytest.approx(0.01, abs=1e-6)


def test_diversity_has_no_gradient_at_all_at_constant_masks():
    # The documented weakness: the hinge is at its highest and cannot be left.
    pair = [mask.requires_grad_() for mask in _constant(0.5, 0.25)]
    cost = masks.temporal_diversity(*pair)
    assert float(cost.detach()) == pytest.approx(0.1)
    for slope in torch.autograd.grad(cost, pair):
        assert torch.equal(slope, torch.zeros(2, 3, 8))


def test_diversity_has_a_gradient_as_soon_as_a_mask_moves():
    mask = (0.5 + 0.01 * _turns()).requires_grad_()
    (slope,) = torch.autograd.grad(masks.temporal_diversity(mask, _constant(0.5, 0.5)[1]), mask)
    assert float((slope * (_turns() - 0.5)).sum()) < 0  # further apart costs less


@given(MASK, MASK)
def test_overlap_is_the_product_of_the_means_plus_the_covariance(groove, harmony):
    covariance = np.cov(groove.ravel(), harmony.ravel(), bias=True)[0, 1]
    found = float(masks.overlap(torch.from_numpy(groove), torch.from_numpy(harmony)))
    assert found == pytest.approx(groove.mean() * harmony.mean() + covariance, abs=1e-9)


@given(MASK, MASK)
def test_no_term_prefers_one_clip_to_the_other(groove, harmony):
    pair = torch.from_numpy(groove), torch.from_numpy(harmony)
    for penalty in PENALTIES:
        assert float(penalty(*pair)) == pytest.approx(float(penalty(*reversed(pair))), abs=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: penalty.__name__)
def test_gradients_are_those_of_finite_differences(penalty):
    generator = torch.Generator().manual_seed(0)
    pair = [0.4 + 0.2 * torch.rand(1, 2, 5, generator=generator, dtype=torch.float64) for _ in range(2)]
    assert torch.autograd.gradcheck(penalty, [mask.requires_grad_() for mask in pair])


def test_two_constant_halves_already_read_75_percent_complementary():
    stats = masks.statistics(*_constant(0.5, 0.5))
    assert {name: float(value) for name, value in stats.items()} == pytest.approx(
        {
            "balance.groove": 0.5,
            "balance.harmony": 0.5,
            "overlap": 0.25,
            "complementarity": 0.75,
            "separation": 0.0,
            "content_share": 0.0,
            "balance.clips": 0.0,
            "balance.channels": 0.0,
        }
    )


def test_what_is_given_away_for_good_shows_in_the_balance_of_channels_or_of_clips():
    split = torch.zeros(2, 4, 10)
    split[:, :2] = 1.0
    stats = masks.statistics(split, 1.0 - split)
    assert (float(stats["balance.channels"]), float(stats["balance.clips"])) == (0.5, 0.0)
    whole = torch.zeros(2, 4, 10)
    whole[0] = 1.0
    stats = masks.statistics(whole, 1.0 - whole)
    assert (float(stats["balance.channels"]), float(stats["balance.clips"])) == (0.0, 0.5)
    one_sided = masks.statistics(split, torch.full_like(split, 0.5))
    assert float(one_sided["balance.channels"]) == 0.25  # of the groove alone


def test_a_fixed_split_of_the_channels_separates_without_content():
    split = torch.zeros(2, 4, 10)
    split[:, :2] = 1.0
    assert float(masks.separation(split, 1.0 - split)) == 1.0
    assert float(masks.content_share(split)) == 0.0
    assert float(masks.channel_balance(split)) == 0.25 and float(masks.clip_balance(split)) == 0.0


def test_turns_in_time_separate_with_nothing_but_content():
    turns = torch.zeros(2, 4, 10)
    turns[..., :5] = 1.0
    assert float(masks.separation(turns, 1.0 - turns)) == 1.0
    assert float(masks.content_share(turns)) == 1.0
    assert float(masks.channel_balance(turns)) == 0.0
    given_away = torch.stack([torch.ones(4, 10), torch.zeros(4, 10)])
    assert float(masks.clip_balance(given_away)) == 0.25 and float(masks.channel_balance(given_away)) == 0.0


def test_the_onset_gap_is_the_weighted_mean_over_the_plain_one_and_has_a_gradient_at_constant_masks():
    onsets = torch.zeros(1, 8, 10)
    onsets[..., 3] = 2.0
    keeps = torch.zeros(1, 4, 10)
    keeps[..., 3] = 1.0
    assert float(masks.onset_gap(keeps, onsets)) == pytest.approx(0.9)
    assert float(masks.onset_gap(1.0 - keeps, onsets)) == pytest.approx(-0.9)
    constant = torch.full((1, 4, 10), 0.5, requires_grad=True)
    gap = masks.onset_gap(constant, onsets)
    gap.backward()
    assert float(gap.detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(constant.grad[0, 0, 3]) == pytest.approx(0.9 / 4)
    assert float(masks.onset_gap(keeps, torch.zeros(1, 8, 10))) == 0.0


def test_statistics_carry_the_gradient_that_targets_need():
    groove = torch.rand(1, 4, 10, requires_grad=True)
    for name, value in masks.statistics(groove, 1.0 - groove.detach()).items():
        if name != "balance.harmony":
            (slope,) = torch.autograd.grad(value, groove, retain_graph=True)
            assert slope.isfinite().all() and float(slope.abs().sum()) > 0, name
