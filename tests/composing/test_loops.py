"""A piece that ends where it begins."""

import numpy as np
import pytest

from powermuse.audio import clips
from powermuse.composing import loops

RATE = 24_000


def sound(hz: float, samples: int) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(samples) / RATE, dtype=np.float32)[None]


def jump_at_the_seam(wav_CN: np.ndarray) -> float:
    """The step from the last sample to the first, over the largest step elsewhere."""
    steps = np.abs(np.diff(wav_CN[0]))
    return float(abs(wav_CN[0, 0] - wav_CN[0, -1]) / steps.max())


def test_the_end_leads_to_the_beginning():
    longer = sound(317.3, 54_000)  # whose period does not divide 48,000 samples
    assert jump_at_the_seam(longer[:, :48_000]) > 1.5
    folded = loops.folded(longer, 48_000)
    assert folded.shape == (1, 48_000)
    assert jump_at_the_seam(folded) <= 1.01
    assert np.array_equal(folded[:, 6_000:], longer[:, 6_000:48_000])


@pytest.mark.parametrize("alike", [True, False])
def test_the_level_stays_where_tail_and_head_are_alike_and_where_they_are_not(alike):
    random = np.random.default_rng(0)
    longer = 0.1 * random.standard_normal((1, 60_000)).astype(np.float32)
    if alike:
        longer[:, 48_000:] = longer[:, :12_000]
    folded = loops.folded(longer, 48_000)
    for begin in range(0, 12_000, 3_000):
        assert clips.level_db(folded[:, begin : begin + 3_000]) == pytest.approx(-20.0, abs=0.4)


def test_a_change_around_a_loop_knows_what_comes_before_its_beginning():
    wav = sound(100.0, 4_800)  # twenty whole periods
    smooth = np.hanning(101) / np.hanning(101).sum()

    def change(x: np.ndarray) -> np.ndarray:
        return np.convolve(x[0], smooth, mode="same")[None]

    # Of a tone, of which a loop knows no end, a smoothing is the tone again, a little fainter.
    found = loops.around(change, wav, RATE)
    assert np.abs(found / found.max() - wav / wav.max()).max() < 1e-3
    assert np.abs(change(wav) - found).max() > 0.05
