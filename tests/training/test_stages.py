"""Runs that start from the weights of others."""

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from powermuse import disk, weights
from powermuse.data.made_up import make_up
from powermuse.recipe import Choice
from powermuse.training import checkpoint
from powermuse.training.rehearsal import rehearse
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import toy

PAIRS = "training.pairs=8"
WEIGHT = "agent.encoders.0.0.weight"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "set"
    make_up(folder, Choice("mel"), clip_frames=60)
    return folder


@pytest.fixture(scope="module")
def first(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the first stage."""
    run = tmp_path_factory.mktemp("first") / "run"
    train(data, run, PAIRS)
    return run


@pytest.fixture
def model(first: Path, tmp_path: Path) -> Path:
    """A copy of its model that a test may change."""
    (tmp_path / "model").mkdir()
    for name in ("model.safetensors", "recipe.yaml"):
        shutil.copy(first / name, tmp_path / "model")
    return tmp_path / "model"


def open_run(data: Path, run: Path, *settings: str) -> Trainer:
    return Trainer(toy(*settings), str(data), str(run), lambda _: None)


def train(data: Path, run: Path, *settings: str) -> Trainer:
    trainer = open_run(data, run, *settings)
    trainer.fit()
    return trainer


def begun(run: Path) -> list[dict[str, str] | None]:
    return [start.get("begun_from") for start in json.loads((run / "environment.json").read_text())]


def end(run: Path) -> dict[str, torch.Tensor]:
    kept = checkpoint.load(checkpoint.found(run / "checkpoints")[-1])
    return {f"{group}/{name}": t for group in ("model", "optimizer") for name, t in kept.tensors[group].items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_new_run_starts_from_the_weights_and_records_their_digest(data, first, tmp_path):
    start = f"training.begin_from={first}"
    stored = safetensors.torch.load_file(first / "model.safetensors")
    trainer = open_run(data, tmp_path / "run", PAIRS, start, "training.ema=0.9", "training.seed=5")
    assert same(trainer.learner.bare_model.state_dict(), stored)
    with trainer.learner.average.applied():
        assert same(trainer.learner.bare_model.state_dict(), stored)
    assert trainer.seen == 0 and not any(state["step"] for state in trainer.learner.bare_optimizer.state.values())
    trainer.fit()
    assert begun(tmp_path / "run") == [{"model": str(first), "sha256": disk.sha256(first / "model.safetensors")}]
    new = open_run(data, tmp_path / "new", PAIRS).learner.bare_model.state_dict()
    assert not torch.equal(new[WEIGHT], stored[WEIGHT])
    assert begun(first) == [None]


def test_weights_may_be_of_half_precision_and_shipped_under_a_name(data, model, tmp_path, monkeypatch):
    stored = safetensors.torch.load_file(model / "model.safetensors")
    weights.save_tensors(model, stored, toy(), half=True)
    monkeypatch.chdir(tmp_path)  # a path is relative to where the run is started
    held = open_run(data, tmp_path / "run", "training.begin_from=model").learner.bare_model.state_dict()
    assert held[WEIGHT].dtype == torch.float32
    assert same(held, {name: tensor.half().to(tensor.dtype) for name, tensor in stored.items()})
    with pytest.raises(BadInput, match=r"the weights belong to another recipe|has shape"):
        open_run(data, tmp_path / "other", "training.begin_from=starter")


def test_a_run_that_stopped_goes_on_from_its_own_checkpoint_without_looking_at_them(data, model, tmp_path):
    start = f"training.begin_from={model}"
    train(data, tmp_path / "whole", "training.pairs=16", start)
    train(data, tmp_path / "parts", PAIRS, start)
    shutil.rmtree(model)
    train(data, tmp_path / "parts", "training.pairs=16", start)
    assert same(end(tmp_path / "whole"), end(tmp_path / "parts"))
    first, second = begun(tmp_path / "parts")
    assert first is not None and second is None
    with pytest.raises(BadInput, match=r"was begun with training\.begin_from=.*, now it is ;"):
        open_run(data, tmp_path / "parts", "training.pairs=16")


def test_a_run_without_a_whole_checkpoint_starts_from_them_again(data, model, tmp_path):
    settings = (PAIRS, f"training.begin_from={model}")
    train(data, tmp_path / "run", *settings)
    whole = end(tmp_path / "run")
    kept = tmp_path / "run/checkpoints"
    for path in checkpoint.found(kept):
        path.unlink()  # `whole` is a view of what was there
        path.write_bytes(b"broken")
    log, trained = (tmp_path / "run/log.jsonl").read_bytes(), (tmp_path / "run/model.safetensors").read_bytes()
    with pytest.raises(BadInput, match=f"nor is any before it; move {kept} away"):
        train(data, tmp_path / "run", *settings)
    assert (tmp_path / "run/log.jsonl").read_bytes() == log, "nothing is begun over what may be saved"
    assert (tmp_path / "run/model.safetensors").read_bytes() == trained
    kept.rename(tmp_path / "damaged")
    train(data, tmp_path / "run", *settings)
    assert same(end(tmp_path / "run"), whole)
    first, second = begun(tmp_path / "run")
    assert first == second is not None


def _change(model: Path, name: str, tensor: torch.Tensor | None, codec: str = "mel") -> None:
    path = model / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors.pop(name)
    weights.write_tensors(path, tensors if tensor is None else {**tensors, name: tensor}, {"codec": codec})


def test_what_does_not_fit_is_refused_before_there_is_a_run(data, model, tmp_path):
    def refused(match: str, start: str = str(model)) -> None:
        with pytest.raises(BadInput, match=match):
            open_run(data, tmp_path / "run", f"training.begin_from={start}")
        assert not (tmp_path / "run").exists()

    refused("no model is called 'nobody'", "nobody")
    refused(r"is not a model: recipe\.yaml and model\.safetensors missing", str(tmp_path))
    kept = safetensors.torch.load_file(model / "model.safetensors")[WEIGHT]
    _change(model, WEIGHT, kept, codec="mdct")
    refused("was trained on codec mdct, the run that is to begin from it is of mel")
    _change(model, WEIGHT, kept[:-1])
    refused(rf"{WEIGHT} has shape .*, the recipe wants")
    _change(model, WEIGHT, None)
    refused(f"{WEIGHT} is missing; the weights belong to another recipe")


def test_a_dry_run_is_of_another_size_and_begins_anew(first):
    recipe = toy(f"training.begin_from={first}", "training.warmup=1000", "training.cooldown=1000")
    assert "went on to the same weights" in {proof.name: proof.shown for proof in rehearse(recipe)}["resume"]
