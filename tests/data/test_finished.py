import json
import os
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

import sounds
from data.tables import content, plan, table
from powermuse.data import finished, index
from powermuse.data.prepare import Part, Plan, Summary, prepare, prepare_part
from powermuse.types import BadInput


@pytest.fixture
def namesakes(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with an `a.wav` each: another sound of the same size and time."""
    paths = [sounds.write(tmp_path / name / "a.wav", sounds.song(16.0, seed)) for seed, name in enumerate(("m1", "m2"))]
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))
    assert paths[0].stat().st_size == paths[1].stat().st_size
    return paths[0].parent, paths[1].parent


def both(folders: tuple[Path, ...], out: Path, **changes: object) -> Summary:
    return prepare(Plan(tuple(map(str, folders)), str(out), **{"codec": "mdct", "workers": 1, **changes}))  # type: ignore[arg-type]


def places(out: Path) -> list[tuple[str, str]]:
    """Every file that counts, and the folder beside the data set that it lay in."""
    folders = {finished.place(path): path.parent.name for path in out.parent.glob("m*/*.wav")}
    return sorted((f.path, folders[f.place]) for f in index.finished_files(out))


@pytest.mark.parametrize("later_s", [0, 1], ids=["of the same time", "of another time"])
def test_a_folder_that_is_added_later_brings_its_files_and_no_clip_twice(namesakes, tmp_path, later_s):
    os.utime(namesakes[1] / "a.wav", ns=(10**18, 10**18 + later_s))
    prepare(plan(namesakes[0], tmp_path / "out"))
    for _ in range(2):
        both(namesakes, tmp_path / "out")
        assert places(tmp_path / "out") == [("a.wav", "m1"), ("m2/a.wav", "m2")]
        assert [row[1] for row in table(tmp_path / "out")] == ["a.wav", "m2/a.wav"]


@pytest.mark.parametrize("songs_are", ["files", "folders"])
@pytest.mark.parametrize("later_s", [0, 1], ids=["of the same time", "of another time"])
def test_another_folder_by_itself_brings_its_files_under_names_of_their_own(namesakes, tmp_path, later_s, songs_are):
    os.utime(namesakes[1] / "a.wav", ns=(10**18, 10**18 + later_s))
    sounds.write(namesakes[1] / "b.wav", sounds.song(16.0, 3))
    prepare(plan(namesakes[0], tmp_path / "out", songs_are=songs_are))
    for folder in (namesakes[1], namesakes[1], namesakes[0]):
        prepare(plan(folder, tmp_path / "out", songs_are=songs_are))
        rows = table(tmp_path / "out")
        assert [row[1] for row in rows] == ["a.wav", "m2/a.wav", "m2/b.wav"]
        assert [row[2] for row in rows] == ([".", "m2", "m2"] if songs_are == "folders" else [row[1] for row in rows])


def test_a_restart_names_the_rest_of_another_folder_as_it_began(namesakes, tmp_path):
    sounds.write(namesakes[1] / "b.wav", sounds.song(16.0, 3))
    prepare(plan(namesakes[0], tmp_path / "out"))
    prepare_part(plan(namesakes[1], tmp_path / "out"), Part(0, 2))
    assert places(tmp_path / "out") == [("a.wav", "m1"), ("m2/a.wav", "m2")]
    prepare(plan(namesakes[1], tmp_path / "out"))
    assert [row[1] for row in table(tmp_path / "out")] == ["a.wav", "m2/a.wav", "m2/b.wav"]


def test_a_data_set_that_is_passed_on_tells_no_folders(namesakes, tmp_path):
    both(namesakes, tmp_path / "out")
    where = str(tmp_path).encode()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and where in path.read_bytes()]


def test_music_that_was_moved_or_copied_is_not_encoded_again(tmp_path):
    music = sounds.write(tmp_path / "music/deep/a.wav", sounds.song(16.0, 1)).parents[1]
    sounds.write(tmp_path / "music/b.wav", sounds.song(16.0, 2))
    prepare(plan(music, tmp_path / "out"))
    before = content(tmp_path / "out")
    moved = music.rename(tmp_path / "moved")
    shutil.copytree(moved, tmp_path / "copied", copy_function=shutil.copy)  # the times are those of the copies
    for folder in (moved, tmp_path / "copied"):
        calls: list[object] = []
        prepare(plan(folder, tmp_path / "out"), lambda *what, calls=calls: calls.append(what))
        assert (calls, content(tmp_path / "out")) == ([], before)
    sounds.write(moved / "c.wav", sounds.song(16.0, 3))
    other = sounds.write(tmp_path / "other/d.wav", sounds.song(16.0, 4)).parent
    both((moved, other), tmp_path / "out")
    assert [row[1] for row in table(tmp_path / "out")] == ["b.wav", "deep/a.wav", "moved/c.wav", "other/d.wav"]


def as_of_before(out: Path) -> None:
    """Makes of a data set one whose entries tell neither places nor digests."""
    for path in index.shard_files(out):
        with safe_open(path, framework="pt") as shard:
            book = json.loads(shard.metadata()["book"])
            tensors = {key: shard.get_tensor(key) for key in shard.keys()}  # noqa: SIM118
        book["files"] = [{k: v for k, v in f.items() if k not in ("place", "digest")} for f in book["files"]]
        save_file(tensors, path, metadata={"book": json.dumps(book)})


def test_a_data_set_of_before_is_gone_on_with(namesakes, tmp_path):
    (namesakes[0] / "bad.wav").write_text("these are words")
    prepare(plan(namesakes[0], tmp_path / "out"))
    as_of_before(tmp_path / "out")
    prepare(plan(namesakes[0], tmp_path / "out"))
    before = content(tmp_path / "out")
    namesakes[0].rename(tmp_path / "moved")
    prepare(plan(tmp_path / "moved", tmp_path / "out"))
    assert content(tmp_path / "out") == before
    for _ in range(2):
        both((namesakes[1], tmp_path / "moved"), tmp_path / "out")
        assert len(table(tmp_path / "out")) == 2  # one entry stands for one of the two
    os.utime(tmp_path / "moved/a.wav")
    with pytest.raises(BadInput, match=r"a\.wav: has changed since it was prepared"):
        prepare(plan(tmp_path / "moved", tmp_path / "out"))
