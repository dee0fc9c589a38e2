"""Preparing in parts: by hand, and as jobs of a real executor on this machine."""

import dataclasses
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import sounds
from powermuse.cli import main
from powermuse.data import shards
from powermuse.data.cluster import Jobs, prepare_in_jobs
from powermuse.data.prepare import Part, Plan, begin, finish, prepare, prepare_part
from powermuse.data.shards import Dataset
from powermuse.types import BadInput


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster") / "music"
    for seed in range(5):
        sounds.write(folder / f"{seed}.wav", sounds.song(32.0 if seed == 2 else 16.0, seed))
    (folder / "words.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def whole(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    prepare(plan(music, out))
    return out


def plan(music: Path, out: Path, **changes: object) -> Plan:
    return Plan((str(music),), str(out), **{"codec": "mdct", "workers": 1, **changes})  # type: ignore[arg-type]


def assert_same_music(a: Path, b: Path) -> None:
    """The same clips under the same rows, in whatever shards."""
    assert (a / "names.json").read_bytes() == (b / "names.json").read_bytes()
    for split in shards.SPLITS:
        one, other = Dataset(a, split), Dataset(b, split)
        fields = ["song", "file", "start_s", "level_db"]
        assert len(one) and np.array_equal(one.table[fields], other.table[fields])
        rows = list(range(len(one)))
        frames = one.header.clip_frames
        assert torch.equal(one.packed(rows, [0] * len(rows), frames), other.packed(rows, [0] * len(rows), frames))


def test_parts_in_any_order_make_the_data_set_that_one_process_makes(music, whole, tmp_path):
    made = plan(music, tmp_path / "out")
    found = [prepare_part(made, Part(number, 3)) for number in (2, 0, 1)]
    assert sum(files for files, _ in found) == 6 and sum(clips for _, clips in found) == 6
    assert not (tmp_path / "out/dataset.json").exists()
    summary = finish(made)
    assert [f.path for f in summary.left_out] == ["words.wav"]
    assert_same_music(tmp_path / "out", whole)
    assert len({p.stem for p in (tmp_path / "out/shards").iterdir()}) == 3


def test_parts_at_the_same_time_begin_the_same_directory(music, whole, tmp_path):
    made = plan(music, tmp_path / "out")
    failed: list[Exception] = []

    def run() -> None:
        try:
            begin(made)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    prepare(made)
    assert_same_music(tmp_path / "out", whole)


def test_a_part_does_nothing_twice_and_what_no_part_did_is_done_at_the_end(music, whole, tmp_path):
    made = plan(music, tmp_path / "out")
    assert prepare_part(made, Part(1, 2)) == (3, 2)
    assert prepare_part(made, Part(1, 2)) == (0, 0)
    prepare(made)
    assert_same_music(tmp_path / "out", whole)


def test_a_file_that_two_processes_prepared_counts_once(music, whole, tmp_path):
    made = plan(music, tmp_path / "out")
    prepare_part(made, Part(0, 2))
    (tmp_path / "out/shards").rename(tmp_path / "first")
    (tmp_path / "out/shards").mkdir()
    prepare_part(made, Part(0, 3))
    for shard in (tmp_path / "first").iterdir():
        shard.rename(tmp_path / f"out/shards/{int(shard.stem) + 7:05d}.safetensors")
    summary = prepare(made)
    assert sum(summary.clips.values()) == 6
    assert len(summary.left_out) == 1
    assert_same_music(tmp_path / "out", whole)


def test_jobs_of_an_executor_make_the_data_set_that_one_process_makes(music, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(music.parent)
    told: list[tuple[int, int]] = []
    relative = dataclasses.replace(plan(music, tmp_path / "out"), folders=("music",))
    summary = prepare_in_jobs(relative, Jobs(2, "local", {"timeout_min": 5}), lambda *now: told.append(now[:2]))
    assert_same_music(tmp_path / "out", whole)
    assert [f.path for f in summary.left_out] == ["words.wav"]
    assert told[-1] == (6, 6)
    assert not (tmp_path / "out.jobs").exists()


def test_a_job_that_fails_is_told_with_its_log_and_nothing_is_lost(music, whole, tmp_path):
    made = plan(music, tmp_path / "out")
    prepare_part(made, Part(0, 2))
    before = (music / "0.wav").stat()
    os.utime(music / "0.wav", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    try:
        with pytest.raises(BadInput, match=r"part 1 of 2 failed: .*0\.wav: has changed.* its log is .*\.err;") as told:
            prepare_in_jobs(made, Jobs(2, "local", {}))
    finally:
        os.utime(music / "0.wav", ns=(before.st_atime_ns, before.st_mtime_ns))
    log = str(told.value).split("its log is ")[1].split(";")[0]
    assert "has changed" in Path(log).read_text()
    prepare_in_jobs(made, Jobs(2, "local", {}))
    assert_same_music(tmp_path / "out", whole)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--part", "0/2"], "I/N with I from 1 to N"),
        (["--part", "3/2"], "I/N with I from 1 to N"),
        (["--part", "1/2", "--jobs", "2"], "name one of the two"),
        (["--jobs", "-1"], "at least 0"),
        (["--jobs", "2", "--job", "cpus_per_task"], "KEY=VALUE is wanted"),
        (["--jobs", "2", "--cluster", "local", "--job", "no_such_wish=1"], "no_such_wish"),
    ],
)
def test_words_that_make_no_jobs_are_refused(music, tmp_path, capsys, words, told):
    status = 0
    try:
        status = main(["prepare", str(music), "-o", str(tmp_path / "out"), *words])
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 2 and told in capsys.readouterr().err


def test_the_command_prepares_a_part_and_says_what_comes_next(music, tmp_path, capsys):
    words = ["prepare", str(music), "-o", str(tmp_path / "out"), "--codec", "mdct", "--workers", "1"]
    assert main([*words, "--part", "2/2"]) == 0
    assert "part 2 of 2 is done, 3 files and 2 clips were new; when all parts are" in capsys.readouterr().out
    assert main([*words, "--jobs", "2", "--cluster", "local"]) == 2  # one file is no sound
    assert "1 file(s) could not be read" in capsys.readouterr().err
