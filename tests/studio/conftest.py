"""A studio over a folder of its own, asked as a browser would."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the studio: pip install 'powermuse[studio]'")

from fastapi.testclient import TestClient

import sounds
from powermuse.studio import app


@pytest.fixture(scope="session")
def brought(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two sounds of five seconds as files."""
    folder = tmp_path_factory.mktemp("brought")
    made = {"drums.wav": sounds.drums(5.0, 1), "chords.wav": sounds.chords(5.0, 2)}
    return {name: sounds.write(folder / name, wav).read_bytes() for name, wav in made.items()}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[TestClient]:
    made = app.make(tmp_path / "kept")
    with TestClient(made, base_url="http://localhost:8765") as client:
        yield client
    made.state.worker.stop()


@pytest.fixture
def pair(studio: TestClient, brought: dict[str, bytes]) -> dict[str, dict[str, str]]:
    """A wish for the two sounds, on a shelf, by the small model."""
    ids = [studio.post("/api/sounds", files={"file": item}).json()["id"] for item in brought.items()]
    return {"groove": {"sound": ids[0]}, "harmony": {"sound": ids[1]}, "model": "starter"}
