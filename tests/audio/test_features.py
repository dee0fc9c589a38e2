import math

import pytest
import torch
from torch import Tensor

from powermuse.audio import features

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def tone(hz: float, seconds: float = 1.0, harmonics: int = 6) -> Tensor:
    time_s = torch.arange(int(seconds * 24_000), dtype=torch.float64) / 24_000
    partials = (torch.sin(2 * math.pi * hz * h * time_s) / h for h in range(1, harmonics + 1))
    return (0.1 * sum(partials)).float()


def triad(root: int, detune_semitones: float = 0.0, seconds: float = 1.0) -> Tensor:
    """Root, major third and fifth above middle C, [1, N]."""
    pitches = (root + interval + detune_semitones for interval in (0, 4, 7))
    return sum(tone(440.0 * 2.0 ** ((60 + pitch - 69) / 12), seconds) for pitch in pitches)[None]


def clicks(*places: int, samples: int = 48_000) -> Tensor:
    wav = torch.zeros(1, samples)
    wav[0, list(places)] = 0.5
    return wav


def envelope(wav_BN: Tensor) -> Tensor:
    return features.onset_envelope(features.onset_strength(wav_BN))


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 1280, 1281, 24_000])
def test_every_feature_has_one_frame_for_each_hop_that_covers_the_clip(samples):
    frames = {1: 1, 319: 1, 320: 1, 321: 2, 1280: 4, 1281: 5, 24_000: 75}[samples]
    found = features.extract(torch.full((2, samples), 0.1))
    assert found.onsets_BKT.shape == (2, 8, frames)
    assert found.chroma_BPT.shape == (2, 24, frames)
    assert found.level_BT.shape == (2, frames)


def test_silence_has_no_onsets_no_chroma_and_the_lowest_level():
    found = features.extract(torch.zeros(1, 24_100))
    assert found.onsets_BKT.eq(0).all()
    assert found.chroma_BPT.eq(0).all()
    assert found.level_BT.eq(-100).all()


def test_a_clip_in_a_batch_has_the_features_it_has_alone(music):
    batch = torch.cat([music(1.0, seed=1), music(1.0, seed=2, level_db=-50.0), torch.zeros(1, 24_000), triad(2, 0.4)])
    together = features.extract(batch)
    for i in range(len(batch)):
        for name, alone in features.extract(batch[i : i + 1])._asdict().items():
            torch.testing.assert_close(getattr(together, name)[i : i + 1], alone, rtol=0, atol=1e-4, msg=name)


def test_each_click_is_an_onset_within_two_frames_of_it_and_there_is_none_elsewhere():
    places = (1_000, 9_600, 19_199, 33_333, 45_000)
    strength = envelope(clicks(*places))[0]
    near = torch.zeros(len(strength), dtype=torch.bool)
    for place in places:
        frame = place // 320
        assert strength[frame - 2 : frame + 3].max() > 0.8 * strength.max()
        near[frame - 2 : frame + 3] = True
    assert strength[~near].max() == 0


def test_a_low_note_starts_in_the_low_bands_and_a_high_one_in_the_high_bands():
    for hz, band in ((100.0, 0), (9_000.0, 7)):
        wav = tone(hz, harmonics=1) * (torch.arange(24_000) >= 12_000) * torch.linspace(0, 1, 24_000)
        assert features.onset_strength(wav[None])[0, :, 30:45].sum(-1).argmax() == band


def test_a_sustained_tone_has_an_onset_where_it_starts_and_none_after():
    wav = tone(220.0, 2.0)
    wav[:24_000] = 0
    wav[36_000:] *= torch.linspace(1, 0, 12_000)  # it fades, so that nothing is cut off
    strength = envelope(wav[None])[0]
    assert abs(strength.argmax().item() - 75) <= 2
    assert strength[80:].max() < 0.02 * strength.max()


@pytest.mark.parametrize("hz", [110.0, 440.0])
@pytest.mark.parametrize("samples", [24_000, 24_100])
def test_the_border_of_a_clip_cut_from_a_sustained_tone_is_not_an_onset(hz, samples):
    lasting = tone(hz, 2.0)
    starting = lasting.clone()
    starting[:12_000] = 0
    assert envelope(lasting[None, :samples]).max() < 0.1 * envelope(starting[None]).max()


def test_onset_strength_does_not_depend_on_the_level_of_the_recording(music):
    wav = music(2.0)
    loud, quiet = features.onset_strength(wav), features.onset_strength(0.003 * wav)
    assert loud.max() > 1.0
    torch.testing.assert_close(quiet, loud, rtol=1e-3, atol=1e-4)


def test_the_onset_curve_is_the_mean_of_the_bands():
    bands = torch.arange(8.0)[None, :, None].expand(1, 8, 3)
    assert features.onset_envelope(bands).tolist() == [[3.5, 3.5, 3.5]]


def test_a_full_scale_sine_is_at_minus_3_01_dbfs_in_every_frame():
    wav = torch.sin(2 * math.pi * 750 * torch.arange(24_000) / 24_000)[None]
    torch.testing.assert_close(features.frame_level_db(wav), torch.full((1, 75), -3.0103), rtol=0, atol=1e-3)


def test_the_level_of_a_frame_is_that_of_its_own_hop():
    wav = torch.cat([torch.full((1, 320), 1.0), torch.full((1, 320), 0.1), torch.full((1, 160), 1.0)], dim=1)
    torch.testing.assert_close(features.frame_level_db(wav), torch.tensor([[0.0, -20.0, -3.0103]]), rtol=0, atol=1e-3)


def treble(wav: Tensor) -> Tensor:
    """Chroma above the bass, [12, T]."""
    return features.chroma(wav)[0, 12:]


@pytest.mark.parametrize("root", range(12), ids=NOTES)
def test_a_major_triad_has_its_notes_as_the_three_largest_of_its_chroma(root):
    expected = {root, (root + 4) % 12, (root + 7) % 12}
    assert all(set(frame.topk(3).indices.tolist()) == expected for frame in treble(triad(root))[:, 8:-8].T)
    torch.testing.assert_close(features.chroma(triad(root))[0].amax(dim=0), torch.ones(75))


def test_a_low_note_is_in_the_bass_and_a_high_one_is_not():
    low, high = (features.chroma(tone(hz, 1.0)[None])[0, :, 8:-8].mean(dim=1) for hz in (55.0, 440.0))
    assert low.argmax() == 9
    assert high.argmax() == 12 + 9
    assert high[:12].max() < 0.05


@pytest.mark.parametrize("detune", [-0.4, -0.2, 0.1, 0.3, 0.4])
def test_a_detuned_triad_still_has_its_notes(detune):
    assert all(set(frame.topk(3).indices.tolist()) == {0, 4, 7} for frame in treble(triad(0, detune))[:, 8:-8].T)


def test_what_is_too_quiet_to_hear_has_no_chroma():
    assert features.chroma(1e-6 * triad(0)).eq(0).all()
    assert features.chroma(1e-2 * triad(0)).amax() == 1


def test_tuning_is_worth_its_work():
    in_tune, detuned = treble(triad(0))[:, 8:-8], treble(triad(0, 0.4))[:, 8:-8]
    assert (in_tune - detuned).abs().max() < 0.15


def test_chroma_changes_where_the_chord_changes():
    chroma = treble(torch.cat([triad(0), triad(6)], dim=1))
    first_is_stronger = chroma[0] > chroma[6]
    assert first_is_stronger[:70].all()
    assert not first_is_stronger[80:].any()
