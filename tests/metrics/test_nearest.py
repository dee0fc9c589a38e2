"""The nearest bar: found where it is, at any level, and not where there is none."""

import numpy as np
import pytest

from powermuse.metrics import nearest

BANDS, BAR = 20, 30


def music(seed: int, frames: int = 400) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(BANDS, frames + 4))
    return np.lib.stride_tricks.sliding_window_view(noise, 5, axis=1).sum(axis=-1)


def test_a_bar_that_was_cut_out_of_a_source_is_found_at_its_place_whatever_its_level_and_colour():
    source, blend = music(1), music(2)
    blend[:, 2 * BAR : 3 * BAR] = 0.5 * source[:, 137 : 137 + BAR]
    blend -= blend.mean(axis=1, keepdims=True)
    coloured = blend + np.linspace(-5, 5, BANDS)[:, None]
    for heard in (blend, coloured):
        found = nearest.evaluate(heard, source - source.mean(axis=1, keepdims=True), BAR)
        assert (found.blend_frame, found.source_frame) == (2 * BAR, 137)
        assert found.similarity > 0.9


def test_the_similarity_is_the_correlation_of_the_two_stretches():
    blend, source = music(3), music(4)
    found = nearest.evaluate(blend, source, BAR)
    blend, source = (x - x.mean(axis=1, keepdims=True) for x in (blend, source))
    best = max(
        float((p * s).sum() / np.sqrt((p * p).sum() * (s * s).sum()))
        for b in range(0, 400 - BAR + 1, BAR)
        for i in range(400 - BAR + 1)
        for p, s in ((blend[:, b : b + BAR], source[:, i : i + BAR]),)
    )
    assert found.similarity == pytest.approx(best, abs=1e-9)


def test_silence_is_like_nothing_and_noise_only_a_little():
    assert nearest.evaluate(np.zeros((BANDS, 90)), music(1), BAR).similarity == 0.0
    dice = np.random.default_rng(0)
    assert nearest.evaluate(dice.normal(size=(BANDS, 300)), dice.normal(size=(BANDS, 300)), BAR).similarity < 0.3


@pytest.mark.parametrize(
    ("blend", "source", "frames"), [((4, 50), (5, 50), 9), ((4, 50), (4, 8), 9), ((4, 50), (4, 50), 0)]
)
def test_what_cannot_be_compared_is_refused(blend, source, frames):
    with pytest.raises(ValueError, match="wanted"):
        nearest.evaluate(np.zeros(blend), np.zeros(source), frames)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        nearest.evaluate(np.full((4, 50), np.nan), np.zeros((4, 50)), 9)


def test_stretches_of_no_whole_number_of_frames_do_not_drift():
    assert nearest._begins(1000, 92, 92.5)[:3] == [0, 92, 185] and nearest._begins(1000, 92, 92.5)[8] == 740
    assert nearest._begins(185, 92, 92.5) == [0, 92] and nearest._begins(184, 92, 92) == [0, 92]
    source = music(1, 1000)
    blend = np.random.default_rng(3).normal(size=source.shape)
    blend[:, 740:832] = source[:, 300:392]
    assert nearest.evaluate(blend, source, 92, 92.5)[:2] == (740, 300)
