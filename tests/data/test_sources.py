import dataclasses
from collections import Counter

import lightning_fabric
import pytest
import torch

from powermuse.data import rolls
from powermuse.data.made_up import make_up, make_up_triplets
from powermuse.data.render.mappings import MAPPINGS
from powermuse.data.sources import TripletSource, open_data
from powermuse.data.triplets import Triplets
from powermuse.recipe import Choice, DataRecipe
from powermuse.types import BadInput, Pair

WANTED = DataRecipe(pairing="triplets", crop_frames=48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("made") / "set"
    make_up_triplets(made, Choice("mel"), 120, count=7)
    return made


def from_triplet(first: int, count: int) -> DataRecipe:
    return DataRecipe(pairing="triplets", crop_frames=48, first=first, triplets=count)


RECORDED = [(3, 0, 2), (2, 0, 43), (5, 0, 41), (3, 0, 8)]


def tensors(pair: Pair) -> list[torch.Tensor]:
    return [x for clip in pair if clip is not None for x in clip if x is not None]


def test_pairs_are_a_function_of_seed_and_number(folder):
    one, other = (open_data(folder, WANTED, 3).source for _ in range(2))
    ahead = one.batch(20, 6)
    for i in (5, 0, 3):
        alone = other.batch(20 + i, 1)
        assert len(tensors(alone)) == 15  # latents, onsets, chroma, level and beats of three clips
        assert all(torch.equal(a[i], b[0]) for a, b in zip(tensors(ahead), tensors(alone), strict=True))
    elsewhere = open_data(folder, WANTED, 4).source.batch(20, 6)
    assert not all(torch.equal(a, b) for a, b in zip(tensors(ahead), tensors(elsewhere), strict=True))


def test_a_pair_is_the_same_stretch_of_the_clips_of_one_triplet(folder):
    data = Triplets(folder)
    source = TripletSource(data, 48, 1)
    pair = source.batch(5, 1)
    triplet, truth, start, *_ = source.draw(5)
    for clip, role in zip(pair.clips, ("groove", "harmony", f"truth.{truth}"), strict=True):
        assert torch.equal(clip.z_BDT, data.clip(triplet, role).z_BDT[..., start : start + 48])


def test_every_epoch_visits_every_triplet_once_in_another_order(folder):
    source = TripletSource(Triplets(folder), 48, 1)
    epochs = [[source.draw(7 * epoch + i).triplet for i in range(7)] for epoch in range(5)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_crops_and_truths_are_drawn_from_all_there_are(folder, monkeypatch):
    monkeypatch.setattr(Triplets, "truths", lambda self, index: 4)
    source = TripletSource(Triplets(folder), 48, 1)
    draws = [source.draw(i) for i in range(2000)]
    assert {d.start for d in draws} == set(range(120 - 48 + 1))
    # 500 of each truth are to be expected; five standard deviations are 97.
    assert all(403 < count < 597 for count in Counter(d.truth for d in draws).values())


def test_without_unity_the_draws_are_those_of_before(folder):
    # Recorded before there was such a setting.
    source = open_data(folder, WANTED, 3).source
    assert [source.draw(i)[:3] for i in (0, 1, 2, 40)] == RECORDED
    assert all(source.draw(i).roles == ("groove", "harmony", "truth.0") for i in range(500))


def test_with_unity_a_share_of_the_pairs_is_one_clip_the_truth_twice_as_often_as_the_harmony(folder):
    plain, mixed = (open_data(folder, dataclasses.replace(WANTED, unity=unity), 3) for unity in (0.0, 0.4))
    draws = [mixed.source.draw(i) for i in range(3000)]
    assert [d[:3] for d in draws] == [plain.source.draw(i)[:3] for i in range(3000)]
    counts = Counter(d.alone for d in draws)
    # 1800, 800 and 400 are to be expected, with standard deviations of 27, 24 and 19.
    assert counts.keys() == {"", "truth.0", "harmony"}
    assert abs(counts["truth.0"] - 800) < 120 and abs(counts["harmony"] - 400) < 95
    assert mixed.validation is not None
    assert not any(mixed.validation.draw(i).alone for i in range(500))
    always = open_data(folder, dataclasses.replace(WANTED, unity=1.0), 3).source
    assert all(always.draw(i).alone for i in range(500))


def test_a_pair_of_unity_has_one_clip_in_all_three_places(folder):
    source = open_data(folder, dataclasses.replace(WANTED, unity=0.5), 3).source
    batch = source.batch(0, 16)
    for i in range(16):
        triplet, _, start, alone, _ = source.draw(i)
        for clip, role in zip(batch[:3], ("groove", "harmony", "truth.0"), strict=True):
            wanted = Triplets(folder).clip(triplet, alone or role).crop(start, 48)
            assert all(torch.equal(got[i], whole[0]) for got, whole in zip(clip, wanted, strict=True))
    assert {source.draw(i).alone for i in range(16)} == {"", "truth.0", "harmony"}


def test_pairs_carry_the_notes_of_their_truth_where_they_are_asked_for(folder):
    assert open_data(folder, WANTED, 3).source.batch(0, 2).notes_BQT is None
    opened = open_data(folder, dataclasses.replace(WANTED, notes=True, unity=0.5), 3)
    for source in (opened.source, opened.validation):
        batch = source.batch(0, 6)
        assert batch.notes_BQT.shape == (6, 88, 48)
        for i in range(6):
            triplet, _, start, alone, _ = source.draw(i)
            known = rolls.crops(source.dataset, [triplet], [alone or "truth.0"], [start], 48)
            assert known.any() and torch.equal(batch.notes_BQT[i], known[0])
    moved = lightning_fabric.Fabric(accelerator="cpu").to_device(batch)
    assert isinstance(moved, Pair) and torch.equal(moved.notes_BQT, batch.notes_BQT) and len(moved.clips) == 3


def test_pairs_tell_which_orchestration_made_their_truth(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), 120, count=7, truths=2)
    assert open_data(tmp_path / "set", WANTED, 3).source.batch(0, 2).orchestration_B is None
    known = list(MAPPINGS)[:5][::-1]  # triplet i has truths by names i and i + 1: the last ones have no number here
    opened = open_data(tmp_path / "set", dataclasses.replace(WANTED, unity=0.3), 3, orchestrations=known)
    seen: set[tuple[int, int, bool]] = set()
    for source in (opened.source, opened.validation):
        found = source.batch(0, 60).orchestration_B
        for i in range(60):
            triplet, truth, alone = source.draw(i).triplet, source.draw(i).truth, source.draw(i).alone
            name = list(MAPPINGS)[triplet + truth]
            assert int(found[i]) == (1 + known.index(name) if name in known and not alone else 0)
            seen.add((triplet, truth, bool(alone)))
        assert found.dtype == torch.long
    assert len({(triplet, truth) for triplet, truth, alone in seen if not alone}) == 14


def test_a_run_keeps_to_what_it_knows_when_more_are_rendered(tmp_path):
    make_up_triplets(tmp_path / "few", Choice("mel"), 120, count=4)
    make_up_triplets(tmp_path / "more", Choice("mel"), 120, count=9)
    begun = open_data(tmp_path / "few", WANTED, 0)
    later = open_data(tmp_path / "more", WANTED, 0, begun.counts)
    assert begun.counts == later.counts == (4, 4) and later.validation_clips == 4
    # What is made up for validation follows on what is made up to train on: only the training part is the same.
    for name in ("train.triplets", "train.plan"):
        assert begun.identity["sha256"][name] == later.identity["sha256"][name]
    assert [begun.source.draw(i) for i in range(20)] == [later.source.draw(i) for i in range(20)]
    asked = DataRecipe(pairing="triplets", crop_frames=48, triplets=6)
    assert open_data(tmp_path / "more", asked, 0).counts == (6, 9)
    with pytest.raises(BadInput, match="has triplets 0 to 4, not to 6"):
        open_data(tmp_path / "few", asked, 0)


def test_a_run_may_begin_at_a_triplet_and_what_lies_before_need_not_be_there(tmp_path):
    make_up_triplets(tmp_path / "all", Choice("mel"), 120, count=9)
    whole = open_data(tmp_path / "all", from_triplet(4, 3), 7)
    assert len(whole.data) == 3 and whole.counts == (3, 9)
    for epoch in range(3):
        assert sorted(whole.source.draw(3 * epoch + i).triplet for i in range(3)) == [4, 5, 6]
    make_up_triplets(tmp_path / "part", Choice("mel"), 120, count=3, first=4)
    assert not list((tmp_path / "part/train").glob("00000*"))
    part = open_data(tmp_path / "part", from_triplet(4, 0), 7)
    assert [part.source.draw(i) for i in range(20)] == [whole.source.draw(i) for i in range(20)]
    assert part.counts == (3, 3)
    assert part.data.latent_mean().shape == (128,)
    pair = part.source.batch(2, 1)
    triplet, _, start, *_ = part.source.draw(2)
    groove = Triplets(tmp_path / "part", first=4).clip(triplet, "groove")
    assert torch.equal(pair.groove.z_BDT, groove.z_BDT[..., start : start + 48])


def test_a_run_that_begins_later_keeps_to_what_it_knows_when_more_are_rendered(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), 120, count=3, first=4)
    make_up_triplets(tmp_path / "more", Choice("mel"), 120, count=2, first=7, seed=1)
    begun = open_data(tmp_path / "set", from_triplet(4, 0), 7)
    draws = [begun.source.draw(i) for i in range(20)]
    (tmp_path / "more/train/00007-00009.safetensors").rename(tmp_path / "set/train/00007-00009.safetensors")
    assert open_data(tmp_path / "set", from_triplet(4, 0), 7).counts == (5, 3)
    later = open_data(tmp_path / "set", from_triplet(4, 0), 7, begun.counts)
    assert later.identity == begun.identity and [later.source.draw(i) for i in range(20)] == draws


def test_triplets_that_are_not_there_are_asked_for_by_their_numbers(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), 120, count=3, first=4)
    with pytest.raises(BadInput, match=r"has triplets 4 to 7, not to 9; render the others: .*--from 4 --to 9"):
        open_data(tmp_path / "set", from_triplet(4, 5), 0)
    for first in (3, 7):
        with pytest.raises(BadInput, match=f"has no triplet {first}, where .*--from {first} --to {first + 1000}"):
            open_data(tmp_path / "set", from_triplet(first, 0), 0)


def test_what_cannot_be_used_is_refused(folder, tmp_path):
    make_up(tmp_path / "prepared", Choice("mel"), clip_frames=60)
    with pytest.raises(BadInput, match="holds no rendered triplets"):
        open_data(tmp_path / "prepared", WANTED, 0)
    with pytest.raises(BadInput, match=r"data\.pairing=triplets"):
        open_data(folder, DataRecipe(pairing="shuffled", crop_frames=48), 0)
    with pytest.raises(BadInput, match=r"data\.crop_frames 121 is longer"):
        open_data(folder, DataRecipe(pairing="triplets", crop_frames=121), 0)
    (folder / "train/00000-00007.safetensors").rename(folder / "train/00001-00008.safetensors")
    with pytest.raises(BadInput, match=r"has no triplet 0, where these pairs begin; render it: .*--triplets 1000"):
        open_data(folder, WANTED, 0)
    (folder / "train/00001-00008.safetensors").rename(folder / "train/00000-00007.safetensors")
