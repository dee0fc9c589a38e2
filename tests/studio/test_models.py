"""Models of one's own in the studio: by name, beside the shipped ones, no place on disk told."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from powermuse import weights
from powermuse.cli import main
from powermuse.studio import app
from powermuse.studio.models import Models
from powermuse.types import BadInput


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A run's folder, as far as a model is concerned."""
    return Path(shutil.copytree(weights.find_model("starter"), tmp_path / "runs" / "first try"))


@pytest.fixture
def studio(tmp_path: Path, own: Path) -> Iterator[TestClient]:
    made = app.make(tmp_path / "kept", models=Models([str(own)]))
    with TestClient(made, base_url="http://localhost:8765") as client:
        yield client
    made.state.worker.stop()


def test_a_model_of_ones_own_composes_by_its_name_and_no_place_is_told(studio, pair_of_own, own):
    told = studio.get("/api/about").json()["models"]
    assert next(m for m in told if m["name"] == "first try") == {
        "name": "first try",
        "factors": False,
        "orchestrations": [],
    }
    job = studio.post("/api/jobs", json=pair_of_own).json()
    end = time.monotonic() + 120
    while (state := studio.get(f"/api/jobs/{job['id']}").json()["state"]) in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert state == "done"
    report = json.loads(studio.get(f"/api/blends/{job['id']}/blend.json").text)
    assert report["model"]["name"] == "first try" and str(own.parent) not in json.dumps(report)
    refused = studio.post("/api/jobs", json={**pair_of_own, "strengths": {"rhythm": 2.0}}).json()["trouble"]
    assert refused.startswith("model first try: its agent is masking")
    shutil.rmtree(own)
    gone = studio.post("/api/jobs", json={**pair_of_own, "strengths": {"rhythm": 2.0}})
    assert gone.status_code == 400 and str(own.parent) not in gone.json()["trouble"]
    assert "first try" not in [m["name"] for m in studio.get("/api/about").json()["models"]]


@pytest.fixture
def pair_of_own(studio, brought):
    ids = [studio.post("/api/sounds", files={"file": item}).json()["id"] for item in brought.items()]
    return {"groove": {"sound": ids[0]}, "harmony": {"sound": ids[1]}, "model": "first try"}


def test_what_is_no_model_and_two_of_one_name_are_refused_before_anything_is_served(tmp_path, own, capsys):
    starter = Path(shutil.copytree(own, tmp_path / "starter"))
    for given, said in (
        (tmp_path / "none", "no model is called"),
        (tmp_path / "runs", "is not a model"),
        (starter, "called starter"),
    ):
        with pytest.raises(BadInput, match=said):
            Models([str(given)])
    with pytest.raises(BadInput, match="called first try already"):
        Models([str(own), str(own)])
    assert main(["studio", "--folder", str(tmp_path / "kept"), "--no-browser", "--model", str(starter)]) == 2
    said = capsys.readouterr().err
    assert "give its folder another name" in said and said.count("\n") == 1 and not (tmp_path / "kept").exists()
