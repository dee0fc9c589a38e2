import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from powermuse.training import environment


def test_each_start_adds_what_it_runs_with(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["powermuse", "train", "-s", "tracking.uri=https://me:secret@host/x y"])
    environment.record(tmp_path, 0, 1)
    environment.record(tmp_path, 40, 4)
    first, second = json.loads((tmp_path / "environment.json").read_text())
    assert (first["seen"], first["ranks"], second["seen"], second["ranks"]) == (0, 1, 40, 4)
    assert first["torch"] == torch.__version__ and first["python"] == platform.python_version()
    assert first["cuda"] == torch.version.cuda and first["threads"] == torch.get_num_threads()
    assert first["command"] == "powermuse train -s 'tracking.uri=https://***@host/x y'"


def test_packages_are_those_that_it_builds_on_and_no_tools():
    found = environment.packages()
    assert {name: found[name] for name in ("torch", "numpy", "lightning-fabric")} == {
        name: version(name) for name in ("torch", "numpy", "lightning-fabric")
    }
    assert "pytest" not in found and "ruff" not in found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, of known.py."""
    (tmp_path / "known.py").write_text("1\n")
    (tmp_path / "unknown.py").write_text("1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "known.py")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_that_of_the_source_and_says_where_it_was_changed(repository):
    head = git(repository, "rev-parse", "HEAD")
    assert environment.commit(repository / "known.py") == head
    assert environment.commit(repository / "unknown.py") is None  # a package installed below a repository
    (repository / "known.py").write_text("2\n")
    assert environment.commit(repository / "known.py") == f"{head}-dirty"


def test_there_is_no_commit_without_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert environment.commit(repository / "known.py") is None
