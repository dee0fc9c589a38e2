"""A blend at another rate and on two channels: the same sound, as long, and said so."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from powermuse.audio import files
from powermuse.cli import main
from powermuse.composing import formats, report
from powermuse.composing.formats import Form


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_the_same_sound_at_another_rate(rate_hz, blend, tmp_path):
    report.write(blend, str(tmp_path / "a.wav"), form=Form(rate_hz, True))
    wav, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == rate_hz and wav.shape == (round(blend.wav_CN.shape[1] * rate_hz / 24_000), 2)
    assert np.array_equal(wav[:, 0], wav[:, 1])
    back = files.resample(wav.T[:1].astype(np.float32), rate_hz, 24_000)
    error = (back - blend.wav_CN)[:, 500:-500]  # near the band limit a resampler lets less pass
    assert error.std() < 0.05 * blend.wav_CN.std()
    told = json.loads((tmp_path / "a.json").read_text())["file"]
    assert told == {"sample_rate_hz": rate_hz, "channels": 2, "band_limit_hz": 12_000}


def test_unless_told_it_is_written_as_the_codec_has_it(blend):
    wav_CN, rate_hz = formats.written(blend, Form())
    assert rate_hz == blend.sample_rate_hz and np.array_equal(wav_CN, blend.wav_CN)
    assert formats.told(blend, Form()) == {"sample_rate_hz": 24_000, "channels": 1, "band_limit_hz": 12_000}


def test_peaks_between_the_samples_do_not_leave_full_scale(blend):
    loud = np.where(np.arange(24_000) // 2 % 2, 0.98, -0.98).astype(np.float32)[None]  # whose true peaks are higher
    wav_CN, _ = formats.written(dataclasses.replace(blend, wav_CN=loud), Form(48_000))
    assert np.abs(wav_CN).max() <= 0.98 + 1e-6


def test_the_command_says_what_it_wrote(groove, harmony, mel_model, tmp_path, capsys):
    command = ["compose", str(groove), str(harmony), "-o", str(tmp_path / "b.flac"), "--model", str(mel_model)]
    assert main([*command, "--rate", "48000", "--stereo"]) == 0
    assert "48000 Hz, stereo, nothing above 12000 Hz" in capsys.readouterr().out
    assert soundfile.info(tmp_path / "b.flac").samplerate == 48_000
    assert main([*command, "--rate", "96000"]) == 2
