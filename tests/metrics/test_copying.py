"""Copying: least squares against scipy, mixes against strangers, re-timed copies."""

from itertools import pairwise

import numpy as np
import pytest

import sounds
from powermuse.metrics import copying

SECONDS = 16.0


def _wav(maker, seed: int) -> np.ndarray:
    return maker(SECONDS, seed)[0]


def _notes(seed: int) -> np.ndarray:
    """Plucked notes at random moments."""
    random, time_s = np.random.default_rng(seed), np.arange(12_000) / 24_000
    wav = np.zeros(round(SECONDS * 24_000) + 12_000)
    for at, pitch in zip(random.integers(0, 384_000, 60), random.integers(45, 75, 60), strict=True):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        wav[at : at + 12_000] += np.exp(-6 * time_s) * sum(np.sin(2 * np.pi * hz * h * time_s) / h for h in range(1, 6))
    return (0.05 * wav[:384_000]).astype(np.float32)


DRUMS, NOTES = _wav(sounds.drums, 0), _notes(0)
A, B = copying.magnitude(DRUMS), copying.magnitude(NOTES)
RANDOM_ONSETS = np.random.default_rng(0).random(1200)
SOURCES = copying.prepare(A, B, RANDOM_ONSETS, RANDOM_ONSETS)


def test_the_gains_of_each_cell_are_scipys_non_negative_least_squares():
    nnls = pytest.importorskip("scipy.optimize").nnls
    random = np.random.default_rng(1)
    for _ in range(50):
        a, b, x = random.random((3, 40)) ** 3
        residual = nnls(np.stack([a, b], axis=1), x)[1] ** 2
        found = copying._fit(
            *(np.array(v) for v in (x @ a, x @ b)), copying.Products(*map(np.array, (a @ a, b @ b, a @ b)))
        )
        assert float(found) == pytest.approx(x @ x - residual, rel=1e-6)


def test_bands_and_cells_cover_every_bin_and_frame_once():
    ones = np.ones_like(A)
    assert copying._cells(ones).shape == (16, 64)
    assert copying._cells(ones).sum() == ones.size


def test_a_mix_is_a_copy_and_so_is_a_source_alone():
    mix, alone = copying.magnitude(0.7 * DRUMS + 0.4 * NOTES), 0.1 * B
    assert copying.copy(mix, SOURCES) > 0.93
    assert copying.copy(alone, SOURCES) == pytest.approx(1.0, abs=1e-6)
    assert copying.free_copy(alone, SOURCES) == pytest.approx(1.0, abs=1e-6)


def test_other_music_of_the_same_make_is_no_copy():
    # Chance values of eight other clips have a standard deviation of .02 and .06.
    others = [copying.magnitude(_wav(sounds.drums, s) + _notes(s)) for s in range(1, 9)]
    assert np.mean([copying.copy(x, SOURCES) for x in others]) == pytest.approx(0.0, abs=0.05)
    assert max(copying.free_copy(x, SOURCES) for x in others) < 0.35


def test_it_slides_with_the_share_of_the_mix_that_is_copied():
    stranger = _wav(sounds.drums, 3) + _notes(3)
    scores = [
        copying.evaluate(copying.magnitude(s * (DRUMS + NOTES) + (1 - s) * stranger), SOURCES)
        for s in np.linspace(0, 1, 6)
    ]
    for values in zip(*scores, strict=True):
        assert all(later > earlier for earlier, later in pairwise(values))


def test_a_late_copy_shows_only_where_time_is_free():
    late = copying.magnitude(np.roll(NOTES, 24_000 // 3))
    assert copying.copy(late, SOURCES) < 0.2
    assert copying.free_copy(late, SOURCES) > 0.9


def test_excess_is_what_lies_beyond_the_truths_own():
    assert copying.excess(0.5, 0.3) == pytest.approx(0.2)
    assert copying.excess(None, 0.3) is copying.excess(0.5, None) is None


def test_silence_is_finite_and_a_loop_is_not_scored():
    nothing = np.zeros_like(A)
    silent = copying.prepare(nothing, nothing, RANDOM_ONSETS, RANDOM_ONSETS)
    assert copying.evaluate(nothing, SOURCES) == (0.0, 0.0)
    assert copying.evaluate(A, silent) == (0.0, 0.0)
    loop = np.tile(np.r_[1.0, 0.0], 600)  # every second frame: even shifts repeat it, odd ones do not
    assert copying.prepare(A, B, loop, RANDOM_ONSETS).shifts != SOURCES.shifts
    alike = np.tile(np.arange(16) == 0, 75).astype(float)
    few = copying.prepare(A, B, alike, RANDOM_ONSETS)._replace(shifts=(1, 2))
    assert copying.copy(A, few) is None


def test_clips_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        copying.prepare(A, B[:, :-12], RANDOM_ONSETS, RANDOM_ONSETS)
    with pytest.raises(ValueError, match="cannot be compared"):
        copying.evaluate(A[:, :-12], SOURCES)
    with pytest.raises(ValueError, match="finite"):
        copying.evaluate(np.full_like(A, np.nan), SOURCES)
