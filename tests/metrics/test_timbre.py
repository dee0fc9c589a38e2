"""Colour: coefficients against librosa, the score from one instrument to another."""

from itertools import pairwise

import numpy as np
import pytest

from powermuse.audio import spectra
from powermuse.metrics import timbre

RATE_HZ = 24_000


def _tones(decay: float, seed: int) -> np.ndarray:
    """Notes of a random tune whose overtones fall by `decay`: dull at .3, bright at .9."""
    random, time_s = np.random.default_rng(seed), np.arange(RATE_HZ // 2) / RATE_HZ
    notes = []
    for pitch in random.integers(50, 70, 8):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        notes.append(np.exp(-3 * time_s) * sum(decay**h * np.sin(2 * np.pi * hz * h * time_s) for h in range(1, 12)))
    wav = np.concatenate(notes) + 1e-3 * random.standard_normal(8 * len(time_s))
    return (0.1 * wav / np.sqrt(np.mean(wav**2))).astype(np.float32)


def _statistics(wav_N: np.ndarray) -> np.ndarray:
    return timbre.statistics(timbre.mfcc(wav_N))


def test_coefficients_are_librosas():
    feature = pytest.importorskip("librosa").feature
    import torch

    wav = _tones(0.6, 0)
    power_FT = spectra.power_spectrum(torch.from_numpy(wav)[None], 1024, 512)[0]
    power = (spectra.mel_filters(RATE_HZ, 1024, 40, 0.0, 11_000.0) @ power_FT).numpy().astype(np.float64)
    theirs = feature.mfcc(S=np.log(power + power.max() * 1e-6), n_mfcc=13, dct_type=2, norm="ortho")[1:]
    assert timbre.mfcc(wav) == pytest.approx(theirs, abs=1e-3)


def test_the_clip_itself_scores_1_the_unrelated_0_and_level_is_not_seen():
    bright, dull = _tones(0.9, 0), _tones(0.3, 1)
    assert timbre.evaluate(_statistics(bright), _statistics(bright), _statistics(dull)) == 1.0
    assert timbre.evaluate(_statistics(dull), _statistics(bright), _statistics(dull)) == 0.0
    assert timbre.evaluate(_statistics(0.1 * bright), _statistics(bright), _statistics(dull)) == pytest.approx(
        1.0, abs=0.02
    )


def test_another_tune_on_the_same_instrument_is_near_it():
    assert timbre.evaluate(_statistics(_tones(0.9, 5)), _statistics(_tones(0.9, 0)), _statistics(_tones(0.3, 1))) > 0.4


def test_it_slides_from_one_instrument_to_the_other():
    far, near = _statistics(_tones(0.3, 1)), _statistics(_tones(0.9, 0))
    scores = [timbre.evaluate(_statistics(_tones(decay, 2)), near, far) for decay in (0.3, 0.45, 0.6, 0.75, 0.9)]
    assert all(later > earlier for earlier, later in pairwise(scores))


def test_silence_is_finite_and_the_same_colour_twice_is_not_scored():
    silence = _statistics(np.zeros(RATE_HZ, np.float32))
    assert (silence == 0).all() and len(silence) == 24
    assert timbre.evaluate(silence, _statistics(_tones(0.9, 0)), _statistics(_tones(0.3, 1))) < 1.0
    assert timbre.evaluate(silence, silence, silence) is None
    with pytest.raises(ValueError, match="mono"):
        timbre.mfcc(np.array([np.nan]))
