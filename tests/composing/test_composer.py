import dataclasses
import math
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sounds
from powermuse import weights
from powermuse.audio import clips
from powermuse.composing import composer as composing
from powermuse.composing import report
from powermuse.composing.composer import Blend, Composer, at_level
from powermuse.types import BadInput

RATE = sounds.RATE_HZ


def composer(model: Path, seed: int = 0) -> Composer:
    return Composer(weights.load_model(str(model)), seed)


def compose(model: Path, groove: Path, harmony: Path, seed: int = 0, **options: str) -> Blend:
    made = composer(model, seed)
    return made.compose(made.listen(groove), made.listen(harmony), **options)  # type: ignore[arg-type]


def noise(samples: int, level: float, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal((1, samples))).astype(np.float32)


# Length


@pytest.mark.parametrize(
    ("length", "seconds", "looped"),
    [("longer", 6, "harmony"), ("shorter", 4, None), ("groove", 6, "harmony"), ("harmony", 4, None)],
)
def test_the_blend_is_as_long_as_asked_and_the_shorter_clip_is_looped(
    mdct_model, groove, harmony, length, seconds, looped
):
    blend = compose(mdct_model, groove, harmony, length=length)
    assert blend.wav_CN.shape == (1, seconds * RATE)
    assert (blend.groove.looped, blend.harmony.looped) == (False, looped == "harmony")
    assert blend.harmony.seconds == 4.0


def test_a_looped_source_is_heard_again_after_its_own_length(mdct_model, groove, harmony):
    again = compose(mdct_model, groove, harmony).harmony.wav_CN[0]
    inside = slice(100, 2 * RATE - 100)  # the ends are faded
    np.testing.assert_allclose(again[4 * RATE :][inside], again[: 2 * RATE][inside], atol=1e-6)


def test_any_length_comes_out_to_the_sample(mdct_model, tmp_path):
    a = sounds.write(tmp_path / "a.wav", sounds.drums(4.0, 1)[:, :79_999])
    b = sounds.write(tmp_path / "b.wav", sounds.chords(1.0, 1)[:, :12_001])
    assert compose(mdct_model, a, b).wav_CN.shape == (1, 79_999)
    assert compose(mdct_model, a, b, length="shorter").wav_CN.shape == (1, 12_001)


# Level


def test_the_level_is_the_root_of_the_mean_square_of_both_sources(mel_model, blend):
    wanted = math.sqrt((10 ** (-24 / 10) + 10 ** (-34 / 10)) / 2)
    assert not blend.limited
    assert clips.rms(blend.wav_CN) == pytest.approx(wanted, rel=0.02)
    assert np.abs(blend.wav_CN).max() <= composing.PEAK


def test_the_law_of_level_holds_to_the_digit_where_nothing_is_limited():
    blend, groove, harmony = noise(RATE, 0.05), noise(RATE, 0.1, 1), noise(RATE, 0.02, 2)
    found, gain, limited = at_level(blend, groove, harmony, RATE)
    wanted = math.sqrt((clips.rms(groove) ** 2 + clips.rms(harmony) ** 2) / 2)
    assert clips.rms(found) == pytest.approx(wanted, rel=1e-5)
    assert gain == pytest.approx(wanted / clips.rms(blend), rel=1e-5)
    assert not limited
    np.testing.assert_allclose(found, blend * gain, rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e-9, 1e-4, 0.02])
def test_the_gain_is_at_most_3_and_it_is_told_where_that_is_too_little(level):
    found, gain, limited = at_level(noise(RATE, level), noise(RATE, 0.1, 1), noise(RATE, 0.1, 2), RATE)
    assert gain == 3.0
    assert limited
    assert clips.rms(found) == pytest.approx(3 * level, rel=0.02)


@given(seed=st.integers(0, 2**31), samples=st.integers(1, 9000), level=st.floats(0.01, 100), burst=st.floats(1, 1000))
@settings(max_examples=60)
def test_no_sample_ever_goes_beyond_full_scale_however_loud_the_noise(seed, samples, level, burst):
    random = np.random.default_rng(seed)
    blend = noise(samples, level, seed) * np.where(random.random(samples) < 0.01, burst, 1.0).astype(np.float32)
    found, gain, _ = at_level(blend, noise(samples, level, seed + 1), noise(samples, 0.3, seed + 2), RATE)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= composing.PEAK
    assert gain <= composing.MOST_GAIN
    assert found.dtype == np.float32 and found.shape == blend.shape


@given(seed=st.integers(0, 2**31), samples=st.integers(1, 3000), peak=st.floats(0.01, 0.98))
@settings(max_examples=30)
def test_the_limiter_leaves_quiet_sound_untouched(seed, samples, peak):
    wav = noise(samples, 1.0, seed)
    wav *= np.float32(peak) / np.abs(wav).max()
    np.testing.assert_array_equal(clips.limit_peaks(wav, composing.PEAK, RATE), wav)


def test_the_limiter_turns_down_only_around_a_peak():
    wav = sounds.chords(1.0, 1, level_db=-20.0)
    wav[0, RATE // 2] = 3.0
    found = clips.limit_peaks(wav, composing.PEAK, RATE)
    touched = np.flatnonzero(found[0] != wav[0])
    assert np.abs(found).max() <= composing.PEAK
    assert touched.min() > RATE // 2 - 0.03 * RATE and touched.max() < RATE // 2 + 0.03 * RATE


def test_a_loud_pair_with_peaks_is_limited_and_says_so(mdct_model, tmp_path):
    click = np.zeros((1, 2 * RATE), np.float32)
    click[0, ::6000] = 0.99
    loud = np.sign(sounds.chords(2.0, 1)) * 0.9
    found = compose(
        mdct_model, sounds.write(tmp_path / "a.wav", click), sounds.write(tmp_path / "b.wav", loud.astype(np.float32))
    )
    assert np.abs(found.wav_CN).max() <= composing.PEAK
    wanted = math.sqrt((clips.rms(found.groove.wav_CN) ** 2 + clips.rms(found.harmony.wav_CN) ** 2) / 2)
    assert found.limited == (clips.level_db(found.wav_CN) < 20 * math.log10(wanted) - 0.5)


# Chance


def test_another_seed_gives_other_phases_of_the_same_music(mel_model, blend, groove, harmony):
    other = compose(mel_model, groove, harmony, seed=6)
    assert abs(np.corrcoef(other.wav_CN[0], blend.wav_CN[0])[0, 1]) < 0.9
    codec = weights.build_codec(blend.model.recipe)
    a, b = (codec.encode(torch.from_numpy(x.wav_CN)[None]).flatten().numpy() for x in (other, blend))
    assert np.corrcoef(a, b)[0, 1] > 0.95


def test_the_sides_are_not_the_same(mdct_model, groove, harmony):
    one, other = compose(mdct_model, groove, harmony), compose(mdct_model, harmony, groove)
    assert one.wav_CN.shape == other.wav_CN.shape
    assert abs(np.corrcoef(one.wav_CN[0], other.wav_CN[0])[0, 1]) < 0.999


# Windows


def test_windows_overlap_by_half_and_their_borders_are_told(blend):
    # 450 frames in windows of 150, 75 apart.
    assert blend.seams_frames == [75, 150, 225, 300, 375]


def test_no_border_of_a_window_clicks_in_a_long_composition(make_model, tmp_path):
    model = make_model("data.crop_frames=60")
    a = sounds.write(tmp_path / "a.wav", sounds.chords(20.0, 1))
    b = sounds.write(tmp_path / "b.wav", sounds.chords(20.0, 2))
    made = compose(model, a, b)
    assert len(made.seams_frames) == 49
    click = report.seam_click(made)
    assert click is not None and click < 1.1
    planted = made.wav_CN.copy()
    planted[:, 30 * 25 * 320 :] += 0.5
    planted_click = report.seam_click(dataclasses.replace(made, wav_CN=planted))
    assert planted_click is not None and planted_click > 2 * click


def test_what_fits_one_window_has_no_border(make_model, groove, harmony):
    made = compose(make_model("data.crop_frames=600"), groove, harmony)
    assert made.seams_frames == []
    assert report.seam_click(made) is None


@pytest.mark.parametrize("frames", [75, 76, 149, 150, 151, 224, 226, 300])
def test_every_length_in_frames_is_covered_by_windows(make_model, mdct_model, tmp_path, frames):
    a = sounds.write(tmp_path / "a.wav", sounds.drums(frames / 75, 1))
    b = sounds.write(tmp_path / "b.wav", sounds.chords(frames / 75, 2))
    made = compose(mdct_model, a, b)
    assert made.masks is not None and made.masks[0].shape == (320, frames)
    assert made.wav_CN.shape == (1, frames * 320)
    assert np.isfinite(made.wav_CN).all()


def test_the_masks_told_are_those_used_and_their_statistics_too(make_model, groove, harmony):
    model = make_model("agent={name: fixed, options: {kind: frequency}}", "codec={name: mdct}", "cascade.stages=1")
    made = compose(model, groove, harmony)
    assert made.masks is not None
    low = np.arange(320) < 96
    np.testing.assert_allclose(made.masks[0], np.where(low, 1.0, 0.2)[:, None].repeat(450, 1), rtol=1e-6)
    np.testing.assert_allclose(made.masks[1], np.where(low, 0.2, 1.0)[:, None].repeat(450, 1), rtol=1e-6)
    assert made.stats["balance.groove"] == pytest.approx(0.3 + 0.7 * 0.2, rel=1e-6)
    assert made.stats["overlap"] == pytest.approx(0.2, rel=1e-6)


def test_an_agent_without_masks_has_none_to_tell(make_model, groove, harmony):
    made = compose(make_model("agent={name: fixed, options: {kind: groove}}", "cascade.heads=2"), groove, harmony)
    assert made.masks is None and made.stats == {}


def test_progress_tells_every_window(mdct_model, groove, harmony):
    told: list[tuple[str, int, int]] = []
    made = composer(mdct_model)
    made.compose(made.listen(groove), made.listen(harmony), on_progress=lambda *what: told.append(what))
    assert [t for t in told if t[0] == "compose"] == [("compose", i, 5) for i in range(6)]
    assert told[0][0] == "encode" and told[-1] == ("decode", 1, 1)


# Sources


def test_a_source_is_read_with_its_level_and_hash(mdct_model, harmony):
    import hashlib

    sound = composer(mdct_model).listen(harmony)
    assert sound.sha256 == hashlib.sha256(harmony.read_bytes()).hexdigest()
    assert sound.level_db == pytest.approx(-34.0, abs=0.05)
    assert clips.level_db(sound.levelled_CN) == pytest.approx(-20.0, abs=1e-3)
    with wave.open(str(harmony)) as file:
        assert sound.seconds == file.getnframes() / file.getframerate()


@pytest.mark.parametrize(
    ("samples", "level", "told"),
    [(240, 0.1, r"lasts 0\.01 s; at least 0\.5 s is wanted"), (11_999, 0.1, "at least 0.5 s"), (RATE, 0.0, "silent")],
)
def test_a_source_that_is_too_short_or_silent_is_refused_in_one_line_with_its_name(
    mdct_model, tmp_path, samples, level, told
):
    path = sounds.write(tmp_path / "odd.wav", noise(samples, level))
    with pytest.raises(BadInput, match=told) as refusal:
        composer(mdct_model).listen(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)
