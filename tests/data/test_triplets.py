import pytest
import torch

from powermuse.data import triplets
from powermuse.data.made_up import make_up_triplets
from powermuse.data.render.mappings import MAPPINGS
from powermuse.data.shards import Dataset
from powermuse.data.triplets import Shard, Triplets, beat_frames
from powermuse.recipe import Choice
from powermuse.types import BadInput

FRAMES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("made") / "set"
    make_up_triplets(made, Choice("mel"), FRAMES, count=5)
    return made


def test_crops_are_stretches_of_the_whole(folder):
    data = Triplets(folder)
    indices, roles, starts = [3, 0, 3], ["groove", "truth.0", "harmony"], [0, 17, 252]
    crops = data.crops(indices, roles, starts, 48)
    for row, (index, role, start) in enumerate(zip(indices, roles, starts, strict=True)):
        stretch = data.clip(index, role).crop(start, 48)
        for got, wanted in zip(crops, stretch, strict=True):
            assert torch.equal(got[row], wanted[0])
    assert not torch.equal(crops.z_BDT[0], crops.z_BDT[2])


def test_beats_stand_on_their_frames():
    beats_T = beat_frames(torch.tensor([[0.0, 1.0], [1 / 75, 0.0], [0.5, 0.0], [0.51, 1.0], [9.0, 1.0]]), 60)
    assert {int(t): float(beats_T[t]) for t in beats_T.nonzero()[:, 0]} == {0: 2.0, 1: 1.0, 37: 1.0, 38: 2.0}


def test_every_frame_border_belongs_to_the_frame_that_it_begins():
    times = torch.arange(1200, dtype=torch.float64) / 75
    beats_K2 = torch.stack([times.float(), torch.zeros(1200)], dim=1)
    assert bool((beat_frames(beats_K2, 1200) == 1.0).all())


def test_roles_and_counts(folder):
    data = Triplets(folder)
    assert len(data) == 5 and data.roles(2) == ("groove", "harmony", "truth.0") and data.truths(2) == 1
    assert len(Triplets(folder, "test")) == 0
    assert data.latent_mean().shape == (128,)


def test_every_truth_tells_its_orchestration(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), FRAMES, count=3, truths=2)
    names, data = list(MAPPINGS), Triplets(tmp_path / "set")
    assert data.truths(1) == 2
    assert [data.orchestrations(index) for index in range(3)] == [names[0:2], names[1:3], names[2:4]]


def test_a_count_keeps_to_the_first_and_its_record_does_not_change_when_more_come(tmp_path):
    for name, count in (("few", 3), ("more", 5)):
        make_up_triplets(tmp_path / name, Choice("mel"), FRAMES, count)
    few, more = Triplets(tmp_path / "few"), Triplets(tmp_path / "more", count=3)
    assert few.record == more.record != Triplets(tmp_path / "more").record
    with pytest.raises(BadInput, match=r"has triplets 0 to 3, not to 5; render the others: .*--triplets 5"):
        Triplets(tmp_path / "few", count=5)


def test_what_lies_behind_a_gap_does_not_count_yet(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), FRAMES, count=3)
    (tmp_path / "set/train/00005-00009.safetensors").touch()
    assert len(Triplets(tmp_path / "set")) == 3
    assert triplets.describe(tmp_path / "set")["splits"]["train"]["numbers"] == ["0 to 2", "5 to 8"]


def test_stretches_are_joined():
    assert triplets.ranges([Shard(64, 128), Shard(0, 64), Shard(130, 140), Shard(100, 128)]) == [(0, 128), (130, 140)]


def test_what_is_not_there_is_said(folder, tmp_path):
    with pytest.raises(BadInput, match="was not kept; render with --sound"):
        Triplets(folder).sound(0, "groove")
    with pytest.raises(BadInput, match="holds no rendered triplets"):
        Triplets(tmp_path)
    with pytest.raises(BadInput, match="no split is called"):
        Triplets(folder, "all")
    with pytest.raises(BadInput, match=r"holds rendered triplets; train on it with -s data\.pairing=triplets"):
        Dataset(folder)
    with pytest.raises(IndexError, match="no triplet 7"):
        Triplets(folder).clip(7, "groove")


def test_a_damaged_shard_and_another_format_are_said(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), FRAMES, count=2)
    path = tmp_path / "set/train/00000-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadInput, match="cannot be read"):
        Triplets(tmp_path / "set").clip(0, "groove")
    book = tmp_path / "set/dataset.json"
    book.write_text(
        book.read_text().replace(f'"kind": "triplets", "format": {triplets.FORMAT}', '"kind": "triplets", "format": 0')
    )
    with pytest.raises(BadInput, match="has format 0"):
        Triplets(tmp_path / "set")
