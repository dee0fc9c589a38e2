"""Chroma similarity: equality, chance, and the slide between."""

from itertools import pairwise

import numpy as np
import pytest

from powermuse.metrics import harmony

RATE_HZ, FRAMES = 18.75, 300


def _chroma(seed: int) -> np.ndarray:
    """A triad for each half second, some noise over it."""
    random = np.random.default_rng(seed)
    roots = np.repeat(random.integers(0, 12, 34), 9)[:FRAMES]
    notes = (np.arange(12)[:, None, None] == (roots[:, None] + np.array([0, 4, 7])) % 12).any(axis=-1)
    return notes + 0.1 * random.random((12, FRAMES))


def _onsets(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(FRAMES)


def test_the_same_notes_score_1_whatever_their_level():
    chroma = _chroma(0)
    assert harmony.evaluate(3.0 * chroma, chroma, _onsets(0), RATE_HZ) == pytest.approx(1.0)


def test_other_notes_score_about_0_though_their_plain_cosine_is_high():
    # Standard deviation of a score .06 (measured on 200 pairs): a mean of 20 beyond .06 is 4 sigma.
    plain = [harmony.chroma_similarity(_chroma(2 * k), _chroma(2 * k + 1)) for k in range(20)]
    scores = [harmony.evaluate(_chroma(2 * k), _chroma(2 * k + 1), _onsets(k), RATE_HZ) for k in range(20)]
    assert np.mean(plain) > 0.25
    assert np.mean(scores) == pytest.approx(0.0, abs=0.06)


def test_it_slides():
    truth, other = _chroma(1), _chroma(2)
    scores = [
        harmony.evaluate(np.where(np.arange(FRAMES) < cut, truth, other), truth, _onsets(0), RATE_HZ)
        for cut in range(0, FRAMES + 1, 60)
    ]
    assert all(later > earlier for earlier, later in pairwise(scores))


def test_silence_scores_0_and_a_frame_that_only_one_plays_counts_0():
    chroma = _chroma(0)
    assert harmony.chroma_similarity(np.zeros((12, FRAMES)), np.zeros((12, FRAMES))) == 0.0
    assert harmony.chroma_similarity(np.where(np.arange(FRAMES) < 150, chroma, 0.0), chroma) == pytest.approx(0.5)


def test_harmony_that_does_not_change_leaves_no_room():
    steady = np.tile(_chroma(0)[:, :1], FRAMES)
    assert harmony.evaluate(steady, steady, _onsets(0), RATE_HZ) is None


@pytest.mark.parametrize("bad", [np.zeros((11, 5)), np.full((12, 5), np.nan), np.full((12, 5), -1.0)])
def test_what_is_not_a_chroma_is_refused(bad):
    with pytest.raises(ValueError, match="chroma"):
        harmony.evaluate(bad, np.ones((12, 5)), np.ones(5), RATE_HZ)
