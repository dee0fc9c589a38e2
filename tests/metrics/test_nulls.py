"""The correction of a similarity by chance: perfect, chance, the slide between, and loops."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from powermuse.metrics import nulls

RATE_HZ = 75.0
FRAMES = 1200


def _onsets(seed: int, frames: int = FRAMES) -> np.ndarray:
    """An onset curve of 16 s: some 4 strokes a second at random moments, each decaying within a tenth."""
    random = np.random.default_rng(seed)
    strokes = random.random(frames) * (random.random(frames) < 4.0 / RATE_HZ)
    return np.convolve(strokes, 0.6 ** np.arange(8))[:frames]


def _score(blend: np.ndarray, source: np.ndarray) -> float | None:
    return nulls.evaluate(nulls.pearson, blend, source, source, RATE_HZ)


def test_the_source_itself_scores_1():
    for seed in range(5):
        assert _score(_onsets(seed), _onsets(seed)) == pytest.approx(1.0, abs=1e-12)


def test_an_unrelated_curve_scores_about_0():
    # Scores of unrelated pairs have a standard deviation of 0.042 about 0 (measured on 2,000 pairs). For 40 of them a
    # mean beyond 0.026 (4 sigma) is a false alarm once in 16,000 choices of seeds, one score beyond 0.21 (5 sigma)
    # once in 44,000.
    scores = [_score(_onsets(2 * k), _onsets(2 * k + 1)) for k in range(40)]
    assert abs(np.mean(scores)) < 0.026
    assert max(np.abs(scores)) < 0.21


def test_a_similarity_that_is_high_by_chance_scores_about_0():
    # The cosine of two curves uniform in [0, 1] is 0.75 whatever they are: sd of the score 0.04, 0.2 is 5 sigma.
    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))

    blend, source = np.random.default_rng(0).random((2, FRAMES))
    assert cosine(blend, source) == pytest.approx(0.75, abs=0.03)
    assert nulls.evaluate(cosine, blend, source, source, RATE_HZ) == pytest.approx(0.0, abs=0.2)
    assert nulls.evaluate(cosine, source, source, source, RATE_HZ) == pytest.approx(1.0)


def test_the_score_slides_from_chance_to_perfect():
    source, other = _onsets(3), _onsets(4)
    scores = [_score(share * source + (1 - share) * other, source) for share in np.linspace(0.0, 1.0, 11)]
    assert all(later > earlier for earlier, later in pairwise(scores))
    assert abs(scores[0]) < 0.2 and scores[-1] == pytest.approx(1.0)


def test_a_shifted_copy_is_not_the_rhythm():
    source = _onsets(5)
    assert abs(_score(np.roll(source, 20), source)) < 0.2


def test_a_perfectly_periodic_source_is_not_scored():
    # 10 ms of period: each of the 20 shifts is a whole number of periods, at 1,000 frames a second exactly.
    loop = np.tile(np.arange(10) == 0, 400).astype(float)
    assert nulls.shifts(loop, 1000.0) == []
    assert nulls.evaluate(nulls.pearson, _onsets(6, 4000), loop, loop, 1000.0) is None


def test_two_shifts_are_too_few():
    # 4 frames at 1 Hz leave the shifts 1, 2 and 3; this source repeats after 2.
    loop = np.array([1.0, 0.0, 1.0, 0.0])
    assert nulls.shifts(loop, 1.0) == [1, 3]
    assert nulls.evaluate(nulls.pearson, loop, loop, loop, 1.0) is None
    source = np.array([1.0, 0.0, 0.0, 0.0])
    assert nulls.evaluate(nulls.pearson, source, source, source, 1.0) == pytest.approx(1.0)


def test_shifts_are_the_five_times_four_of_the_specification():
    expected = sorted(first + 300 * quarter for first in (28, 46, 70, 95, 128) for quarter in range(4))
    assert nulls.shifts(_onsets(7), RATE_HZ) == expected


def test_only_the_shifts_at_which_a_loop_repeats_are_left_out():
    loop = np.tile(_onsets(9, 47), 32)  # 47 frames are 0.61 s here, and a quarter of the clip is 8 x 47
    all_shifts, allowed = (set(nulls.shifts(curve, 77.05)) for curve in (_onsets(8, len(loop)), loop))
    assert len(all_shifts) == 20
    assert all_shifts - allowed == {47, 9 * 47, 17 * 47, 25 * 47}


def test_a_source_is_judged_a_loop_by_its_onsets_and_not_by_what_is_compared():
    loop = np.tile(np.arange(10) == 0, 400).astype(float)
    chroma = np.random.default_rng(0).random((12, 4000))
    assert nulls.evaluate(nulls.pearson, chroma, chroma, loop, 1000.0) is None
    assert nulls.evaluate(nulls.pearson, chroma, chroma, _onsets(1, 4000), 1000.0) == pytest.approx(1.0)


def test_curves_of_several_rows_are_shifted_in_time_only():
    source = np.stack([_onsets(1), 10.0 + _onsets(2)])  # rows that differ: a shift across rows would show
    seen = []

    def watch(blend: np.ndarray, shifted: np.ndarray) -> float:
        seen.append(shifted)
        return 0.0

    nulls.evaluate(watch, source, source, source[0], RATE_HZ)
    assert len(seen) == 21
    assert all(shifted[0].max() < 10.0 <= shifted[1].min() for shifted in seen)


@pytest.mark.parametrize(
    ("value", "null", "adjusted"), [(1.0, 0.3, 1.0), (0.3, 0.3, 0.0), (0.65, 0.3, 0.5), (0.0, 0.5, -1.0)]
)
def test_correction_puts_chance_at_0_and_equality_at_1(value, null, adjusted):
    assert nulls.corrected(value, null) == pytest.approx(adjusted)


@pytest.mark.parametrize(("null", "scored"), [(0.79, True), (0.81, False)])
def test_where_chance_leaves_less_than_a_fifth_nothing_is_said(null, scored):
    assert (nulls.corrected(0.9, null) is not None) is scored
    assert (nulls.evaluate(lambda a, b: null, _onsets(1), _onsets(2), _onsets(2), RATE_HZ) is not None) is scored


def test_pearson_is_numpys():
    a, b = _onsets(1), _onsets(2) + 0.5 * _onsets(1)
    assert nulls.pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])


@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-100.0, 100.0))
def test_pearson_does_not_see_gain_and_offset(gain, offset):
    a, b = _onsets(1), _onsets(2)
    assert nulls.pearson(gain * a + offset, b) == pytest.approx(nulls.pearson(a, b), abs=1e-6)
    assert nulls.pearson(-gain * a + offset, b) == pytest.approx(-nulls.pearson(a, b), abs=1e-6)


def test_pearson_of_a_curve_that_does_not_vary_is_0():
    assert nulls.pearson(np.full(100, 0.1, np.float32), _onsets(1, 100)) == pytest.approx(0.0, abs=1e-6)
    assert nulls.pearson(np.zeros(100), np.zeros(100)) == 0.0


@pytest.mark.parametrize(
    ("curve", "rate_hz", "words"),
    [
        (np.ones(1), 75.0, "at least 2 finite frames"),
        (np.zeros((3, 0)), 75.0, "at least 2 finite frames"),
        (np.array([0.0, np.nan]), 75.0, "at least 2 finite frames"),
        (np.array([0.0, np.inf]), 75.0, "at least 2 finite frames"),
        (np.ones(5), 0.0, "frame rate must be positive"),
    ],
)
def test_curves_that_cannot_be_scored_are_refused(curve, rate_hz, words):
    with pytest.raises(ValueError, match=words):
        nulls.validate(curve, rate_hz)
    for blend, source in ((curve, np.ones(5)), (np.ones(5), curve)):
        with pytest.raises(ValueError, match=words):
            nulls.evaluate(nulls.pearson, blend, source, np.ones(5), rate_hz)


def _sixteenths(seed: int) -> np.ndarray:
    """A random pattern of 32 sixteenths at 120 beats a minute, repeated for 16 s."""
    random = np.random.default_rng(seed)
    bars = np.tile((random.random(32) < 0.4) * random.uniform(0.4, 1.0, 32), 4)
    strokes = np.zeros(FRAMES)
    strokes[np.round(np.arange(128) * 0.125 * RATE_HZ).astype(int)] = bars
    return np.convolve(strokes, 0.6 ** np.arange(8))[:FRAMES]


def test_a_grid_that_is_shared_counts_over_shifts_and_not_over_others():
    # Measured: .25 +- .14 and -.02 +- .23. A mean of 40 beyond .15 is 4 sigma.
    others = [_sixteenths(1000 + k) for k in range(8)]
    pairs = [(_sixteenths(2 * k), _sixteenths(2 * k + 1)) for k in range(40)]
    over_shifts = [_score(blend, source) for blend, source in pairs]
    over_others = [nulls.over_others(nulls.pearson, blend, source, others) for blend, source in pairs]
    assert np.mean(over_shifts) > 0.15
    assert np.mean(over_others) == pytest.approx(0.0, abs=0.15)
    assert nulls.over_others(nulls.pearson, pairs[0][0], pairs[0][0], others) == pytest.approx(1.0)


def test_two_others_are_too_few():
    assert nulls.over_others(nulls.pearson, _onsets(0), _onsets(1), [_onsets(2), _onsets(3)]) is None


def test_a_loop_is_corrected_over_other_sources_where_there_are_some():
    loop = np.tile(np.arange(10) == 0, 400).astype(float)
    blend, others = loop + 0.2 * _onsets(4, 4000), [_onsets(seed, 4000) for seed in range(5, 10)]
    assert nulls.evaluate(nulls.pearson, blend, loop, loop, 1000.0) is None
    corrected = nulls.evaluate(nulls.pearson, blend, loop, loop, 1000.0, others)
    assert corrected == nulls.over_others(nulls.pearson, blend, loop, others) > 0.5
