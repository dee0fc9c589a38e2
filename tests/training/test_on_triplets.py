"""Training on rendered triplets: it goes on to the same numbers, also while more of them are rendered."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from powermuse.data.made_up import make_up, make_up_triplets
from powermuse.data.shards import Dataset
from powermuse.recipe import Choice, Recipe
from powermuse.training import checkpoint
from powermuse.training.rehearsal import rehearse
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import toy

SETTINGS = ("data.pairing=triplets", "training.pairs=48", "weights.latent.truth=1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_up_triplets(tmp_path / "set", Choice("mel"), 120, count=6)
    return tmp_path / "set"


def train(folder: Path, run: Path, recipe: Recipe | None = None) -> Trainer:
    trainer = Trainer(recipe or toy(*SETTINGS), str(folder), str(run), lambda _: None)
    trainer.fit()
    return trainer


def killed(folder: Path, run: Path) -> None:
    """The same run, killed between two checkpoints."""
    code = (
        "import os, signal, sys\n"
        "from training.toys import toy\n"
        "from powermuse.training.trainer import Trainer\n"
        "kill = lambda now: os.kill(os.getpid(), signal.SIGKILL) if now.seen >= 28 else None\n"
        f"Trainer(toy(*{SETTINGS!r}), *sys.argv[1:], kill).fit()\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    command = [sys.executable, "-c", code, str(folder), str(run)]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode == -signal.SIGKILL


def end(run: Path) -> dict[str, torch.Tensor]:
    kept = checkpoint.load(checkpoint.found(run / "checkpoints")[-1])
    return {f"{group}/{name}": t for group, tensors in kept.tensors.items() for name, t in tensors.items()}


def add_triplets(folder: Path) -> None:
    """More shards, as another process would write them: those of the seed's first triplets stay what they are."""
    for split in ("train", "val"):
        path = folder / split / "00000-00006.safetensors"
        (folder / split / "00006-00012.safetensors").write_bytes(
            path.read_bytes().replace(b'"0000', b'"9000')  # other numbers, the same length
        )


def test_killed_and_started_again_while_more_are_rendered_it_comes_to_the_same_weights(folder, tmp_path):
    train(folder, tmp_path / "whole")
    killed(folder, tmp_path / "killed")
    assert 0 < int(checkpoint.found(tmp_path / "killed/checkpoints")[-1].stem) < 48
    add_triplets(folder)
    train(folder, tmp_path / "killed")
    whole, again = end(tmp_path / "whole"), end(tmp_path / "killed")
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    identity = json.loads((tmp_path / "killed/data.json").read_text())
    assert (identity["triplets.train"], identity["triplets.val"]) == (6, 6)


def test_validation_looks_at_the_truth_of_the_val_split(folder, tmp_path):
    trainer = train(folder, tmp_path / "run")
    assert trainer.validation is not None and trainer.validation.dataset.split == "val"
    validated = [
        x for x in map(json.loads, (tmp_path / "run/log.jsonl").read_text().splitlines()) if x["split"] == "val"
    ]
    assert validated and all(x["latent.truth"] > 0 for x in validated)


def test_triplets_that_have_changed_are_refused(folder, tmp_path):
    train(folder, tmp_path / "run", toy(*SETTINGS, "training.pairs=8"))
    other = tmp_path / "other"
    make_up_triplets(other, Choice("mel"), 120, count=6, seed=1)
    shard = Path("train/00000-00006.safetensors")
    (folder / shard).write_bytes((other / shard).read_bytes())
    with pytest.raises(BadInput, match=r"was begun with data set sha256\.train\.triplets"):
        train(folder, tmp_path / "run")


@pytest.mark.parametrize("setting", ["data.triplets", "data.first"])
def test_a_number_of_triplets_below_none_is_refused(folder, tmp_path, setting):
    with pytest.raises(BadInput, match=f"{setting} must be at least 0"):
        train(folder, tmp_path / "run", toy(*SETTINGS, f"{setting}=-1"))


def test_a_run_on_triplets_that_begin_later_stops_and_goes_on_to_the_same_weights(tmp_path):
    make_up_triplets(tmp_path / "set", Choice("mel"), 120, count=7, first=64)
    settings = (*SETTINGS, "data.first=64", "data.triplets=6")
    train(tmp_path / "set", tmp_path / "whole", toy(*settings))
    for pairs in (20, 48):
        train(tmp_path / "set", tmp_path / "parts", toy(*settings, f"training.pairs={pairs}"))
    whole, parts = end(tmp_path / "whole"), end(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole if not name.startswith("means/"))
    with pytest.raises(BadInput, match=r"was begun with data\.first=64, now it is 65"):
        train(tmp_path / "set", tmp_path / "parts", toy(*settings, "data.first=65"))


def test_unity_is_a_share_and_like_notes_of_triplets_alone(folder, tmp_path):
    with pytest.raises(BadInput, match=r"data\.unity must be from 0 to 1, not 1\.5"):
        train(folder, tmp_path / "run", toy(*SETTINGS, "data.unity=1.5"))
    with pytest.raises(BadInput, match=r"data\.unity wants data\.pairing=triplets, not shuffled"):
        train(folder, tmp_path / "run", toy("data.unity=0.5"))
    with pytest.raises(BadInput, match=r"data\.notes wants data\.pairing=triplets, not shuffled"):
        train(folder, tmp_path / "run", toy("data.notes=true"))


def test_singles_are_a_share_of_unity_and_of_triplets_alone(folder, tmp_path):
    def refused(match: str, *settings: str) -> None:
        with pytest.raises(BadInput, match=match):
            train(folder, tmp_path / "run", toy(*settings))

    refused(r"data\.singles_share must be from 0 to 1, not 1\.5", *SETTINGS, "data.singles_share=1.5")
    refused(r"data\.singles wants data\.unity above 0", *SETTINGS, f"data.singles={folder}")
    refused(r"data\.singles wants data\.pairing=triplets, not shuffled", f"data.singles={folder}")


def test_a_run_with_recordings_stops_and_goes_on_to_the_same_weights_and_keeps_to_them(folder, tmp_path):
    recorded = tmp_path / "recorded"
    make_up(recorded, Choice("mel"), 120, songs=5)
    settings = (*SETTINGS, "data.unity=0.8", f"data.singles={recorded}", "data.notes=true")
    train(folder, tmp_path / "whole", toy(*settings))
    for pairs in (20, 48):
        train(folder, tmp_path / "parts", toy(*settings, f"training.pairs={pairs}"))
    train(folder, tmp_path / "without", toy(*SETTINGS, "data.unity=0.8", "data.notes=true"))
    whole, parts, without = (end(tmp_path / name) for name in ("whole", "parts", "without"))
    models = [name for name in whole if not name.startswith("means/")]
    assert all(torch.equal(whole[name], parts[name]) for name in models)
    assert not all(torch.equal(whole[name], without[name]) for name in models)
    shutil.rmtree(recorded)
    make_up(recorded, Choice("mel"), 120, songs=5, seed=1)
    with pytest.raises(BadInput, match=r"was begun with data set singles\.sha256\."):
        train(folder, tmp_path / "parts", toy(*settings))


def test_a_run_whose_pairs_carry_notes_decodes_its_clips_and_comes_to_the_same_weights(folder, tmp_path):
    settings = (*SETTINGS, "training.pairs=8", "data.unity=0.5", "weights.mel.truth=1.0", "data.decode_frames=24")
    for notes in ("false", "true"):
        train(folder, tmp_path / notes, toy(*settings, f"data.notes={notes}"))
    without, beside = end(tmp_path / "false"), end(tmp_path / "true")
    assert all(torch.equal(without[name], beside[name]) for name in without)


@pytest.mark.parametrize("real", [False, True])
def test_a_dry_run_proves_a_recipe_on_triplets(folder, real):
    recipe = toy(*SETTINGS, *([] if real else ["data.first=4096", "data.triplets=4096"]))
    shown = {proof.name: proof.shown for proof in rehearse(recipe, str(folder) if real else "")}
    assert ("from 6 clips, 6 to validate on" if real else "made-up clips") in shown["data"]
    assert "went on to the same weights" in shown["resume"]


@pytest.mark.parametrize("real", [False, True])
def test_a_dry_run_learns_from_recordings_too_made_up_ones_where_there_is_no_data_set(folder, real, monkeypatch):
    monkeypatch.chdir(folder.parent)
    if real:
        make_up(Path("recorded"), Choice("mel"), 120)
    read: list[Path] = []
    crops = Dataset.crops
    monkeypatch.setattr(Dataset, "crops", lambda data, *given: (read.append(data.folder), crops(data, *given))[1])
    recipe = toy(*SETTINGS, "data.unity=1.0", "data.singles=recorded", "data.notes=true")
    shown = {proof.name: proof.shown for proof in rehearse(recipe, str(folder) if real else "")}
    assert "went on to the same weights" in shown["resume"]
    assert {path.name for path in read} == ({"recorded", "singles"} if real else {"singles"})
