"""What is heard of a grid beat by beat: its bars, and whether it is the music's."""

import numpy as np
import pytest
import torch

from powermuse.audio import barnet, beatnet
from powermuse.audio.barnet import BARS, Beats
from powermuse.audio.clock import FRAME_RATE_HZ
from powermuse.audio.features import ONSET_BANDS, Features

FRAMES = 900
ROCK = {0: (0.0, 2.0, 2.5), 4: (1.0, 3.0), 7: tuple(np.arange(0.0, 4.0, 0.5))}
"""Strokes of a bar by band: kick, snare, hats."""


def groove(tempo_bpm: float, late_beats: float = 0.0, chord: int = 0) -> Features:
    """Bars of a rock beat that begin so late, over a bass that changes with each."""
    onsets_KT, chroma_PT = np.zeros((ONSET_BANDS, FRAMES), np.float32), np.full((24, FRAMES), 0.05, np.float32)
    period = 60.0 * FRAME_RATE_HZ / tempo_bpm
    for bar in range(-1, int(FRAMES / period / 4) + 1):
        begin = (4 * bar + late_beats) * period
        for band, strokes in ROCK.items():
            for frame in (round(begin + stroke * period) for stroke in strokes):
                if 0 <= frame < FRAMES:
                    onsets_KT[band, frame] = 0.2
        tone = (chord + (0, 7, 0, 5)[bar % 4]) % 12
        chroma_PT[[tone, 12 + tone], max(0, round(begin)) : max(0, round(begin + 4 * period))] = 1.0
    onsets_1KT, chroma_1PT = torch.from_numpy(onsets_KT)[None], torch.from_numpy(chroma_PT)[None]
    return Features(onsets_1KT, chroma_1PT, torch.full((1, FRAMES), -20.0))


def told_rows(heard: Features, tempo_bpm: float, count: int = 16) -> np.ndarray:
    beats = Beats(0.0, 60.0 * FRAME_RATE_HZ / tempo_bpm)
    onsets_KT, chroma_PT = heard.onsets_BKT[0].numpy(), heard.chroma_BPT[0].numpy()
    return barnet.rows(barnet.strokes(onsets_KT, beats, count), barnet.chords(chroma_PT, beats, count))


@pytest.mark.parametrize("tempo_bpm", [75.0, 100.0, 150.0])
@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_bars_begin_where_kick_and_bass_say_so(tempo_bpm, late):
    heard = groove(tempo_bpm, late)
    told = barnet.hear(heard, Beats(0.0, 60.0 * FRAME_RATE_HZ / tempo_bpm))
    assert BARS[int(told.bars_H.argmax())] == (4, late)
    assert np.exp(told.bars_H).sum() == pytest.approx(1.0, abs=1e-4)


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
