"""No file is ever half there."""

import errno
import os
from pathlib import Path

import pytest

from powermuse import disk


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "kept.yaml").write_text("old")
    return tmp_path / "kept.yaml"


def _alone(path: Path, content: str) -> bool:
    """Whether the folder holds this file and nothing else."""
    return list(path.parent.iterdir()) == [path] and path.read_text() == content


def test_what_is_written_is_there_and_nothing_else(path):
    disk.write_text(path, "näw")
    assert _alone(path, "näw") and path.read_bytes() == "näw".encode()
    disk.write_bytes(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"


def test_until_the_end_the_old_content_stands(path):
    with disk.aside(path) as temporary:
        temporary.write_text("new, but not y")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent and temporary.suffix == ".yaml"
        temporary.write_text("new")
    assert _alone(path, "new")


@pytest.mark.parametrize("accident", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_accident_while_writing_leaves_the_old_content_alone(path, accident):
    with pytest.raises(accident), disk.aside(path) as temporary:
        temporary.write_text("ne")
        raise accident
    assert _alone(path, "old")


@pytest.mark.parametrize("step", ["write_bytes", "fsync", "replace"])
def test_a_full_disk_at_any_step_leaves_the_old_content_alone(path, monkeypatch, step):
    write = Path.write_bytes

    def full(*arguments):
        if step == "write_bytes":
            write(arguments[0], b"half of i")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(OSError, match="No space left"):
        disk.write_text(path, "new")
    monkeypatch.undo()
    assert _alone(path, "old")


def test_a_failing_first_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), disk.aside(tmp_path / "first.bin") as temporary:
        temporary.write_bytes(b"ha")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_reader_keeps_the_file_that_it_opened(path):
    # A rename puts another file in place; writing into the old one would change it under the reader.
    with path.open() as reader:
        disk.write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_the_content_is_on_the_disk_before_the_name_changes(path, monkeypatch):
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("sync"), fsync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda one, other: (order.append("rename"), replace(one, other)))
    disk.write_text(path, "new")
    assert order == ["sync", "rename"]


def test_a_folder_in_the_way_is_an_error_and_no_litter(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        disk.write_text(tmp_path / "taken", "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def test_the_digest_is_sha_256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert disk.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_killed_writers_left_goes_and_nothing_else(tmp_path):
    for name in (".log.0123456789ab.part.jsonl", ".tmpA1b2C3", "log.jsonl", ".hidden"):
        (tmp_path / name).touch()
    disk.remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"log.jsonl", ".hidden"}


def test_names_that_are_no_utf_8_are_written_to_and_told(tmp_path):
    name = os.fsdecode(b"x\xff.txt")
    disk.write_text(tmp_path / name, f"of {name}")
    assert (tmp_path / name).read_bytes() == b"of x\xff.txt" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("links", [True, False])
def test_of_several_that_write_first_the_first_ones_text_stays(tmp_path, monkeypatch, links):
    def refuses(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refuses)
    path = tmp_path / "plan.json"
    disk.write_first(path, "one")
    if links:
        disk.write_first(path, "another")
    assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]
