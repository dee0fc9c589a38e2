"""Stems: what is planted comes out where it belongs."""

import math

import pytest
import soundfile
import torch

from powermuse.audio import stems
from powermuse.types import BadInput

RATE_HZ = 24_000


def tone(hz: float, seconds: float = 4.0) -> torch.Tensor:
    return 0.1 * torch.sin(2 * math.pi * hz * torch.arange(round(seconds * RATE_HZ)) / RATE_HZ)[None]


def clicks(seconds: float = 4.0) -> torch.Tensor:
    wav = torch.zeros(1, round(seconds * RATE_HZ))
    wav[:, 6000::12_000] = 0.9
    return wav


def energy(part: torch.Tensor) -> float:
    return float(part[:, 4096:-4096].square().sum())


def test_clicks_are_percussive_and_a_tone_is_harmonic():
    parts = stems.split(clicks() + tone(440.0), RATE_HZ)
    assert energy(parts.percussive) == pytest.approx(energy(clicks()), rel=0.35)
    assert energy(parts.harmonic) == pytest.approx(energy(tone(440.0)), rel=0.1)
    assert energy(stems.split(tone(440.0), RATE_HZ).percussive) < 0.02 * energy(tone(440.0))
    assert energy(stems.split(clicks(), RATE_HZ).harmonic) < 0.02 * energy(clicks())


def test_the_melody_is_the_stronger_of_two_tones():
    low, high = tone(440.0), 0.3 * tone(1450.0)
    melody = stems.split(low + high, RATE_HZ).melody
    assert energy(melody - low) < 0.05 * energy(low)


def test_treble_keeps_what_is_above_2_khz_and_kills_what_is_below():
    parts = stems.split(tone(500.0) + tone(5000.0), RATE_HZ)
    assert energy(parts.treble - tone(5000.0)) < 0.01 * energy(tone(5000.0))


def test_silence_stays_silence():
    assert all(float(part.abs().max()) == 0.0 for part in stems.split(torch.zeros(2, RATE_HZ), RATE_HZ))


def test_the_files_are_written_all_four_with_the_channels_of_the_clip(tmp_path):
    stereo = torch.cat([tone(440.0), clicks()]).numpy()
    soundfile.write(tmp_path / "clip.wav", stereo.T, RATE_HZ)
    written = stems.write(str(tmp_path / "clip.wav"), str(tmp_path / "stems"))
    assert sorted(p.name for p in written) == ["harmonic.wav", "melody.wav", "percussive.wav", "treble.wav"]
    harmonic, rate_hz = soundfile.read(tmp_path / "stems/harmonic.wav")
    assert rate_hz == 44_100 and harmonic.shape[1] == 2
    assert (harmonic[:, 0] ** 2).sum() > 50 * (harmonic[:, 1] ** 2).sum()


def test_a_silent_clip_and_a_file_for_a_folder_are_refused(tmp_path):
    soundfile.write(tmp_path / "silent.wav", torch.zeros(RATE_HZ).numpy(), RATE_HZ)
    with pytest.raises(BadInput, match="silent"):
        stems.write(str(tmp_path / "silent.wav"), str(tmp_path / "stems"))
    soundfile.write(tmp_path / "clip.wav", tone(440.0)[0].numpy(), RATE_HZ)
    with pytest.raises(BadInput, match="is no folder"):
        stems.write(str(tmp_path / "clip.wav"), str(tmp_path / "silent.wav"))
    soundfile.write(tmp_path / "wild.wav", 1e30 * tone(440.0)[0].numpy(), RATE_HZ, subtype="FLOAT")
    with pytest.raises(BadInput, match="times full scale"):
        stems.write(str(tmp_path / "wild.wav"), str(tmp_path / "stems"))


def test_a_clip_is_not_replaced_by_one_of_its_parts(tmp_path):
    soundfile.write(tmp_path / "melody.wav", tone(440.0)[0].numpy(), RATE_HZ)
    before = (tmp_path / "melody.wav").read_bytes()
    with pytest.raises(BadInput, match="would be replaced"):
        stems.write(str(tmp_path / "melody.wav"), str(tmp_path))
    assert (tmp_path / "melody.wav").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_in_pieces_the_parts_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr(stems, "_PIECE", 64 * 512)
    torch.manual_seed(0)
    wav = (clicks(5.0) + tone(440.0, 5.0) + 0.01 * torch.randn(1, 5 * RATE_HZ))[:, :-77]
    seen = []
    found = stems.in_pieces(wav, RATE_HZ, lambda *told: seen.append(told))
    for part, whole in zip(found, stems.split(wav, RATE_HZ), strict=True):
        assert part.shape == wav.shape
        torch.testing.assert_close(part, whole, atol=1e-4, rtol=0)
    assert len(seen) == 5 and seen[-1] == ("stems", wav.shape[1], wav.shape[1])
