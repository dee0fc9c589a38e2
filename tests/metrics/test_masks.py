"""Measures of masks: what constant masks, fixed splits and honest ones get."""

import numpy as np
import pytest

from powermuse.metrics import masks

RANDOM = np.random.default_rng(0)


def honest(clips: int = 6, frames: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Masks that keep the groove on its onsets, and the onset envelopes."""
    onsets = (RANDOM.random((clips, frames)) < 0.1).astype(float)
    near = onsets + np.roll(onsets, 1, axis=1) + np.roll(onsets, -1, axis=1)
    return np.repeat((near > 0)[:, None].astype(float), 4, axis=1), onsets


def test_constant_halves_have_75_percent_and_nothing_else():
    half = np.full((2, 4, 50), 0.5)
    assert masks.complementarity(half, half) == 0.75
    assert masks.separation(half, half) == 0.0 and masks.content_share(half) == 0.0


def test_a_fixed_split_has_everything_but_content_and_response():
    split = np.zeros((2, 4, 50))
    split[:, :2] = 1.0
    assert masks.complementarity(split, 1 - split) == 1.0 and masks.separation(split, 1 - split) == 1.0
    assert masks.content_share(split) == 0.0 and masks.swap_response(split, split) == 0.0


def test_the_onset_gap_is_high_for_honest_masks_and_0_for_shifted_ones():
    mask, onsets = honest()
    assert masks.onset_gap(mask, onsets) == pytest.approx(1.0 - mask.mean(), abs=0.05)
    gaps = [masks.onset_gap(np.roll(mask, n, axis=-1), onsets) for n in range(100)]
    assert np.mean(gaps) == pytest.approx(0.0, abs=1e-9)


def test_shift_agreement_is_1_for_masks_that_move_with_the_music_and_a_third_for_chance():
    mask = (RANDOM.random((3, 8, 200)) < 0.5).astype(float)
    moved = np.concatenate([mask[..., 37:], np.ones((3, 8, 37))], axis=-1)
    assert masks.shift_agreement(mask, moved, 37) == 1.0
    assert masks.shift_agreement(mask, mask, 37) == pytest.approx(1 / 3, abs=0.03)


def test_evaluate_gathers_all_of_it():
    mask, onsets = honest()
    half = mask.shape[-1] // 2
    next_one = np.roll(mask, -half, axis=-1)
    found = masks.evaluate(mask, 1 - mask, 1 - mask, mask, 37, next_one, onsets)
    assert found.complementarity == 1.0 and found.swap_response == 1.0 and found.neighbour_agreement == 1.0
    assert found.mean_groove + found.mean_harmony == pytest.approx(1.0)


def test_masks_out_of_range_or_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        masks.validate(np.zeros((1, 2, 3)), np.zeros((1, 2, 4)))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        masks.validate(np.full((1, 2, 3), 1.5), np.zeros((1, 2, 3)))


def test_the_losses_measure_the_same_separation_and_content_share():
    import torch

    from powermuse.losses import masks as losses

    mask, other = RANDOM.random((3, 4, 20)), RANDOM.random((3, 4, 20))
    assert masks.separation(mask, other) == pytest.approx(float(losses.separation(*map(torch.tensor, (mask, other)))))
    assert masks.content_share(mask) == pytest.approx(float(losses.content_share(torch.tensor(mask))))
