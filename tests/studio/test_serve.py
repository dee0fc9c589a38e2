"""Starting the studio: what is on the shelf, and what stops it before it begins."""

import socket

import pytest

from powermuse.cli import main
from powermuse.commands import studio
from powermuse.studio.serve import _alone, _named, bring_examples
from powermuse.studio.store import Store, new_id
from powermuse.training import lock


def test_the_examples_lie_on_a_shelf_that_is_empty_the_groove_first(tmp_path):
    store = Store(tmp_path)
    bring_examples(store, studio._examples())
    bring_examples(store, studio._examples())
    assert [sound.name for sound in store.sounds()] == ["groove.ogg", "harmony.ogg"]


def test_an_address_that_is_taken_ends_in_one_line_and_status_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["studio", "--port", str(port), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}: cannot be listened on" in said and said.count("\n") == 1


def test_a_folder_has_one_studio_and_the_next_when_that_is_gone(tmp_path, capsys):
    making = Store(tmp_path).begin_blend(new_id())
    words = ["studio", "--port", "0", "--no-browser", "--folder", str(tmp_path)]
    with (tmp_path / ".studio").open("w") as file:
        lock.hold(file)
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "another studio works there" in said and said.count("\n") == 1
        assert making.exists()
    with _alone(tmp_path):
        assert lock.is_held(tmp_path / ".studio")
    assert not lock.is_held(tmp_path / ".studio")


@pytest.mark.parametrize(
    ("host", "own", "named"),
    [
        ("127.0.0.1", True, "localhost"),
        ("::", False, "localhost"),
        ("0.0.0.0", False, "localhost"),
        ("fe80::1", False, "[fe80::1]"),
        ("studio.lan", False, "studio.lan"),
    ],
)
def test_the_address_that_is_said_is_one_that_a_browser_takes(host, own, named):
    assert _named(host, own) == named


@pytest.mark.parametrize(
    ("words", "said"), [(["--port", "70000"], "from 0 to 65535"), (["--folder", "file"], "is a file")]
)
def test_what_cannot_be_is_refused(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert main(["studio", "--no-browser", *words]) == 2
    assert said in capsys.readouterr().err
