"""Fréchet distance in closed form; flux and roll-off on sounds of known make."""

from itertools import pairwise

import numpy as np
import pytest

from powermuse.metrics import quality

RANDOM = np.random.default_rng(0)


def test_equal_sets_are_at_0_and_a_move_costs_its_square():
    x = RANDOM.standard_normal((500, 5))
    assert quality.frechet(x, x) == pytest.approx(0.0, abs=1e-9)
    assert quality.frechet(x, x + np.array([3.0, 0, 0, 4.0, 0])) == pytest.approx(25.0)


def test_it_is_the_closed_form_for_axes_that_are_independent():
    # Exactly uncorrelated samples of known spread: sum over axes of (s1 - s2)^2.
    x = np.linalg.qr(RANDOM.standard_normal((400, 4)) - 0.0)[0]
    x = np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(399)
    x -= x.mean(axis=0)
    one, two = np.array([1.0, 2.0, 3.0, 0.5]), np.array([2.0, 2.0, 1.0, 0.1])
    assert quality.frechet(x * one, x * two) == pytest.approx(((one - two) ** 2).sum(), rel=1e-6)


def test_it_is_scipys_for_full_covariances():
    sqrtm = pytest.importorskip("scipy.linalg").sqrtm
    x, y = RANDOM.standard_normal((300, 6)) @ RANDOM.standard_normal((6, 6)), RANDOM.standard_normal((300, 6)) + 1
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    gap = x.mean(axis=0) - y.mean(axis=0)
    wanted = gap @ gap + np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    assert quality.frechet(x, y) == pytest.approx(wanted, rel=1e-6)


def test_it_grows_with_what_is_wrong_and_its_interval_holds_it():
    clips = [
        RANDOM.standard_normal((5, 100)) * np.linspace(2, 0.1, 100) + RANDOM.standard_normal(100) for _ in range(60)
    ]
    worse = [
        quality.evaluate(clips, [c + s * RANDOM.standard_normal(c.shape) for c in clips], rounds=20) for s in (0, 1, 2)
    ]
    assert all(later.value > earlier.value for earlier, later in pairwise(worse))
    assert worse[0].value == pytest.approx(0.0, abs=1e-6)
    assert worse[2].low < worse[2].value < worse[2].high
    assert quality.evaluate(clips, clips[::-1], seed=1, rounds=5) == quality.evaluate(
        clips, clips[::-1], seed=1, rounds=5
    )


def test_principal_directions_are_those_of_the_reference():
    x = RANDOM.standard_normal((200, 3)) * np.array([0.1, 10.0, 1.0])
    directions = quality.principal(x, 2)
    assert np.abs(directions[1, 0]) == pytest.approx(1.0, abs=1e-2) and directions.shape == (3, 2)


def test_sets_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="equal size"):
        quality.frechet(np.zeros((4, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="finite"):
        quality.frechet(np.full((4, 2), np.nan), np.zeros((4, 2)))


def test_blur_in_time_lowers_the_flux():
    noise = np.abs(RANDOM.standard_normal((513, 400)))
    blurred = [np.mean([np.roll(noise, k, axis=1) for k in range(n)], axis=0) for n in (1, 2, 4, 8)]
    values = [quality.flux(x) for x in blurred]
    assert all(later < earlier for earlier, later in pairwise(values))
    assert quality.flux(np.ones((513, 10))) == quality.flux(np.zeros((513, 10))) == 0.0


def test_roll_off_is_where_nine_tenths_of_the_energy_lie_below():
    flat = np.ones((1201, 3))
    assert quality.rolloff_hz(flat, 24_000) == pytest.approx(10_800, abs=20)
    one = np.zeros((1201, 3))
    one[100] = 1.0
    assert quality.rolloff_hz(one, 24_000) == 1000.0 and quality.rolloff_hz(0 * one, 24_000) == 0.0
