"""Rivals as physics: what each keeps of A, what it keeps of B, and that nothing else comes out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from powermuse.audio import clips, features
from powermuse.benchmark.baselines import BASELINES, floor, mixing, modulation, mosaic, slices
from powermuse.metrics import nulls
from sounds import RATE_HZ, chords, drums, song

SECONDS = 4.0
CLICKS_S = np.array([0.31, 0.72, 1.14, 1.83, 2.2, 2.95, 3.4])
SILENCE = np.zeros(int(SECONDS * RATE_HZ), dtype=np.float32)

each_baseline = pytest.mark.parametrize("name", BASELINES)


def tone(hz: float, seconds: float = SECONDS) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def bursts(at_s: np.ndarray, seed: int = 0, hz: float | None = None) -> np.ndarray:
    """Bursts of noise, or of a tone, that decay in 20 ms."""
    wav = SILENCE.copy()
    time_s = np.arange(int(0.1 * RATE_HZ)) / RATE_HZ
    for at in (at_s * RATE_HZ).astype(int):
        carrier = np.random.default_rng(seed).standard_normal(len(time_s))
        carrier = carrier if hz is None else np.sin(2 * np.pi * hz * time_s)
        here = wav[at : at + len(time_s)]
        here += (0.2 * carrier * np.exp(-time_s / 0.02))[: len(here)].astype(np.float32)
    return wav


def onset_curve(wav_N: np.ndarray) -> np.ndarray:
    return features.onset_envelope(features.onset_strength(torch.from_numpy(wav_N)[None]))[0].numpy()


def strongest_hz(wav_N: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(wav_N)).argmax() * RATE_HZ / len(wav_N))


def energy_share(wav_N: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(wav_N)) ** 2
    hz = np.fft.rfftfreq(len(wav_N), 1 / RATE_HZ)
    return float(power[(hz >= low_hz) & (hz <= high_hz)].sum() / power.sum())


def farthest_s(found_samples: np.ndarray, wanted_s: np.ndarray) -> float:
    """The largest distance of a wanted onset to the nearest found one, and back."""
    distance = np.abs(found_samples[:, None] / RATE_HZ - wanted_s)
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))


@each_baseline
def test_equal_clips_in_equal_blend_out_at_the_joint_level(name):
    groove, harmony, unrelated = drums(SECONDS)[0], chords(SECONDS, level_db=-26.0)[0], song(SECONDS, 3)[0]
    blend = BASELINES[name].compose(groove, harmony, unrelated)
    assert np.array_equal(blend, BASELINES[name].compose(groove, harmony, unrelated))
    wanted = 10 * np.log10((clips.rms(groove) ** 2 + clips.rms(harmony) ** 2) / 2)
    assert clips.level_db(blend) == pytest.approx(wanted, abs=0.7)
    assert np.abs(blend).max() <= 0.98
    assert blend.dtype == np.float32
    assert blend.shape == groove.shape


def test_the_gain_is_at_most_three():
    faint = 0.001 * tone(300.0)
    baseline = replace(BASELINES["plain mix"], make=lambda *clips_N: faint)
    blend = baseline.compose(tone(300.0), tone(400.0), SILENCE)
    assert clips.rms(blend) == pytest.approx(3 * clips.rms(faint), rel=1e-3)


@each_baseline
@pytest.mark.parametrize("silent", ["groove", "harmony", "both"])
def test_silence_gives_finite_sound(name, silent):
    groove = SILENCE if silent != "harmony" else drums(SECONDS)[0]
    harmony = SILENCE if silent != "groove" else chords(SECONDS)[0]
    blend = BASELINES[name].compose(groove, harmony, SILENCE)
    assert np.isfinite(blend).all()
    if silent == "both":
        assert not blend.any()


@each_baseline
def test_any_length_comes_back(name):
    samples = 24_001
    groove, harmony = drums(SECONDS)[0][:samples], chords(SECONDS)[0][:samples]
    assert BASELINES[name].compose(groove, harmony, groove).shape == (samples,)


def test_clips_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        BASELINES["plain mix"].compose(SILENCE, SILENCE[1:], SILENCE)


def test_names_are_the_registrys_and_the_floor_hears_neither_clip():
    assert all(name == baseline.name for name, baseline in BASELINES.items())
    unrelated = song(SECONDS, 3)[0]
    for name, baseline in BASELINES.items():
        one = baseline.make(drums(SECONDS)[0], chords(SECONDS)[0], unrelated)
        other = baseline.make(drums(SECONDS, 7)[0], chords(SECONDS, 7)[0], unrelated)
        assert np.array_equal(one, other) == (baseline.kind == "floor"), name


def test_a_mix_of_a_clip_with_itself_is_the_clip():
    clip = song(SECONDS)[0]
    mixed = mixing.plain_mix(clip, clip)
    assert np.allclose(mixed * clips.rms(clip) / 2, clip, atol=1e-5)


def test_the_swap_keeps_the_clicks_of_a_and_the_tone_of_b():
    groove, harmony = bursts(CLICKS_S) + tone(440.0), bursts(CLICKS_S + 0.17) + tone(660.0)
    blend = mixing.percussive_harmonic_swap(groove, harmony)
    assert energy_share(blend, 650, 670) > 100 * energy_share(blend, 430, 450)
    assert farthest_s(slices.onsets(blend).at_samples, CLICKS_S) < 0.015


@pytest.mark.parametrize("rival", [modulation.with_loudness, modulation.vocoder, mosaic.mosaic])
def test_a_silent_groove_makes_silence(rival):
    assert np.abs(rival(SILENCE, song(SECONDS)[0])).max() < 1e-5


@pytest.mark.parametrize("rival", [modulation.with_loudness, modulation.vocoder, mosaic.mosaic])
def test_clicks_and_a_steady_tone_give_the_tone_at_the_clicks(rival):
    blend = rival(bursts(CLICKS_S), tone(440.0))
    assert strongest_hz(blend) == pytest.approx(440.0, abs=6.0)  # bursts this short have no sharper pitch
    assert farthest_s(slices.onsets(blend).at_samples, CLICKS_S) < 0.025  # a frame of the mosaic is 21 ms


@pytest.mark.parametrize("rival", [modulation.with_loudness, modulation.vocoder])
def test_a_clip_under_its_own_envelopes_is_itself(rival):
    clip = song(SECONDS)[0]
    assert nulls.pearson(rival(clip, clip), clip) > 0.99


def test_the_shares_of_a_bin_sum_to_one_and_every_band_has_a_centre():
    shares = modulation.band_shares()
    assert torch.allclose(shares.sum(dim=0), torch.ones(shares.shape[1]))
    assert (shares.amax(dim=1) > 0.5).all()


def test_the_vocoder_works_band_by_band():
    """A low groove opens the low band alone, where a loudness contour would open both."""
    blend = modulation.vocoder(tone(200.0), tone(200.0) + tone(4000.0))
    assert energy_share(blend, 190, 210) > 0.99


def test_the_vocoder_does_not_fill_bands_that_its_carrier_lacks():
    hiss = 0.1 * np.random.default_rng(0).standard_normal(len(SILENCE)).astype(np.float32)
    assert energy_share(hiss, 6000, 12_000) > 0.4
    assert energy_share(modulation.vocoder(hiss, chords(SECONDS)[0]), 6000, 12_000) < 0.01


def test_a_mosaic_has_no_energy_where_its_source_has_none_and_follows_the_groove():
    groove = bursts(CLICKS_S)
    source = tone(440.0, 2.0).tolist() + tone(1000.0, 2.0).tolist()
    blend = mosaic.mosaic(groove, np.array(source, dtype=np.float32))
    assert energy_share(groove, 380, 1060) < 0.2
    assert energy_share(blend, 380, 1060) > 0.99
    assert nulls.pearson(onset_curve(blend), onset_curve(groove)) > 0.4
    assert farthest_s(slices.onsets(blend).at_samples, CLICKS_S) < 0.025


def test_a_mosaic_finds_each_frame_where_the_source_has_it():
    """Source low then high, groove high then low: the mosaic takes the frames in the groove's order."""
    low, high = tone(440.0, 2.0), tone(1000.0, 2.0)
    blend = mosaic.mosaic(np.concatenate([high, low]), np.concatenate([low, high]))
    half = len(low)
    assert strongest_hz(blend[:half]) == pytest.approx(1000.0, abs=3.0)
    assert strongest_hz(blend[half:]) == pytest.approx(440.0, abs=3.0)


def test_activations_fall_to_few_frames_at_a_time():
    templates = torch.rand(64, 40, generator=torch.Generator().manual_seed(0))
    target = torch.rand(64, 40, generator=torch.Generator().manual_seed(1))
    active = mosaic.activations(templates / templates.sum(0), target)
    assert (active > 1e-6 * active.max()).sum(dim=0).max() <= 30  # ten, each with its two neighbours on the diagonal
    assert active.isfinite().all()


def test_onsets_are_found_to_the_millisecond():
    found = slices.onsets(bursts(CLICKS_S))
    assert farthest_s(found.at_samples, CLICKS_S) < 0.003
    assert found.strength.max() == 1.0
    assert len(slices.onsets(SILENCE).at_samples) == 0
    assert (slices.onsets(tone(440.0)).at_samples < 0.01 * RATE_HZ).all()  # the border at most


def test_slices_land_on_the_onsets_of_a_with_the_pitch_b_has_there():
    low_s, high_s = np.array([0.3, 0.9, 1.5]), np.array([2.1, 2.7, 3.3])
    harmony = bursts(low_s, hz=440.0) + bursts(high_s, hz=1000.0)
    blend = slices.on_onsets(bursts(CLICKS_S), harmony)
    assert farthest_s(slices.onsets(blend).at_samples, CLICKS_S) < 0.010
    early, late = (CLICKS_S[[0, 4]] * RATE_HZ).astype(int)
    assert strongest_hz(blend[early : early + 2400]) == pytest.approx(440.0, abs=15.0)
    assert strongest_hz(blend[late : late + 2400]) == pytest.approx(1000.0, abs=15.0)


def test_a_slice_is_as_strong_as_its_onset_and_steady_sound_is_cut_where_it_is():
    groove = bursts(CLICKS_S[[0]]) + 0.1 * bursts(CLICKS_S[[4]])
    blend = slices.on_onsets(groove, tone(440.0))
    strength = slices.onsets(groove).strength
    assert len(strength) == 2
    first, second = (blend[int((CLICKS_S[k] + 0.2) * RATE_HZ) :][:2400] for k in (0, 4))
    assert clips.rms(second) / clips.rms(first) == pytest.approx(strength[1] / strength[0], rel=0.02)


def test_slices_begin_and_end_without_a_click():
    source = tone(440.0)
    blend = slices.on_onsets(bursts(CLICKS_S), source)
    assert np.abs(np.diff(blend)).max() < 2 * np.abs(np.diff(source)).max()


def test_noise_has_the_spectrum_of_the_clip_and_nothing_of_its_rhythm():
    clip = drums(SECONDS)[0]
    noise = floor.noise(clip)
    assert np.allclose(np.abs(np.fft.rfft(noise)), np.abs(np.fft.rfft(clip)), atol=0.05)
    assert abs(nulls.pearson(onset_curve(noise), onset_curve(clip))) < 0.15
    assert not np.array_equal(floor.noise(clip[::-1].copy()), noise)
