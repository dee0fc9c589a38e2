"""The equaliser of a pair: smooth, in decibels, the same for harmony and truth, the latents those of the sound."""

import numpy as np
import pytest
import torch

import sounds
from powermuse.codecs import mel
from powermuse.codecs.mel import MelCodec
from powermuse.data import equalisers
from powermuse.data.made_up import make_up_triplets
from powermuse.data.sources import TripletSource
from powermuse.data.triplets import Triplets
from powermuse.recipe import Choice
from powermuse.types import BadInput


def test_a_gain_on_latents_is_a_gain_on_the_sound():
    codec = MelCodec()
    wav_BCN = torch.from_numpy(sounds.song(2.0)).reshape(1, 1, -1).float()
    louder = codec.encode(wav_BCN * 10.0 ** (6.0 / 20.0))
    torch.testing.assert_close(
        mel.equalised(codec.encode(wav_BCN), torch.full((1, 128), 6.0)), louder, rtol=1e-3, atol=1e-3
    )
    assert not mel.equalised(torch.zeros(1, 128, 4), torch.full((1, 128), 20.0)).any(), "silence is silent"


def test_curves_are_smooth_without_a_mean_as_strong_as_wanted_and_each_key_s_own():
    many = torch.stack([equalisers.curve(f"key {i}", 128, 6.0) for i in range(400)])
    assert float(many.std()) == pytest.approx(6.0, rel=0.05) and float(many.mean(dim=1).abs().max()) < 1e-4
    assert float(many.diff(dim=1).abs().max()) < 3.0
    assert torch.equal(equalisers.curve("key 3", 128, 6.0), many[3]) and not torch.equal(many[3], many[4])


def test_harmony_and_truth_share_it_and_the_groove_goes_without(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), clip_frames=60)
    plain, heard = (TripletSource(Triplets(tmp_path / "set"), 48, 3, equaliser_db=db).batch(5, 4) for db in (0.0, 6.0))
    assert torch.equal(plain.groove.z_BDT, heard.groove.z_BDT)
    gains = torch.stack([equalisers.curve(f"3/equaliser/{5 + i}", 128, 6.0) for i in range(4)])
    for before, after in ((plain.harmony, heard.harmony), (plain.truth, heard.truth)):
        assert before is not None and after is not None
        torch.testing.assert_close(after.z_BDT, mel.equalised(before.z_BDT, gains))
        assert not torch.allclose(after.z_BDT, before.z_BDT)
        assert np.array_equal(after.chroma_BPT, before.chroma_BPT)


def test_latents_that_have_no_channels_of_frequency_are_refused(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mdct"), clip_frames=60)
    with pytest.raises(BadInput, match="mel codec, not of mdct"):
        TripletSource(Triplets(tmp_path / "set"), 48, 3, equaliser_db=6.0)
    with pytest.raises(BadInput, match="not be below 0"):
        equalisers.check("mel", -1.0)
