"""Models on disk: there and back, and every way in which a folder does not fit."""

import errno
import hashlib
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from powermuse import recipe, weights
from powermuse.model.muse import Muse
from powermuse.recipe import CascadeRecipe, Choice, Recipe
from powermuse.types import BadInput, Clip

RUN = Recipe(
    "toy",
    agent=Choice("masking", {"hidden": 8, "heads": 2}),
    cascade=CascadeRecipe(layers=1, ffn_multiple=0.125),
    weights={"latent.groove": 1.0},
)
HEAD = "agent.heads.0.0.bias"


@pytest.fixture(scope="module")
def model() -> Muse:
    torch.manual_seed(0)
    model = weights.build_model(RUN, 128)
    model(*_clips())  # in training, so that the spectral norms have moved from where they start
    return model.eval()


@pytest.fixture
def folder(tmp_path, model) -> Path:
    weights.save_model(tmp_path / "model", model, RUN)
    return tmp_path / "model"


def _clips() -> tuple[Clip, Clip]:
    latents = 5.7 * torch.randn(2, 1, 128, 12, generator=torch.Generator().manual_seed(1))
    groove, harmony = (Clip(z, torch.zeros(1, 8, 12), torch.zeros(1, 24, 12), torch.zeros(1, 12)) for z in latents)
    return groove, harmony


def _blend(model) -> torch.Tensor:
    with torch.no_grad():
        return model(*_clips())[1].blend_BDT


def _change(folder: Path, change) -> None:
    """The weight file with one change."""
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    safetensors.torch.save_file(tensors, path)


def _complaint(name) -> str:
    with pytest.raises(BadInput) as refusal:
        weights.load_model(str(name))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_loaded_model_composes_what_the_saved_one_did(model, folder):
    loaded = weights.load_model(str(folder))
    assert loaded.recipe == RUN and loaded.source == str(folder)
    assert not loaded.model.training
    assert torch.equal(_blend(loaded.model), _blend(model))


def test_half_precision_costs_half_the_disk_and_little_accuracy(model, tmp_path, folder):
    weights.save_model(tmp_path / "half", model, RUN, half=True)
    loaded = weights.load_model(str(tmp_path / "half")).model
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    error = (_blend(loaded) - _blend(model)).square().mean().sqrt()
    assert 0.0 < float(error) < 0.002 * float(_blend(model).square().mean().sqrt())
    whole, half = ((at / "model.safetensors").stat().st_size for at in (folder, tmp_path / "half"))
    assert half < 0.55 * whole


def test_saving_leaves_the_model_as_it_was(model, tmp_path):
    before = _blend(model)
    weights.save_model(tmp_path, model, RUN, half=True)
    assert torch.equal(_blend(model), before) and next(model.parameters()).dtype == torch.float32


def test_the_digest_is_that_of_the_weight_file(folder):
    content = (folder / "model.safetensors").read_bytes()
    assert weights.load_model(str(folder)).sha256 == hashlib.sha256(content).hexdigest()


def test_loading_leaves_chance_where_it_was(folder):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    weights.load_model(str(folder))
    assert torch.equal(torch.rand(3), expected)


def test_a_model_built_twice_from_one_seed_is_the_same():
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(weights.build_model(RUN, 128).eval())
    assert torch.equal(_blend(models[0]), _blend(models[1]))


def test_a_folder_holds_a_recipe_and_weights_and_nothing_else(folder):
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "recipe.yaml"}
    assert recipe.load(str(folder / "recipe.yaml")) == RUN


def test_a_missing_key_is_named(folder):
    _change(folder, lambda tensors: tensors.pop(HEAD))
    assert f"{HEAD} is missing" in _complaint(folder)


def test_an_extra_key_is_named(folder):
    _change(folder, lambda tensors: tensors.update({"agent.ears.weight": torch.zeros(2)}))
    assert "agent.ears.weight is not part of this model" in _complaint(folder)


def test_a_wrong_shape_is_named_with_both_shapes(folder):
    _change(folder, lambda tensors: tensors.update({HEAD: torch.zeros(5)}))
    assert f"{HEAD} has shape [5], the recipe wants [4]" in _complaint(folder)


def test_weights_of_another_recipe_are_refused(folder):
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("layers: 1", "layers: 2"))
    assert "cascade.stages.0.blocks.1." in _complaint(folder)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(folder, kept):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert f"{path}: not a readable weight file" in _complaint(folder)


@pytest.mark.parametrize("missing", ["model.safetensors", "recipe.yaml"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    assert f"{missing} missing" in _complaint(folder)


def test_a_missing_folder_is_refused(tmp_path):
    assert f"no model is called '{tmp_path / 'nowhere'}'" in _complaint(tmp_path / "nowhere")


def test_where_no_model_is_shipped_a_name_is_refused_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.resources, "files", lambda package: tmp_path)  # a package without a folder of models
    assert "no model is called 'starter'" in _complaint("starter")


class _Trap:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize(
    "write", [lambda thing, path: path.write_bytes(pickle.dumps(thing)), torch.save], ids=["pickle", "torch"]
)
def test_a_pickle_under_the_name_of_weights_is_refused_and_never_opened(folder, tmp_path, write):
    path = folder / "model.safetensors"
    write(_Trap(tmp_path / "sprung"), path)
    assert "not a readable weight file" in _complaint(folder)
    assert not (tmp_path / "sprung").exists()


def test_the_trap_of_the_test_above_works(tmp_path):
    pickle.loads(pickle.dumps(_Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


def test_tensors_that_do_not_fit_change_nothing(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(BadInput, match=f"here: {HEAD}"):
        weights.fit_tensors(model, {**{n: t + 1 for n, t in before.items()}, HEAD: torch.zeros(5)}, "here")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_save_that_fails_leaves_the_weights_that_were_there(model, folder, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        weights.save_model(folder, weights.build_model(RUN, 128), RUN)
    assert (folder / "model.safetensors").read_bytes() == before
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "recipe.yaml"}


def test_a_full_disk_is_said_as_the_system_says_it_and_the_old_weights_stand(model, folder):
    before = (folder / "model.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            weights.save_model(folder, model, RUN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG and caught.value.filename == str(folder / "model.safetensors")
    assert (folder / "model.safetensors").read_bytes() == before
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "recipe.yaml"}


def test_weights_may_be_read_by_whom_the_recipe_may_be_read(model, tmp_path):
    before = os.umask(0o027)
    try:
        weights.save_model(tmp_path, model, RUN)
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o640}


def test_saving_takes_no_memory_for_copies(tmp_path):
    program = (
        "import re, sys, torch; from pathlib import Path; from powermuse import weights\n"
        "def peak(): return int(re.findall(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[0]) * 1024\n"
        "weights.write_tensors(Path(sys.argv[1], 'small'), {'a': torch.ones(1)}, {})\n"
        "tensor = torch.ones(25_000_000); before = peak()\n"
        "weights.write_tensors(Path(sys.argv[1], 'large'), {'a': tensor}, {})\n"
        "print((peak() - before) / tensor.nbytes)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.2
