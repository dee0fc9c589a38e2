import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors import safe_open

import sounds
from data.tables import content, plan, table
from powermuse import cli, registry
from powermuse.audio import clips, features, files
from powermuse.data import lock, shards, walk
from powermuse.data import prepare as preparing
from powermuse.data.index import validation_songs
from powermuse.data.prepare import Part, Plan, Summary, prepare, prepare_part
from powermuse.data.shards import Dataset
from powermuse.types import BadInput

RATE = sounds.RATE_HZ
CLIP = 16 * RATE
# The command itself, with shards so small that there is something to interrupt.
SMALL_SHARDS = """
import sys
from powermuse.data import prepare
prepare.CLIPS_A_SHARD = 2
from powermuse.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


def moments(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*.safetensors") if p.name[0] != "."}


Start = Callable[..., "subprocess.Popen[str]"]


class Killed(NamedTuple):
    """A run of two workers that was killed after its first shard."""

    music: Path
    out: Path
    workers_that_stayed: int


@pytest.fixture(scope="module")
def small_shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts `powermuse prepare` with shards of 2 clips, in a process of its own that ends with the tests."""
    driver = tmp_path_factory.mktemp("driver") / "driver.py"
    driver.write_text(SMALL_SHARDS)
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, str(driver), "prepare", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **{**pipes, **options}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def shards_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process."""
    monkeypatch.setattr(preparing, "CLIPS_A_SHARD", 2)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, small_shards: Start) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    music = sounds.library(folder / "music")
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = small_shards(music, "-o", folder / "out", "--codec", "mel", "--workers", 2, **silent)
    wait_for_shards(folder / "out", 1, process)
    workers = children(process.pid)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    until = time.monotonic() + 5
    while alive(workers) and time.monotonic() < until:
        time.sleep(0.02)
    stayed = alive(workers)
    for pid in stayed:
        os.kill(pid, signal.SIGKILL)
    return Killed(music, folder / "out", len(stayed))


def wait_for_shards(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while len(list((out / "shards").glob("[0-9]*.safetensors"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "no shard came"
        time.sleep(0.002)


# What becomes a clip


def test_music_is_found_in_folders_of_folders_and_cut_to_whole_clips_of_16_s(tmp_path):
    sounds.write(tmp_path / "music/b/deep/er.wav", sounds.song(40.0, 1))
    sounds.write(tmp_path / "music/a.FLAC", sounds.song(16.0, 2))
    sounds.write(tmp_path / "music/.hidden.wav", sounds.song(16.0, 3))
    (tmp_path / "music/notes.txt").write_text("no music")
    found = prepare(plan(tmp_path / "music", tmp_path / "out", validation_share=0.0))
    assert [row[1:] for row in table(tmp_path / "out")] == [
        ("a.FLAC", "a.FLAC", 0.0),
        ("b/deep/er.wav", "b/deep/er.wav", 0.0),
        ("b/deep/er.wav", "b/deep/er.wav", 16.0),
    ]
    assert found == Summary({"train": 3, "val": 0}, {"train": 2, "val": 0}, 3 * 16 / 3600, [])


def test_links_are_followed_but_for_those_that_lead_nowhere_or_back(tmp_path):
    sounds.write(tmp_path / "elsewhere/a.wav", sounds.song(16.0, 1))
    (tmp_path / "music").mkdir()
    (tmp_path / "music/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "music/b.wav").symlink_to(tmp_path / "elsewhere/gone.wav")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "music")
    (tmp_path / "music/c.wav").mkdir()
    os.mkfifo(tmp_path / "music/d.wav")
    found = prepare(plan(tmp_path / "music", tmp_path / "out"))
    assert [row[1] for row in table(tmp_path / "out")] == ["linked/a.wav"]
    assert {f.path for f in found.left_out} <= {"b.wav"}


def test_files_of_several_folders_are_named_by_what_the_folders_have_not_in_common(tmp_path):
    first = sounds.write(tmp_path / "one/a.wav", sounds.song(16.0, 1)).parent
    second = sounds.write(tmp_path / "two/a.wav", sounds.song(16.0, 2)).parent
    prepare(Plan((str(first), str(second)), str(tmp_path / "out"), "mdct", workers=1))
    assert [row[1] for row in table(tmp_path / "out")] == ["one/a.wav", "two/a.wav"]


def test_silent_clips_are_dropped_and_counted(tmp_path):
    gap = np.zeros((1, CLIP), np.float32)
    sounds.write(tmp_path / "music/a.wav", np.hstack([sounds.song(16.0, 1), gap, gap, sounds.song(16.0, 2)]))
    summary = prepare(plan(tmp_path / "music", tmp_path / "out"))
    assert [row[3] for row in table(tmp_path / "out")] == [0.0, 48.0]
    assert [(f.path, f.clips, f.skipped, f.unreadable) for f in summary.left_out] == [
        ("a.wav", 2, "2 of 4 clips silent", False)
    ]


def test_short_files_are_left_out_with_a_hint_or_looped(tmp_path):
    sounds.write(tmp_path / "music/long.wav", sounds.song(16.0, 1))
    beat = sounds.drums(5.0, 2)
    sounds.write(tmp_path / "music/short.wav", beat)
    sounds.write(tmp_path / "music/tiny.wav", beat[:, : RATE // 2])
    left_out = {f.path: f.skipped for f in prepare(plan(tmp_path / "music", tmp_path / "no")).left_out}
    assert left_out == {
        "short.wav": "5.0 s, shorter than a clip of 16 s; --loop-short repeats it",
        "tiny.wav": "0.5 s, shorter than a clip of 16 s",
    }
    summary = prepare(plan(tmp_path / "music", tmp_path / "yes", loop_short=True, validation_share=0.0))
    assert [f.path for f in summary.left_out] == ["tiny.wav"]
    data = Dataset(tmp_path / "yes")
    looped = next(i for i, row in enumerate(data.table) if data.names["files"][row["file"]] == "short.wav")
    onsets = data.clips([looped]).onsets_BKT[0].mean(0)
    assert np.corrcoef(onsets[20:800], onsets[20 + 375 : 800 + 375])[0, 1] > 0.99  # 5 s are 375 frames


def test_unreadable_files_are_listed_with_their_reason_and_the_others_kept(tmp_path):
    sounds.write(tmp_path / "music/good.wav", sounds.song(16.0, 1))
    (tmp_path / "music/bad.wav").write_text("these are words")
    (tmp_path / "music/empty.flac").touch()
    summary = prepare(plan(tmp_path / "music", tmp_path / "out"))
    reasons = {f.path: f.skipped for f in summary.left_out}
    assert all(f.unreadable for f in summary.left_out)
    assert reasons["empty.flac"] == "the file is empty"
    assert "is not a sound file that can be read" in reasons["bad.wav"]
    assert [row[1] for row in table(tmp_path / "out")] == ["good.wav"]
    listed = json.loads((tmp_path / "out/left_out.json").read_text())
    assert {entry["path"]: entry["skipped"] for entry in listed} == reasons


def test_any_rate_and_channel_count_is_brought_to_the_codecs(tmp_path):
    wav = sounds.song(16.0, 1)
    sounds.write(tmp_path / "music/a.wav", wav)
    sounds.write(tmp_path / "music/b.wav", np.vstack([files.resample(wav, RATE, 44_100)] * 2), 44_100)
    prepare(plan(tmp_path / "music", tmp_path / "out", codec="mel", validation_share=0.0))
    assert [row[1] for row in table(tmp_path / "out")] == ["a.wav", "b.wav"]
    a, b = Dataset(tmp_path / "out").clips([0, 1]).z_BDT
    inside = slice(0, 110)  # up to 9 kHz, where resampling leaves everything
    assert (a[inside] - b[inside]).abs().mean() < 0.02 * a.abs().mean()


def test_a_file_name_that_is_no_utf_8_is_taken_as_it_is(tmp_path):
    path = tmp_path / "music" / os.fsdecode(b"caf\xe9.wav")
    sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1)).rename(path)
    sounds.write(tmp_path / "music/b.wav", sounds.song(16.0, 2))
    prepare(plan(tmp_path / "music", tmp_path / "out"))
    assert {row[1] for row in table(tmp_path / "out")} == {path.name, "b.wav"}


# What could not be read


def test_what_could_not_be_read_is_tried_again_whether_it_was_changed_or_not(tmp_path, monkeypatch):
    sounds.write(tmp_path / "music/good.wav", sounds.song(16.0, 1))
    (tmp_path / "music/bad.wav").write_text("these are words")
    away = sounds.write(tmp_path / "music/away.wav", sounds.song(16.0, 2))
    read = files.read

    def refused(path: Path, *rest: Any) -> np.ndarray:
        if path == away:
            raise files.Unreadable(f"{path}: may not be read (permission denied)")
        return read(path, *rest)

    monkeypatch.setattr(files, "read", refused)
    first = prepare(plan(tmp_path / "music", tmp_path / "out"))
    assert [f.path for f in first.left_out if f.unreadable] == ["away.wav", "bad.wav"]
    before = content(tmp_path / "out")
    assert prepare(plan(tmp_path / "music", tmp_path / "out")) == first
    assert content(tmp_path / "out") == before  # no news, no shard
    monkeypatch.undo()
    second = prepare(plan(tmp_path / "music", tmp_path / "out"))
    assert [f.path for f in second.left_out] == ["bad.wav"]
    sounds.write(tmp_path / "music/bad.wav", sounds.song(32.0, 3))
    assert prepare(plan(tmp_path / "music", tmp_path / "out")).left_out == []
    assert [row[1] for row in table(tmp_path / "out")] == ["away.wav", "bad.wav", "bad.wav", "good.wav"]


def test_what_was_read_counts_whatever_the_number_of_its_shard(tmp_path):
    for name in ("a.wav", "c.wav"):
        sounds.write(tmp_path / "music" / name, sounds.song(16.0, 1))
    (tmp_path / "music/b.wav").write_text("these are words")
    prepare_part(plan(tmp_path / "music", tmp_path / "out"), Part(1, 2))
    sounds.write(tmp_path / "music/b.wav", sounds.song(16.0, 2))
    assert prepare(plan(tmp_path / "music", tmp_path / "out")).left_out == []
    assert [row[1] for row in table(tmp_path / "out")] == ["a.wav", "b.wav", "c.wav"]
    calls: list[object] = []
    prepare(plan(tmp_path / "music", tmp_path / "out"), lambda *what: calls.append(what))
    assert calls == []


def test_a_folder_that_may_not_be_read_is_told_and_counted(tmp_path, monkeypatch, capsys):
    sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1))
    sounds.write(tmp_path / "music/closed/b.wav", sounds.song(16.0, 2))
    scandir = os.scandir

    def closed(folder: str) -> Any:  # root, as tests may be, may read whatever its mode
        if str(folder).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        command = ["prepare", str(tmp_path / "music"), "-o", str(tmp_path / "out"), "--codec", "mdct", "--workers", "1"]
        assert cli.main(command) == 2
        told = capsys.readouterr().err
        assert "unreadable: closed: the folder may not be read (permission denied)\n" in told
        assert "1 file(s) could not be read; the others were kept" in told
        listed = json.loads((tmp_path / "out/left_out.json").read_text())
        assert [(f["path"], f["unreadable"]) for f in listed] == [("closed", True)]
        with pytest.raises(BadInput, match="closed: the folder may not be read"):
            prepare(plan(tmp_path / "music/closed", tmp_path / "no"))
        with pytest.raises(BadInput, match="closed: the folder may not be read"):
            walk.sound_files((str(tmp_path / "music"),))
    assert prepare(plan(tmp_path / "music", tmp_path / "out")).left_out == []
    assert [row[1] for row in table(tmp_path / "out")] == ["a.wav", "closed/b.wav"]


# What stands in a data set


@pytest.mark.parametrize("codec_name", ["mel", "mdct"])
def test_packed_latents_are_the_codecs_and_features_those_of_the_levelled_clip(tmp_path, codec_name):
    path = sounds.write(tmp_path / "music/a.wav", sounds.song(34.0, 3, level_db=-31.0))
    prepare(plan(tmp_path / "music", tmp_path / "out", codec=codec_name))
    found = Dataset(tmp_path / "out").clips([0, 1])
    codec = registry.build("codecs", codec_name, {})
    for i, start in enumerate((0, CLIP)):
        levelled, _ = clips.normalise_level(files.read(path, RATE)[:, start : start + CLIP])
        wav = torch.from_numpy(levelled)
        # Half precision keeps 11 bits: half a unit in the last place is 2^-11 of the value.
        torch.testing.assert_close(found.z_BDT[i], codec.encode(wav[None])[0], rtol=2**-11 + 1e-4, atol=2e-4)
        wanted = features.extract(wav)
        torch.testing.assert_close(found.onsets_BKT[i], wanted.onsets_BKT[0], rtol=2**-11 + 1e-4, atol=2e-4)
        torch.testing.assert_close(found.chroma_BPT[i], wanted.chroma_BPT[0], rtol=2**-11 + 1e-4, atol=2e-3)
        torch.testing.assert_close(found.level_BT[i], wanted.level_BT[0], rtol=2**-11 + 1e-4, atol=2e-4)


def test_the_table_holds_start_and_level_of_each_clip(tmp_path):
    wav = np.hstack([sounds.chords(16.0, 1, level_db=-15.0), sounds.chords(16.0, 2, level_db=-45.0)])
    sounds.write(tmp_path / "music/a.wav", wav)
    prepare(plan(tmp_path / "music", tmp_path / "out"))
    rows = Dataset(tmp_path / "out").table
    assert rows["start_s"].tolist() == [0.0, 16.0]
    assert rows["level_db"].tolist() == pytest.approx([-15.0, -45.0], abs=0.05)


def test_dataset_json_counts_clips_songs_and_hours(dataset):
    told = json.loads((dataset / "dataset.json").read_text())
    assert told["clips"] == {"train": 6, "val": 4}
    assert told["songs"] == {"train": 2, "val": 2}
    assert told["hours"] == round(10 * 16 / 3600, 3)
    assert told["header"]["codec"] == "mdct"
    assert told["header"]["clip_frames"] == 1200


# The split


def test_no_song_is_on_both_sides(dataset):
    sides = {song: {row[0] for row in table(dataset) if row[2] == song} for song in sounds.SONGS}
    assert sides == {"ada.wav": {"train"}, "cab.wav": {"train"}, "bix.wav": {"val"}, "duke.wav": {"val"}}


def test_where_songs_are_folders_all_files_of_one_stay_on_one_side(tmp_path):
    for seed in range(8):
        sounds.write(tmp_path / f"music/song{seed // 2}/take{seed}.wav", sounds.chords(16.0, seed))
    prepare(plan(tmp_path / "music", tmp_path / "out", songs_are="folders", validation_share=0.5))
    rows = table(tmp_path / "out")
    assert {row[2] for row in rows} == {"song0", "song1", "song2", "song3"}
    assert len({(row[0], row[2]) for row in rows}) == 4
    assert {row[0] for row in rows} == {"train", "val"}


def test_about_the_wanted_share_of_songs_is_kept_and_each_keeps_its_side_when_others_come():
    names = [f"song {i}" for i in range(2000)]
    half, all_of_them = validation_songs(names[:1000], 0.1), validation_songs(names, 0.1)
    assert half == {song for song in all_of_them if song in set(names[:1000])}
    assert 150 < len(all_of_them) < 250  # binomial: 200 +- 13


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (1e-9, 1), (0.999999, 1)])
def test_two_songs_are_divided_unless_no_validation_is_wanted(share, kept):
    assert len(validation_songs(["a", "b"], share)) == kept


def test_a_single_song_is_for_training():
    assert validation_songs(["a"], 0.9999) in (set(), {"a"}) and validation_songs(["a"], 0.1) == set()


# Going on after an interruption


@pytest.mark.usefixtures("shards_of_two")
def test_killed_in_the_middle_and_started_again_it_is_what_an_uninterrupted_run_makes(killed, tmp_path):
    done_before = moments(killed.out)
    assert 1 <= len(done_before) < 4
    assert not (killed.out / "dataset.json").exists()
    (killed.out / "shards/.00001.0123456789ab.part.safetensors").write_bytes(b"half a shard")  # as a kill may leave it
    prepare(plan(killed.music, killed.out, codec="mel"))
    prepare(plan(killed.music, tmp_path / "whole", codec="mel"))
    assert len(moments(killed.out)) == 4
    assert done_before.items() <= moments(killed.out).items()
    assert content(killed.out) == content(tmp_path / "whole")


def test_a_killed_run_leaves_no_worker_behind(killed):
    assert killed.workers_that_stayed == 0


def test_a_second_run_does_nothing(tmp_path):
    music = sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1)).parent
    first = prepare(plan(music, tmp_path / "out"))
    before, when = content(tmp_path / "out"), moments(tmp_path / "out")
    calls: list[object] = []
    assert prepare(plan(music, tmp_path / "out"), lambda *what: calls.append(what)) == first
    assert calls == []
    assert moments(tmp_path / "out") == when
    assert content(tmp_path / "out") == before


def test_new_files_are_added_to_what_is_there(tmp_path):
    music = sounds.write(tmp_path / "music/b.wav", sounds.song(16.0, 1)).parent
    prepare(plan(music, tmp_path / "out", validation_share=0.0))
    when = moments(tmp_path / "out")
    sounds.write(music / "a.wav", sounds.song(32.0, 2))
    calls: list[tuple[int, int, str, int]] = []
    prepare(plan(music, tmp_path / "out", validation_share=0.0), lambda *what: calls.append(what))
    assert calls == [(1, 1, "a.wav", 2)]
    assert when.items() <= moments(tmp_path / "out").items()
    assert [row[1] for row in table(tmp_path / "out")] == ["a.wav", "a.wav", "b.wav"]


@pytest.mark.usefixtures("shards_of_two")
def test_a_damaged_shard_that_is_removed_as_told_is_made_again_and_nothing_else_lost(tmp_path):
    music = sounds.library(tmp_path / "music")
    prepare(plan(music, tmp_path / "out"))
    whole = {row: clip(tmp_path / "out", row) for row in table(tmp_path / "out")}
    damaged = tmp_path / "out/shards/00001.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"00001\.safetensors: damaged shard .* remove it and prepare again"):
        prepare(plan(music, tmp_path / "out"))
    damaged.unlink()
    prepare(plan(music, tmp_path / "out"))
    assert table(tmp_path / "out") == sorted(whole, key=lambda row: row[1:])
    assert all(torch.equal(clip(tmp_path / "out", row), z) for row, z in whole.items())


def clip(out: Path, wanted: tuple[str, str, str, float]) -> torch.Tensor:
    """The latents that the table gives for one of its rows."""
    data = Dataset(out, wanted[0])
    names = data.names["files"]
    (row,) = (i for i, r in enumerate(data.table) if (names[r["file"]], float(r["start_s"])) == (wanted[1], wanted[3]))
    return data.clips([row]).z_BDT


@pytest.mark.parametrize(
    "change",
    [
        {"codec": "mel"},
        {"codec": "encodec", "codec_options": {"source": "random"}},
        {"loop_short": True},
        {"songs_are": "folders"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_codec_or_option_into_the_same_directory_is_refused(tmp_path, change):
    music = sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1)).parent
    prepare(plan(music, tmp_path / "out"))
    before = content(tmp_path / "out")
    with pytest.raises(BadInput, match=f"{next(iter(change))}.*name another directory"):
        prepare(plan(music, tmp_path / "out", **change))
    assert content(tmp_path / "out") == before


def test_another_option_of_the_codec_is_refused_by_its_name(tmp_path):
    music = sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1)).parent
    prepare(plan(music, tmp_path / "out", codec="mel"))
    with pytest.raises(BadInput, match=r"phase_steps.*name another directory"):
        prepare(plan(music, tmp_path / "out", codec="mel", codec_options={"phase_steps": 5}))


def test_following_the_hint_to_loop_short_files_does_not_end_in_the_same_hint(tmp_path):
    music = sounds.write(tmp_path / "music/a.wav", sounds.song(5.0, 1)).parent
    with pytest.raises(BadInput, match="--loop-short repeats it"):
        prepare(plan(music, tmp_path / "out"))
    try:
        assert prepare(plan(music, tmp_path / "out", loop_short=True)).clips["train"] == 1
    except BadInput as error:
        assert "name another directory" in str(error)


def test_a_source_that_changed_is_refused(tmp_path):
    path = sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1))
    prepare(plan(path.parent, tmp_path / "out"))
    sounds.write(path, sounds.song(17.0, 1))
    with pytest.raises(BadInput, match=r"a\.wav: has changed since it was prepared"):
        prepare(plan(path.parent, tmp_path / "out"))


def test_an_output_directory_that_is_no_data_set_is_refused_and_left_alone(tmp_path):
    path = sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="is not empty and not a data set"):
        prepare(plan(path.parent, tmp_path / "out"))
    assert content(tmp_path / "out") == {"letter.txt": b"dear"}


def test_music_without_one_usable_clip_is_refused_with_the_first_reason(tmp_path):
    sounds.write(tmp_path / "music/a.wav", np.zeros((1, CLIP), np.float32))
    with pytest.raises(BadInput, match=r"not one usable clip in 1 files \(the first: a.wav: 1 of 1 clips silent\)"):
        prepare(plan(tmp_path / "music", tmp_path / "out"))


def test_a_full_disk_ends_in_one_line_and_no_half_written_shard(tmp_path, small_shards):
    sounds.write(tmp_path / "music/a.wav", sounds.chords(32.0, 1))
    sounds.write(tmp_path / "music/b.wav", sounds.chords(96.0, 2))  # a shard of 4.9 MB, a's has 1.6

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    process = small_shards(
        tmp_path / "music", "-o", tmp_path / "out", "--codec", "mdct", "--workers", 1, preexec_fn=fill
    )
    out, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert out == ""
    assert error.startswith("powermuse: ") and error.count("\n") == 1, error
    assert [p.name for p in (tmp_path / "out/shards").iterdir()] == ["00000.safetensors"]
    assert [i.file for i in shards.read_shard_header(tmp_path / "out/shards/00000.safetensors")[0]] == ["a.wav"] * 2


# Several processes


def test_two_workers_make_exactly_what_one_makes(tmp_path):
    music = sounds.library(tmp_path / "music")
    (music / "bad.wav").write_text("these are words")
    summaries = [prepare(plan(music, tmp_path / str(n), codec="mel", workers=n)) for n in (1, 2)]
    assert summaries[0] == summaries[1]
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_one_file_for_many_workers_leaves_this_process_its_threads(tmp_path):
    music = sounds.write(tmp_path / "music/a.wav", sounds.song(16.0, 1)).parent
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        prepare(plan(music, tmp_path / "out", workers=0))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_ctrl_c_ends_it_and_its_workers_in_one_line(tmp_path, small_shards):
    for seed in range(12):  # more than is done before the signal comes, however late that is sent
        sounds.write(tmp_path / f"music/{seed}.wav", sounds.chords(64.0, seed))
    process = small_shards(tmp_path / "music", "-o", tmp_path / "out", "--workers", 2, start_new_session=True)
    wait_for_shards(tmp_path / "out", 1, process)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "powermuse: stopped\n")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ((), (), "another process is preparing;"),
        ((), ("--part", "2/2"), "another process is preparing;"),
        (("--part", "2/2"), (), "another process is preparing;"),
        (("--part", "2/2"), ("--part", "2/2"), "another process is preparing part 2;"),
    ],
    ids=["whole", "part into whole", "whole into parts", "the same part"],
)
def test_a_second_process_into_the_same_data_set_is_refused_in_one_line(tmp_path, small_shards, first, second, told):
    for seed in range(8):
        sounds.write(tmp_path / f"music/{seed}.wav", sounds.chords(32.0, seed))
    words = (tmp_path / "music", "-o", tmp_path / "out", "--codec", "mdct", "--workers", 1)
    running = small_shards(*words, *first)
    wait_for_shards(tmp_path / "out", 1, running)
    running.send_signal(signal.SIGSTOP)
    other = small_shards(*words, *second)
    out, error = other.communicate(timeout=120)
    assert (other.returncode, out) == (2, "") and error.count("\n") == 1 and told in error, error
    running.send_signal(signal.SIGCONT)
    _, error = running.communicate(timeout=120)
    assert running.returncode == 0, error
    prepare(plan(tmp_path / "music", tmp_path / "out"))
    assert len(table(tmp_path / "out")) == 16


def test_other_parts_go_on_beside_a_part_and_file_systems_without_locks_without_them(tmp_path, monkeypatch):
    with lock.only_writer_of_part(tmp_path, 0), lock.only_writer_of_part(tmp_path, 1):
        assert (tmp_path / ".plan.1.lock").exists()

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with lock.only_writer(tmp_path), lock.only_writer(tmp_path):
        assert not (tmp_path / ".plan.1.lock").exists()


def children(pid: int) -> list[int]:
    """Processes that this one started, from /proc."""
    return [int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]


def alive(pids: list[int]) -> list[int]:
    """Those that run: neither gone nor waiting to be buried."""
    states = {pid: Path(f"/proc/{pid}/stat") for pid in pids}
    return [
        pid for pid, stat in states.items() if stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    ]


def test_every_shard_describes_the_clips_it_holds(dataset):
    described = 0
    for path in sorted((dataset / "shards").iterdir()):
        infos, books = shards.read_shard_header(path)
        with safe_open(path, framework="pt") as shard:
            assert len(list(shard.keys())) == len(infos) == sum(book.clips for book in books)
        described += len(infos)
    assert described == 10
