import pytest
import torch

from powermuse.codecs import LATENT_RMS
from powermuse.data.made_up import make_up
from powermuse.data.pairs import PairSource, validation_source
from powermuse.data.shards import SPLITS, Dataset
from powermuse.recipe import Choice


@pytest.mark.parametrize("codec", ["mel", "mdct"])
def test_made_up_clips_are_what_prepare_might_have_written(tmp_path, codec):
    make_up(tmp_path / "data", Choice(codec), clip_frames=60)
    for split in SPLITS:
        data = Dataset(tmp_path / "data", split)
        clip = data.clips(list(range(len(data))))
        assert clip.z_BDT.square().mean().sqrt() == pytest.approx(LATENT_RMS, rel=0.02)
        assert clip.onsets_BKT.min() == 0 and 0.02 < clip.onsets_BKT.mean() < 0.1
        assert clip.chroma_BPT.min() >= 0 and bool((clip.chroma_BPT.amax(dim=1) == 1).all())
        assert clip.level_BT.mean() == pytest.approx(-20.0, abs=1.0) and clip.level_BT.std() > 1.0
    assert data.header.codec == codec and data.header.clip_frames == 60


@pytest.mark.parametrize("pairing", ["shuffled", "continuation", "unity"])
def test_every_pairing_finds_pairs_in_both_splits(tmp_path, pairing):
    make_up(tmp_path / "data", Choice("mel"), clip_frames=60)
    pair = PairSource(Dataset(tmp_path / "data"), pairing, 48, seed=1).batch(0, 8)
    assert bool(torch.isfinite(pair.harmony.z_BDT).all())
    assert validation_source(Dataset(tmp_path / "data", "val"), pairing, 48) is not None


def test_the_seed_decides_the_clips(tmp_path):
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        make_up(tmp_path / name, Choice("mel"), clip_frames=30, seed=seed)
    a, b, c = (Dataset(tmp_path / name).clips([0]).z_BDT for name in "abc")
    assert torch.equal(a, b) and not torch.allclose(a, c, atol=1.0)
