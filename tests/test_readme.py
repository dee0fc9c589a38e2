"""The commands of the README run as they stand, on music that is made here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sounds

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line.split("&& ")[-1] for line in lines if "powermuse " in line]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newcomer's home: a folder of music, and the project's examples at hand."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "examples", home / "examples")
    for seed in range(4):
        sounds.write(home / "Music" / f"{seed}.wav", sounds.song(20.0, seed))
    return home


def test_the_first_screen_shows_the_two_commands() -> None:
    first_screen = "\n".join(README.splitlines()[:24])
    assert "pip install -c constraints/cpu.txt -e . && powermuse compose examples/" in first_screen
    assert "pip install -c constraints/cpu.txt -e '.[all,dev]' && pytest" in first_screen


def test_every_command_of_the_readme_runs(home: Path) -> None:
    environment = {**os.environ, "HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert len(commands()) >= 6
    # A studio runs until it is stopped: tests/studio/test_page.py starts it.
    for command in (c for c in commands() if c != "powermuse studio"):
        done = subprocess.run(["bash", "-c", command], cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    for made in ("blend.wav", "blend.json", "blend.png", "mine.wav", "back.wav"):
        assert (home / made).stat().st_size > 0


def test_the_library_example_of_the_readme_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    (example,) = blocks("python")
    names: dict[str, object] = {}
    exec(example, names)
    assert -1.0 <= names["report"]["rhythm"]["groove"]["onset_correlation"] <= 1.0  # type: ignore[index]
