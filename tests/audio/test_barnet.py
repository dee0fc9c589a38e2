"""What is heard of a grid beat by beat: its bars, and whether it is the music's."""

import numpy as np
import pytest
import torch

import sounds
from bars_of_rock import groove
from powermuse.audio import barnet, beatnet, features
from powermuse.audio.barnet import BARS, Beats
from powermuse.audio.clock import FRAME_RATE_HZ
from powermuse.audio.features import Features


def told_rows(heard: Features, tempo_bpm: float, count: int = 16) -> np.ndarray:
    beats = Beats(0.0, 60.0 * FRAME_RATE_HZ / tempo_bpm)
    onsets_KT, chroma_PT = heard.onsets_BKT[0].numpy(), heard.chroma_BPT[0].numpy()
    return barnet.rows(barnet.strokes(onsets_KT, beats, count), barnet.chords(chroma_PT, beats, count))


@pytest.mark.parametrize("tempo_bpm", [75.0, 100.0, 150.0])
@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_bars_begin_where_the_bass_says_so(tempo_bpm, late):
    assert bars(groove(tempo_bpm, late), tempo_bpm) == (4, late)


@pytest.mark.parametrize("tempo_bpm", [84.0, 132.0])
@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_bars_begin_where_drums_alone_say_so(tempo_bpm, late):
    wav_1N = torch.from_numpy(sounds.rock(12.0, tempo_bpm, late)).float()
    assert bars(features.extract(wav_1N), tempo_bpm) == (4, late)


def bars(heard: Features, tempo_bpm: float) -> tuple[int, int]:
    told = barnet.hear(heard, Beats(0.0, 60.0 * FRAME_RATE_HZ / tempo_bpm))
    assert np.exp(told.bars_H).sum() == pytest.approx(1.0, abs=1e-4)
    return BARS[int(told.bars_H.argmax())]


@pytest.mark.parametrize(("away", "ratio"), [(0.5, 1.0), (0.0, 1.5), (0.0, 2 / 3), (0.25, 1.0)])
def test_a_grid_beside_the_music_fits_worse(away, ratio):
    heard, period = groove(112.5), 60.0 * FRAME_RATE_HZ / 112.5
    right = barnet.hear(heard, Beats(0.0, period)).fits
    assert right > barnet.hear(heard, Beats(away * period, ratio * period)).fits + 1.0


def test_rows_know_neither_tempo_nor_key():
    """At 75 and 150 beats a minute every eighth is whole frames."""
    slow, fast = told_rows(groove(75.0), 75.0, 12), told_rows(groove(150.0), 150.0, 12)
    np.testing.assert_allclose(slow, fast, atol=0.05)
    np.testing.assert_allclose(told_rows(groove(100.0), 100.0), told_rows(groove(100.0, chord=4), 100.0), atol=1e-5)


def test_strokes_are_told_by_the_ticks_that_they_lie_about():
    onsets_KT = np.zeros((1, 96), np.float32)
    onsets_KT[0, 48] = 1.0
    strokes_NKI = barnet.strokes(onsets_KT, Beats(0.5, 48.0), 2)  # a frame lasts until the next one begins
    assert strokes_NKI.shape == (2, 1, barnet.TICKS)
    assert strokes_NKI[1, 0, 0] == pytest.approx(1.0) and strokes_NKI.sum() == pytest.approx(1.0)


def test_nothing_is_less_than_nothing_after_a_loud_beginning():
    """A sum of much less a sum of as much may be off by a rounding, whose logarithm is none."""
    onsets_KT = np.zeros((8, 900), np.float32)
    onsets_KT[:, 10:48] = np.random.default_rng(0).random((8, 38), np.float32) * 4.0
    beats = Beats(60.3, 33.7)
    assert barnet.strokes(onsets_KT, beats, 20).min() >= 0.0
    heard = Features(torch.from_numpy(onsets_KT)[None], torch.zeros(1, 24, 900), torch.zeros(1, 900))
    told = barnet.hear(heard, beats)
    assert np.isfinite(told.bars_H).all() and np.isfinite(told.fits)


def test_of_the_chroma_each_beat_has_the_mean():
    chroma_PT = np.repeat(np.array([[1.0, 0.0, 0.5]], np.float32), 20, axis=1)
    np.testing.assert_allclose(barnet.chords(chroma_PT, Beats(0.0, 20.0), 3)[:, 0], [1.0, 0.0, 0.5], atol=1e-6)


def test_beats_that_are_not_there_say_nothing():
    """A batch holds grids of several lengths, filled up."""
    net = barnet.BarNet().eval()
    rows_BNR = torch.randn(1, 20, barnet.ROWS)
    there_BN = torch.cat([torch.ones(1, 12), torch.zeros(1, 8)], dim=1)
    filled, alone = net(rows_BNR, there_BN), net(rows_BNR[:, :12], torch.ones(1, 12))
    torch.testing.assert_close(filled.fits_B, alone.fits_B)
    torch.testing.assert_close(filled.bars_BH, alone.bars_BH)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_beats_are_heard_without_an_error(count):
    heard = Features(*(x[..., : 10 * count] for x in groove(450.0)))
    assert np.isfinite(barnet.hear(heard, Beats(0.0, 10.0)).bars_H).all()


def test_the_nets_are_as_small_as_they_are_to_be():
    """A megabyte for all that hears beats, bars and keys."""
    assert barnet.WEIGHTS.stat().st_size + beatnet.WEIGHTS.stat().st_size < 1e6
