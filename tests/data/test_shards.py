import dataclasses
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from powermuse.audio import features
from powermuse.data import index, shards
from powermuse.data.pairs import PairSource
from powermuse.data.shards import ClipInfo, Dataset, FileInfo
from powermuse.types import BadInput


@pytest.fixture
def copy(dataset: Path, tmp_path: Path) -> Path:
    """The small data set, to be damaged."""
    return Path(shutil.copytree(dataset, tmp_path / "copy"))


def change_header(folder: Path, **changes: object) -> None:
    content = json.loads((folder / "dataset.json").read_text())
    content["header"] |= changes
    (folder / "dataset.json").write_text(json.dumps(content))


def test_packing_and_unpacking_keep_every_field_in_its_place():
    generator = torch.Generator().manual_seed(0)
    z, onsets, chroma = (torch.randn(rows, 50, generator=generator).half().float() for rows in (7, 8, 24))
    level = torch.linspace(-100, 0, 50).half().float()
    clip = shards.unpack(shards.pack(z, onsets, chroma, level)[None])
    for found, wanted in zip(clip, (z, onsets, chroma, level, None), strict=True):
        assert (found is None and wanted is None) or torch.equal(found[0], wanted)


def test_a_shard_gives_back_what_it_was_told_of_its_clips_and_files(tmp_path):
    infos = [ClipInfo("ä/b.wav", "ä", 16.0, -20.123456789), ClipInfo("c.wav", "c", 0.0, -9.5)]
    books = [FileInfo("ä/b.wav", 123, 1_700_000_000_123_456_789, 1), FileInfo("d.wav", 0, 1, 0, "is 'empty'", True)]
    path = tmp_path / "00000.safetensors"
    shards.write_shard(path, [torch.ones(34, 4, dtype=torch.float16) for _ in infos], infos, books)
    assert shards.read_shard_header(path) == (infos, books)


def test_crops_equal_slices_of_the_whole(dataset):
    data = Dataset(dataset)
    rows, starts = [4, 0, 4, 5], [0, 17, 1100, 333]
    whole = data.clips(rows)
    crops = data.crops(rows, starts, 100)
    for i, start in enumerate(starts):
        for field, cropped in zip(whole[:4], crops[:4], strict=True):
            assert torch.equal(cropped[i], field[i, ..., start : start + 100])
    assert crops.beats_BT is None


def test_the_same_stretch_of_several_clips_is_a_crop_with_one_start(dataset):
    data = Dataset(dataset)
    for a, b in zip(data.clips([1, 2], 40, 10)[:4], data.crops([1, 2], [40, 40], 10)[:4], strict=True):
        assert torch.equal(a, b)


def test_every_row_of_the_table_leads_to_its_own_clip(dataset):
    """Levels in the table and on each clip were found on different ways: encoded clips all stand at -20 dBFS."""
    for split in shards.SPLITS:
        data = Dataset(dataset, split)
        seen = data.clips(list(range(len(data))))
        power = (10 ** (seen.level_BT.double() / 10)).mean(dim=1)
        np.testing.assert_allclose(10 * np.log10(power), -20.0, atol=0.05)
        assert len({tuple(z.flatten()[:50].tolist()) for z in seen.z_BDT}) == len(data)


def test_the_length_of_a_clip_is_16_s(dataset):
    assert shards.read_header(dataset).clip_s == 16.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"feature_version": features.VERSION + 1}, f"features {features.VERSION + 1}"),
        ({"format": shards.FORMAT + 1}, f"format {shards.FORMAT + 1}"),
    ],
)
def test_another_feature_version_or_format_is_refused_with_both_figures(copy, change, told):
    change_header(copy, **change)
    with pytest.raises(BadInput, match=told) as refusal:
        Dataset(copy)
    assert f"wants {shards.FORMAT} and {features.VERSION}; prepare it again" in str(refusal.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"header": {}}', '{"header": {"codec": "mel", "what": 1}}'])
def test_a_damaged_dataset_json_is_refused_by_its_name(copy, text):
    (copy / "dataset.json").write_text(text)
    with pytest.raises(BadInput, match=r"dataset\.json: damaged"):
        Dataset(copy)


def test_a_directory_that_is_no_data_set_is_refused_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(BadInput, match="is not a prepared data set; make one with: powermuse prepare"):
        Dataset(tmp_path)


def test_a_split_that_does_not_exist_is_refused_by_its_name(dataset):
    with pytest.raises(BadInput, match="no split is called 'test'; there are: train, val"):
        Dataset(dataset, "test")


@pytest.mark.parametrize("damage", [b"", b"words", None], ids=["empty", "text", "cut short"])
def test_a_damaged_shard_is_named_when_it_is_read_and_when_it_is_indexed(copy, damage):
    path = next((copy / "shards").iterdir())
    path.write_bytes(path.read_bytes()[:-1000] if damage is None else damage)
    with pytest.raises(BadInput, match=path.name):
        Dataset(copy).clips([0])
    with pytest.raises(BadInput, match=f"{path.name}: damaged shard"):
        shards.read_shard_header(path)


def test_a_missing_shard_is_named(copy):
    path = next((copy / "shards").iterdir())
    path.unlink()
    with pytest.raises(BadInput, match=path.name):
        Dataset(copy).clips([0])


@pytest.mark.parametrize("content", [None, b"words"], ids=["missing", "text"])
def test_a_damaged_table_is_refused_by_its_name(copy, content):
    (copy / "val.npy").unlink()
    if content:
        (copy / "val.npy").write_bytes(content)
    with pytest.raises((BadInput, OSError), match=r"val\.npy"):
        Dataset(copy, "val")


def test_a_header_says_which_codec_with_which_options(dataset):
    header = shards.read_header(dataset)
    wanted = {"codec": "mdct", "codec_options": {}, "sample_rate_hz": 24_000, "hop_samples": 320, "latent_dim": 320}
    assert wanted.items() <= dataclasses.asdict(header).items()


# What may have changed since


def rewritten(folder: Path, change: float) -> Path:
    """The first shard with one number of its sound changed, of the same length."""
    path = shards.shard_path(folder, 0)
    infos, books = shards.read_shard_header(path)
    clips = [safetensors.torch.load_file(path)[f"{i:05d}"] for i in range(len(infos))]
    clips[0][0, 0] += change
    size = path.stat().st_size
    shards.write_shard(path, clips, infos, books)
    assert path.stat().st_size == size
    return path


def test_a_shard_whose_sound_has_changed_is_refused_by_its_name(copy):
    rewritten(copy, 0.0)
    Dataset(copy).clips([0])
    rewritten(copy, 1.0)
    with pytest.raises(BadInput, match=r"00000\.safetensors: has changed since the data set was made"):
        Dataset(copy).clips([0])


def test_the_record_of_a_data_set_tells_other_sound_from_the_same(copy):
    header, before = shards.read_header(copy), Dataset(copy).record
    index.write(copy, header, index.gather(copy), 0.3)
    same = Dataset(copy).record
    rewritten(copy, 1.0)
    index.write(copy, header, index.gather(copy), 0.3)
    after = Dataset(copy).record
    assert set(before) == {"train.npy", "val.npy", "shards.npy"}
    assert same["shards.npy"] == before["shards.npy"] != after["shards.npy"]
    assert same["train.npy"] == after["train.npy"]


def test_a_table_of_another_length_than_the_data_set_says_is_refused(copy):
    np.save(copy / "train.npy", np.load(copy / "train.npy")[:-1])
    with pytest.raises(BadInput, match=r"train\.npy: has \d+ clips, dataset\.json says"):
        Dataset(copy)


@pytest.mark.parametrize("key", ["songs", "in_a_row", "record", "clips"])
def test_a_dataset_json_that_lacks_a_fact_is_refused(copy, key):
    content = json.loads((copy / "dataset.json").read_text())
    del content[key]
    (copy / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match=r"dataset\.json: damaged"):
        Dataset(copy)


def test_packed_crops_are_what_is_kept_bit_for_bit(dataset):
    data = Dataset(dataset)
    packed = data.packed([2, 0], [7, 30], 100)
    whole = safetensors.torch.load_file(shards.shard_path(dataset, int(data.table[2]["shard"])))
    assert packed.dtype == torch.float16
    assert torch.equal(packed[0], whole[f"{int(data.table[2]['row']):05d}"][:, 7:107])


def test_training_starts_on_a_thousand_million_clips_without_reading_them(copy):
    """The table is a hole of 32 GB in a file: one look at all of it would take longer than the test may."""
    few = np.load(copy / "train.npy")
    rows = 10**9
    with (copy / "train.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(shards.ROW), "fortran_order": False, "shape": (rows,)}
        )
        begin = file.tell()
        file.write(few.tobytes())
        file.truncate(begin + rows * shards.ROW.itemsize)
    content = json.loads((copy / "dataset.json").read_text())
    content["clips"]["train"] = rows
    (copy / "dataset.json").write_text(json.dumps(content))
    since = time.monotonic()
    data = Dataset(copy)
    PairSource(data, "shuffled", 48, 0)
    PairSource(data, "continuation", 48, 0)
    unity = PairSource(data, "unity", 48, 0)
    assert unity.batch(5, 2).groove.z_BDT.shape == (2, data.header.latent_dim, 48)
    assert time.monotonic() - since < 2.0
