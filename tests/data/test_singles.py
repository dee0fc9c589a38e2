"""Recordings among the single clips of rendered triplets."""

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
import torch

from powermuse.data import rolls
from powermuse.data.made_up import make_up, make_up_triplets
from powermuse.data.render.mappings import MAPPINGS
from powermuse.data.shards import Dataset
from powermuse.data.sources import Opened, open_data
from powermuse.data.triplets import Triplets
from powermuse.recipe import Choice, DataRecipe
from powermuse.types import BadInput

FRAMES, CROP = 120, 48


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered triplets in `set`, recordings in `recorded`."""
    made = tmp_path_factory.mktemp("made")
    make_up_triplets(made / "set", Choice("mel"), FRAMES, count=7)
    make_up(made / "recorded", Choice("mel"), FRAMES, songs=6, seed=1)
    return made


def opened(folder: Path, singles: Path | str = "", seed: int = 3, **more: object) -> Opened:
    wanted = DataRecipe(pairing="triplets", crop_frames=CROP, unity=0.4, singles=str(singles), singles_share=0.25)
    return open_data(folder / "set", dataclasses.replace(wanted, **more), seed, orchestrations=list(MAPPINGS))  # type: ignore[arg-type]


def test_a_share_of_the_single_clips_is_recordings_and_the_others_are_what_they_were(folder):
    plain, mixed = opened(folder).source, opened(folder, folder / "recorded").source
    without, draws = ([source.draw(i) for i in range(3000)] for source in (plain, mixed))
    assert [d[:3] for d in draws] == [d[:3] for d in without]
    counts = Counter(d.alone for d in draws)
    # 300 and 900 are to be expected, with standard deviations of 16 and 25.
    assert abs(counts["recording"] - 300) < 82 and abs(counts["truth.0"] + counts["harmony"] - 900) < 125
    for before, now in zip(without, draws, strict=True):
        if now.alone == "recording":
            assert before.alone and now.recording >= 0
        else:
            assert now == before and now.recording == -1
    rows = Counter(d.recording for d in draws if d.alone == "recording")
    assert rows.keys() == set(range(len(Dataset(folder / "recorded"))))


@pytest.mark.parametrize(("share", "found"), [(0.0, {"truth.0", "harmony"}), (1.0, {"recording"})])
def test_none_or_all_of_them_may_be(folder, share, found):
    source = opened(folder, folder / "recorded", unity=1.0, singles_share=share).source
    assert {source.draw(i).alone for i in range(300)} == found


def test_a_recording_is_groove_harmony_and_truth_and_its_neighbours_are_of_triplets(folder):
    source = opened(folder, folder / "recorded", singles_share=0.5).source
    recorded, batch = Dataset(folder / "recorded"), source.batch(0, 24)
    assert {source.draw(i).alone for i in range(24)} == {"", "truth.0", "harmony", "recording"}
    for i in range(24):
        draw = source.draw(i)
        for clip, role in zip(batch[:3], draw.roles, strict=True):
            if draw.alone == "recording":
                wanted = recorded.clips([draw.recording]).crop(draw.start, CROP)
            else:
                wanted = Triplets(folder / "set").clip(draw.triplet, role).crop(draw.start, CROP)
            assert all(torch.equal(got[i], whole[0]) for got, whole in zip(clip[:4], wanted[:4], strict=True))


def test_nobody_knows_its_notes_its_beats_and_its_orchestration(folder):
    source = opened(folder, folder / "recorded", singles_share=0.5, notes=True).source
    batch = source.batch(0, 24)
    for i in range(24):
        draw = source.draw(i)
        if draw.alone == "recording":
            assert (batch.notes_BQT[i] == -1).all() and batch.orchestration_B[i] == 0
        else:
            known = rolls.crops(source.dataset, [draw.triplet], [draw.roles[2]], [draw.start], CROP)
            assert torch.equal(batch.notes_BQT[i], known[0])
        assert draw.alone or batch.orchestration_B[i] > 0
        alone = source.batch(i, 1)
        assert all((clip.beats_BT is None) is (draw.alone == "recording") for clip in alone.clips)
    assert all(clip.beats_BT is None for clip in batch.clips)


def test_pairs_are_a_function_of_seed_and_number(folder):
    one, other = (opened(folder, folder / "recorded", unity=0.8, singles_share=0.5).source for _ in range(2))
    ahead = one.batch(20, 8)
    for i in (5, 0, 3, 7):
        alone = other.batch(20 + i, 1)
        assert torch.equal(ahead.truth.z_BDT[i], alone.truth.z_BDT[0])
    draws = [[opened(folder, folder / "recorded", seed).source.draw(i) for i in range(60)] for seed in (3, 3, 4)]
    assert draws[0] == draws[1] and len({tuple(d.recording for d in each) for each in draws}) == 2


def test_validation_is_of_triplets_alone(folder):
    mixed, plain = opened(folder, folder / "recorded", unity=1.0, singles_share=1.0), opened(folder)
    assert all(mixed.validation.draw(i) == plain.validation.draw(i) for i in range(300))
    assert mixed.validation.batch(0, 2).groove.beats_BT is not None


def test_the_recordings_are_part_of_what_tells_one_data_set_from_another(folder, tmp_path):
    for name, seed in (("same", 1), ("other", 2)):
        make_up(tmp_path / name, Choice("mel"), FRAMES, songs=6, seed=seed)
    ours, same, other = (
        opened(folder, at).identity for at in (folder / "recorded", tmp_path / "same", tmp_path / "other")
    )
    assert ours == same and ours["singles"] != other["singles"]
    assert ours["singles"]["clips"] == len(Dataset(folder / "recorded"))
    plain = opened(folder).identity
    assert "singles" not in plain and {**plain, "singles": ours["singles"]} == ours


def test_a_path_is_relative_to_where_the_run_is_started(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert opened(folder, "recorded").identity == opened(folder, folder / "recorded").identity


def test_options_that_do_not_touch_the_latents_may_differ(folder, tmp_path):
    make_up(tmp_path / "quick", Choice("mel", {"inversion_steps": 2}), FRAMES)
    assert opened(folder, tmp_path / "quick").source.singles is not None


def test_what_cannot_be_used_is_refused(folder, tmp_path):
    def refused(singles: Path, match: str) -> None:
        with pytest.raises(BadInput, match=match):
            opened(folder, singles)

    refused(tmp_path / "nowhere", "nowhere: is not a prepared data set; make one with: powermuse prepare")
    refused(folder / "set", r"data\.singles: .*set holds rendered triplets; it wants recordings")
    make_up(tmp_path / "mdct", Choice("mdct"), FRAMES)
    refused(
        tmp_path / "mdct", r"data\.singles: .*mdct has codec mdct, the triplets mel; prepare it as they were rendered"
    )
    make_up(tmp_path / "short", Choice("mel"), FRAMES // 2)
    refused(tmp_path / "short", r"data\.singles: .*short has clip_frames 60, the triplets 120")
    empty = tmp_path / "empty"
    make_up(empty, Choice("mel"), FRAMES, songs=0)
    refused(empty, r"data\.singles: the train split of .*empty is empty; prepare more songs")


def test_other_weights_of_the_same_codec_are_refused(tmp_path):
    codecs = [Choice("encodec", {"source": "random", "num_filters": 3, "weights_seed": seed}) for seed in (1, 2)]
    make_up_triplets(tmp_path / "set", codecs[0], FRAMES)
    make_up(tmp_path / "recorded", codecs[1], FRAMES)
    with pytest.raises(BadInput, match=r"has codec_options .*'weights_seed': 2.*the triplets .*'weights_seed': 1"):
        opened(tmp_path, tmp_path / "recorded")
