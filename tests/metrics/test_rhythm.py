"""Whose rhythm: onset and envelope correlations and their balance by planted answers."""

import numpy as np
import pytest

from powermuse.metrics import nulls, rhythm

RATE_HZ, FRAME_RATE_HZ = 24_000, 75.0


def _peaks(*heights: float) -> np.ndarray:
    """A wave at 1 kHz whose parts of 64 samples have these peaks, each at another place and sign."""
    wav = np.zeros(64 * len(heights))
    for k, height in enumerate(heights):
        wav[64 * k + 7 * k % 64] = (-1) ** k * height
    return wav


def _strokes(seed: int, seconds: float = 16.0) -> tuple[np.ndarray, np.ndarray]:
    """Noise bursts at random moments, some 4 a second: the sound and its onset curve."""
    random = np.random.default_rng(seed)
    frames = round(seconds * FRAME_RATE_HZ)
    curve = random.uniform(0.2, 1.0, frames) * (random.random(frames) < 4.0 / FRAME_RATE_HZ)
    level = np.repeat(np.convolve(curve, 0.7 ** np.arange(12))[:frames], 320)
    return level * random.uniform(-1.0, 1.0, len(level)), curve


def _evaluate(blend, source) -> rhythm.Rhythm:
    return rhythm.evaluate(blend[0], source[0], blend[1], source[1], RATE_HZ, FRAME_RATE_HZ)


def test_the_source_itself_has_its_rhythm_in_full():
    strokes = _strokes(1)
    assert _evaluate(strokes, strokes) == pytest.approx((1.0, 1.0, 1.0))


def test_an_unrelated_rhythm_has_nothing_of_it():
    # Standard deviations 0.03, 0.03 and 0.07 (measured on 150 pairs): beyond 0.28 (4 sigma) once in 16,000 seeds.
    assert _evaluate(_strokes(1), _strokes(2)) == pytest.approx((0.0, 0.0, 0.0), abs=0.28)


def test_the_rhythm_slides_from_another_to_the_source():
    (source, source_onsets), (other, other_onsets) = _strokes(3), _strokes(4)
    scores = [
        _evaluate((a * source + (1 - a) * other, a * source_onsets + (1 - a) * other_onsets), (source, source_onsets))
        for a in np.linspace(0.0, 1.0, 6)
    ]
    for measure in zip(*scores, strict=True):
        assert list(measure) == sorted(measure)


def test_the_adjusted_correlation_is_the_null_corrected_one():
    (blend, blend_onsets), (source, source_onsets) = _strokes(5), _strokes(6)
    found = _evaluate((blend, blend_onsets), (source, source_onsets))
    plain = np.corrcoef(blend_onsets, source_onsets)[0, 1]
    null = np.mean(
        [np.corrcoef(blend_onsets, np.roll(source_onsets, n))[0, 1] for n in nulls.shifts(source_onsets, FRAME_RATE_HZ)]
    )
    assert found.onset_correlation == pytest.approx(plain)
    assert found.onset_correlation_adjusted == pytest.approx((plain - null) / (1 - null))


def test_the_envelope_is_the_peak_of_each_64_ms():
    assert rhythm.envelope(_peaks(0.5, 0.1, 0.9), 1000).tolist() == [0.5, 0.1, 0.9]
    assert len(rhythm.envelope(np.zeros(16 * RATE_HZ), RATE_HZ)) == 250


def test_a_part_that_is_not_whole_is_left_out():
    assert rhythm.envelope(np.append(_peaks(0.5, 0.1), np.full(63, 9.0)), 1000).tolist() == [0.5, 0.1]
    assert rhythm.envelope(np.ones(63), 1000).tolist() == []


def test_envelope_correlation_by_hand():
    # Deviations (-1, 0, 1) and (-1, 1, 0) / 10: 1 / sqrt(2 x 2).
    assert rhythm.envelope_correlation(_peaks(0.1, 0.2, 0.3), _peaks(0.1, 0.3, 0.2), 1000) == pytest.approx(0.5)
    assert rhythm.envelope_correlation(_peaks(0.1, 0.2, 0.3), _peaks(0.3, 0.2, 0.1), 1000) == pytest.approx(-1.0)


def test_envelope_correlation_does_not_see_polarity_or_gain():
    wav, _ = _strokes(7)
    assert rhythm.envelope_correlation(-0.1 * wav, wav, RATE_HZ) == pytest.approx(1.0)


def test_envelope_correlation_of_a_single_part_and_of_silence_is_0():
    assert rhythm.envelope_correlation(_peaks(0.5), _peaks(0.7), 1000) == 0.0
    assert rhythm.envelope_correlation(np.zeros(640), _peaks(*range(10)), 1000) == 0.0


def test_onset_correlation_by_hand():
    assert rhythm.onset_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)


def test_balance_is_the_ratio_of_what_lies_above_chance():
    assert rhythm.balance(0.6, 0.3) == pytest.approx(2.0)


@pytest.mark.parametrize(("groove", "harmony"), [(0.05, 0.3), (0.6, 0.04), (-0.2, -0.3), (None, 0.3), (0.6, None)])
def test_balance_is_silent_where_either_is_at_chance(groove, harmony):
    assert rhythm.balance(groove, harmony) is None


def test_balance_of_unrelated_rhythms_is_silent():
    # The prototype read 1.4 off noise. Both above 0.05 by chance (sigma 0.03 each): about once in 600 triplets.
    blend, first, second = _strokes(8), _strokes(9), _strokes(10)
    adjusted = [_evaluate(blend, source).onset_correlation_adjusted for source in (first, second)]
    assert rhythm.balance(*adjusted) is None


@pytest.mark.parametrize("measure", [rhythm.onset_correlation, lambda a, b: rhythm.envelope_correlation(a, b, 1000)])
@pytest.mark.parametrize(
    ("blend", "source"),
    [(np.zeros(640), np.zeros(641)), (np.zeros((1, 640)), np.zeros((1, 640)))],
    ids=["length", "rows"],
)
def test_curves_that_are_not_two_of_one_length_are_refused(measure, blend, source):
    with pytest.raises(ValueError, match="equal length"):
        measure(blend, source)


@pytest.mark.parametrize("measure", [rhythm.onset_correlation, lambda a, b: rhythm.envelope_correlation(a, b, 1000)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_curve_that_is_not_finite_is_refused_and_not_scored_0(measure, bad):
    broken = _peaks(*range(10))
    broken[100] = bad
    with pytest.raises(ValueError, match="finite"):
        measure(broken, _peaks(*range(10)))
