import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from powermuse.cli import main
from powermuse.data.pairs import PairSource
from powermuse.recipe import Recipe
from powermuse.training import checkpoint
from powermuse.training.health import NotFinite
from powermuse.training.monitor import LARGEST
from powermuse.training.tracking import CLOCK
from powermuse.training.trainer import Progress, Trainer
from powermuse.types import Pair
from training.toys import TOY, toy

FORM = ("cascade.stages=3", "cascade.see_all_drafts=true", "cascade.residual_weights=[1,1,0.1]")
"""The old form, whose third stage exploded."""


def run(recipe: Recipe, data: Path, folder: Path) -> Trainer:
    trainer = Trainer(recipe, str(data), str(folder), lambda _: None)
    trainer.fit()
    return trainer


def readings(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "health.jsonl").read_text().splitlines()]


def log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith(CLOCK)} for line in lines]


def state(folder: Path) -> dict[str, Tensor]:
    """All tensors of the newest checkpoint."""
    kept = checkpoint.load(checkpoint.found(folder / "checkpoints")[-1])
    return {f"{group}/{name}": t for group, ts in kept.tensors.items() for name, t in ts.items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert not [name for name in a if not torch.equal(a[name], b[name])]


def test_numbers_are_the_same_bit_for_bit_with_the_monitor_and_without(dataset, tmp_path):
    for name, every in {"off": 0, "on": 8}.items():
        run(toy("training.pairs=28", f"training.monitor={every}", "weights.gan=0.1"), dataset, tmp_path / name)
    assert_same(state(tmp_path / "on"), state(tmp_path / "off"))
    assert log(tmp_path / "on") == log(tmp_path / "off")
    assert [reading["seen"] for reading in readings(tmp_path / "on")] == [8, 16, 24]
    assert not (tmp_path / "off/health.jsonl").exists()


def test_off_it_hangs_nothing_on_the_model_and_on_it_takes_everything_away_again(dataset, tmp_path, monkeypatch):
    hung: list[str] = []
    for cls, method in ((nn.Module, "register_forward_hook"), (Tensor, "register_post_accumulate_grad_hook")):
        register = getattr(cls, method)
        monkeypatch.setattr(
            cls, method, lambda x, hook, register=register, method=method: (hung.append(method), register(x, hook))[1]
        )
    run(toy("training.pairs=8"), dataset, tmp_path / "off")
    assert not hung
    model = run(toy("training.pairs=8", "training.monitor=8"), dataset, tmp_path / "on").learner.bare_model
    assert {"register_forward_hook", "register_post_accumulate_grad_hook"} == set(hung)
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_a_reading_has_the_ten_largest_gradients_before_clipping_and_each_stage(dataset, tmp_path):
    recipe = toy(*FORM, "training.pairs=4", "training.clip_norm=1e-3")
    run(toy(*FORM, "training.pairs=4", "training.clip_norm=1e-3", "training.monitor=4"), dataset, tmp_path / "watched")
    (reading,) = readings(tmp_path / "watched")

    trainer = Trainer(recipe, str(dataset), str(tmp_path / "by hand"), lambda _: None)
    total, _, outcome = trainer.learner.losses(trainer.source.batch(0, 4), 0, 0)
    total.backward()
    norms = {
        name: float(p.grad.norm()) for name, p in trainer.learner.bare_model.named_parameters() if p.grad is not None
    }
    largest = sorted(norms, key=norms.__getitem__, reverse=True)[:LARGEST]
    assert len(largest) == 10 < len(norms)
    assert list(reading["gradients"]) == largest
    assert reading["gradients"] == pytest.approx({name: norms[name] for name in largest}, rel=1e-6)
    drafts, scales = outcome.composition.drafts, outcome.composition.scales
    assert reading["rms"] == pytest.approx([math.sqrt(float(d.detach().square().mean())) for d in drafts], rel=1e-5)
    assert reading["scales"] == pytest.approx([float(s.detach().mean()) for s in scales], rel=1e-6)
    assert len(drafts) == 3 and reading["first_not_finite"] is None


def test_a_resumed_run_has_no_reading_twice_and_none_too_few(dataset, tmp_path):
    recipe = toy("training.pairs=36", "training.monitor=4")
    run(recipe, dataset, tmp_path / "whole")

    def die(now: Progress) -> None:
        if now.seen == 36:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):  # after the reading at 36, the last checkpoint being at 20
        Trainer(recipe, str(dataset), str(tmp_path / "died"), die).fit()
    assert readings(tmp_path / "died")[-1]["seen"] >= 32
    run(recipe, dataset, tmp_path / "died")
    assert readings(tmp_path / "died") == readings(tmp_path / "whole")
    assert [reading["seen"] for reading in readings(tmp_path / "died")] == list(range(4, 37, 4))


def test_it_may_be_turned_on_and_off_between_two_starts(dataset, tmp_path):
    for pairs, every in ((4, 0), (8, 4), (12, 0)):
        run(toy(f"training.pairs={pairs}", f"training.monitor={every}"), dataset, tmp_path / "run")
    assert [reading["seen"] for reading in readings(tmp_path / "run")] == [8]


def test_readings_are_shown_on_standard_error(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(TOY)
    settings = ["-s", "training.pairs=4", "-s", "training.monitor=4"]
    assert main(["train", "toy.yaml", "--data", str(dataset), "--run", "run", *settings]) == 0
    out, err = capsys.readouterr()
    stages, gradients = err.splitlines()
    assert stages.startswith("powermuse: health at pair 4: stage 0 RMS ") and ", stage 1 RMS " in stages
    assert gradients.startswith("powermuse: largest gradients: ") and gradients.count(", ") == LARGEST - 1
    assert "health" not in out


def test_a_loss_that_is_not_finite_stops_the_run_which_goes_on_from_its_last_good_checkpoint(
    dataset, tmp_path, monkeypatch
):
    recipe = toy("training.pairs=36", "training.monitor=4")
    run(recipe, dataset, tmp_path / "whole")
    batch = PairSource.batch

    def damaged(source: PairSource, seen: int, size: int) -> Pair:
        pair = batch(source, seen, size)
        if seen == 24 and source.dataset.split == "train":
            pair.groove.z_BDT[0, 3] = math.inf
        return pair

    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(PairSource, "batch", damaged)
        trainer = Trainer(recipe, str(dataset), str(tmp_path / "run"), lambda p: told.append(p.message))
        with pytest.raises(NotFinite, match=r"pair 24: loss term .*first in layer agent\.encoders\.0\.0\b") as error:
            trainer.fit()
    assert str(error.value).endswith("the run stands at checkpoint 000000000020.safetensors")
    assert [reading["first_not_finite"] for reading in readings(tmp_path / "run")] == [
        *[None] * 6, "agent.encoders.0.0",
    ]  # fmt: skip
    assert "first layer that is not finite: agent.encoders.0.0" in told
    assert "NaN" not in (tmp_path / "run/health.jsonl").read_text()
    assert all(bool(torch.isfinite(t).all()) for t in state(tmp_path / "run").values())
    run(recipe, dataset, tmp_path / "run")
    assert_same(state(tmp_path / "run"), state(tmp_path / "whole"))
    assert log(tmp_path / "run") == log(tmp_path / "whole")
    assert readings(tmp_path / "run") == readings(tmp_path / "whole")
