import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from powermuse.audio import clips
from powermuse.types import BadInput

WINDOWINGS = st.tuples(
    st.integers(1, 400), st.integers(1, 100), st.integers(1, 100), st.integers(0, 120)
)  # length, window, hop (at most the window), overlap


def sine(samples: int, hz: float = 440.0, peak: float = 1.0, phase: float = 0.0) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hz * np.arange(samples) / 24_000 + phase)).astype(np.float32)[None]


def test_a_full_scale_sine_is_at_minus_3_01_dbfs_and_a_square_at_0():
    assert clips.level_db(sine(24_000)) == pytest.approx(-3.0103, abs=1e-3)
    assert clips.level_db(np.sign(sine(24_000, phase=0.1))) == pytest.approx(0.0, abs=1e-6)
    assert clips.rms(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)) == 2.5


def test_the_level_of_nothing_is_finite():
    assert clips.level_db(np.zeros((1, 100), np.float32)) == -200
    assert clips.level_db(np.zeros((1, 0), np.float32)) == -200


@pytest.mark.parametrize("peak", [1.0, 0.1, 0.002])
def test_normalising_brings_a_sine_of_any_level_to_the_wanted_one_and_tells_what_it_had(peak):
    wav, had_db = clips.normalise_level(sine(24_000, peak=peak))
    assert had_db == pytest.approx(20 * np.log10(peak) - 3.0103, abs=1e-3)
    np.testing.assert_allclose(wav, sine(24_000, peak=0.1 * np.sqrt(2)), atol=1e-6)
    assert wav.dtype == np.float32


def test_normalising_to_another_level_reaches_it():
    wav, _ = clips.normalise_level(sine(24_000), to_db=-30.0)
    assert clips.level_db(wav) == pytest.approx(-30.0, abs=1e-3)


def test_silence_is_refused_and_just_above_it_is_not():
    with pytest.raises(BadInput, match="silent"):
        clips.normalise_level(np.zeros((1, 1000), np.float32))
    with pytest.raises(BadInput, match="-61 dBFS"):
        clips.normalise_level(np.full((1, 1000), 10 ** (-61 / 20), np.float32))
    assert clips.normalise_level(np.full((1, 1000), 10 ** (-59 / 20), np.float32))[1] == pytest.approx(-59, abs=1e-3)


@pytest.mark.parametrize(
    ("samples", "begins"), [(0, []), (99, []), (100, [0]), (199, [0]), (200, [0, 100]), (350, [0, 100, 200])]
)
def test_whole_clips_begin_end_to_end_and_the_rest_is_dropped(samples, begins):
    assert list(clips.starts(samples, 100)) == begins


def test_a_long_clip_is_cut_and_one_of_the_right_length_is_left_alone():
    wav = sine(1000)
    np.testing.assert_array_equal(clips.loop_to(wav, 600, 24_000), wav[:, :600])
    np.testing.assert_array_equal(clips.loop_to(wav, 1000, 24_000), wav)


@pytest.mark.parametrize("samples", [1001, 2000, 3333, 10_000])
def test_a_loop_has_the_length_asked_for_and_repeats_at_its_own_period(samples):
    wav = np.random.default_rng(0).uniform(-1, 1, (2, 1000)).astype(np.float32)
    looped = clips.loop_to(wav, samples, 24_000)
    assert looped.shape == (2, samples)
    place = np.arange(samples)
    away_from_joins = (place % 1000 >= 48) & (place % 1000 < 1000 - 48)  # 2 ms at 24 kHz
    np.testing.assert_array_equal(looped[:, away_from_joins], wav[:, place[away_from_joins] % 1000])


def test_a_loop_starts_as_the_clip_starts():
    wav = sine(1000, phase=1.5)
    np.testing.assert_array_equal(clips.loop_to(wav, 5000, 24_000)[:, :900], wav[:, :900])


def test_a_loop_does_not_click():
    wav = sine(1013, hz=1700.0, phase=0.9)
    assert abs(wav[0, 0] - wav[0, -1]) > 0.6  # plain repetition would
    steps = np.abs(np.diff(clips.loop_to(wav, 5000, 24_000)))
    assert steps.max() <= np.abs(np.diff(wav)).max() * 1.001


def test_looping_leaves_the_clip_itself_as_it_was():
    wav = sine(1000, phase=1.5)
    clips.loop_to(wav, 2500, 24_000)
    np.testing.assert_array_equal(wav, sine(1000, phase=1.5))


@pytest.mark.parametrize("have", [1, 2, 3, 50])
def test_even_a_few_samples_loop(have):
    looped = clips.loop_to(np.ones((1, have), np.float32), 200, 24_000)
    assert looped.shape == (1, 200)
    assert 0 <= looped.min() <= looped.max() == 1


@pytest.mark.parametrize(
    ("frames", "window", "hop", "begins"),
    [
        (50, 100, 80, [0]),
        (100, 100, 80, [0]),
        (101, 100, 80, [0, 1]),
        (180, 100, 80, [0, 80]),
        (200, 100, 80, [0, 80, 100]),
    ],
)
def test_windows_cover_everything_and_the_last_ends_with_it(frames, window, hop, begins):
    assert clips.window_starts(frames, window, hop) == begins


@settings(max_examples=150)
@given(WINDOWINGS, st.integers(0, 1000))
def test_pieces_cut_from_one_signal_give_it_back(windowing, seed):
    length, window, hop, overlap = windowing
    signal = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(seed))
    begins = clips.window_starts(length, window, min(hop, window))
    pieces = [signal[..., begin : begin + window] for begin in begins]
    torch.testing.assert_close(clips.overlap_add(pieces, begins, length, overlap), signal, rtol=1e-5, atol=1e-6)


@settings(max_examples=50)
@given(WINDOWINGS)
def test_constant_in_is_constant_out(windowing):
    length, window, hop, overlap = windowing
    begins = clips.window_starts(length, window, min(hop, window))
    pieces = [torch.full((1, min(window, length)), -2.5)] * len(begins)
    torch.testing.assert_close(clips.overlap_add(pieces, begins, length, overlap), torch.full((1, length), -2.5))


def test_pieces_that_disagree_cross_over_within_the_overlap_and_nowhere_else():
    joined = clips.overlap_add([torch.zeros(100), torch.ones(100)], [0, 80], 180, 20)
    assert joined[:80].eq(0).all()
    assert joined[100:].eq(1).all()
    assert joined[80:100].diff().min() > 0
    torch.testing.assert_close(joined[80:100] + joined[80:100].flip(0), torch.ones(20))


def test_an_overlap_shorter_than_the_shared_stretch_takes_the_mean_where_neither_fades():
    joined = clips.overlap_add([torch.zeros(100), torch.ones(100)], [0, 40], 140, 10)
    torch.testing.assert_close(joined[50:90], torch.full((40,), 0.5))


def test_a_constant_is_no_level_and_what_has_hardly_one_stays_as_it_is_to_the_bit():
    random = np.random.default_rng(0)
    wav_CN = (0.05 * random.standard_normal((2, 4800))).astype(np.float32)
    centred = clips.without_offset(wav_CN + np.float32(0.4))
    assert abs(float(centred.mean())) < 1e-6
    np.testing.assert_allclose(centred, wav_CN - wav_CN.mean(axis=1, keepdims=True), atol=1e-6)
    assert clips.without_offset(wav_CN) is wav_CN
    with pytest.raises(BadInput, match="silent"):
        clips.normalise_level(clips.without_offset(np.full((1, 4800), 0.5, np.float32)))
