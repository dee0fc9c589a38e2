"""Level and novelty: small functions by hand."""

from itertools import pairwise

import numpy as np
import pytest

from powermuse.metrics import level, novelty

RANDOM = np.random.default_rng(0)


def test_the_level_wanted_is_the_root_of_the_mean_power_of_the_sources():
    tone = np.sin(np.arange(1000) * 0.1)
    assert level.rms(np.array([3.0, -3.0])) == 3.0
    assert level.evaluate(tone, tone, tone) == pytest.approx(1.0)
    assert level.evaluate(2 * tone, tone, tone) == pytest.approx(2.0)
    assert level.evaluate(tone, tone, 0 * tone) == pytest.approx(2**0.5)
    assert level.evaluate(0 * tone, tone, tone) == 0.0 and level.evaluate(tone, 0 * tone, 0 * tone) is None
    with pytest.raises(ValueError, match="finite"):
        level.rms(np.array([np.nan]))


def test_novelty_is_near_1_for_a_copy_of_both_and_low_for_a_stranger():
    a, b, stranger = RANDOM.standard_normal((3, 80, 400))
    mixes = [novelty.evaluate(s * a + (1 - s) * stranger, a, a + 1e-3 * b) for s in np.linspace(0, 1, 5)]
    assert all(later > earlier for earlier, later in pairwise(mixes))
    assert mixes[-1] == pytest.approx(1.0, abs=0.01)
    # |cosine| of random directions in 80 dimensions: sqrt(2 / (80 pi)) = .089.
    assert novelty.frame_cosine(a, stranger) == pytest.approx(0.089, abs=0.01)


def test_a_negative_is_a_copy_and_silence_is_none():
    a, zeros = RANDOM.standard_normal((80, 10)), np.zeros((80, 10))
    half = np.where(np.arange(10) < 5, a, -a)
    assert novelty.frame_cosine(half, a) == pytest.approx(1.0)
    assert novelty.frame_cosine(zeros, a) == 0.0 and novelty.evaluate(zeros, zeros, zeros) == 0.0
    with pytest.raises(ValueError, match="one shape"):
        novelty.frame_cosine(a, a[:, 1:])


def test_the_loss_measures_the_same_cosine():
    import torch

    from powermuse.losses import novelty as loss

    a, b = RANDOM.standard_normal((2, 80, 50))
    assert novelty.frame_cosine(a, b) == pytest.approx(float(loss.frame_cosine(*map(torch.tensor, (a[None], b[None])))))
