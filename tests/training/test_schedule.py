"""The learning rate over a run: a function of the pairs seen, and what the optimiser really takes."""

import dataclasses
import json
import signal
from pathlib import Path

import pytest
import torch

from powermuse.data.made_up import make_up
from powermuse.recipe import Choice, TrainingRecipe
from powermuse.training import checkpoint
from powermuse.training.schedule import is_on, learning_rate
from powermuse.training.trainer import Progress, Trainer
from powermuse.types import BadInput
from training.toys import toy

SETTINGS = TrainingRecipe(pairs=1000, learning_rate=2e-3, warmup=100, cooldown=200, final_share=0.1)
SHAPE = ("training.warmup=12", "training.cooldown=16", "training.pairs=40", "training.log_every=4")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "set"
    make_up(folder, Choice("mel"), clip_frames=60)
    return folder


def train(data: Path, run: Path, *settings: str) -> Trainer:
    trainer = Trainer(toy(*settings), str(data), str(run), lambda _: None)
    trainer.fit()
    return trainer


def logged(run: Path) -> list[dict[str, float]]:
    lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["split"] == "train"]


def end(run: Path) -> dict[str, torch.Tensor]:
    kept = checkpoint.load(checkpoint.found(run / "checkpoints")[-1])
    groups = ("model", "optimizer")
    return {f"{group}/{name}": tensor for group in groups for name, tensor in kept.tensors[group].items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_rises_stays_and_falls():
    rates = {seen: learning_rate(SETTINGS, seen) for seen in (0, 25, 100, 500, 800, 900, 1000, 1200)}
    shares = {0: 0.0, 25: 0.25, 100: 1.0, 500: 1.0, 800: 1.0, 900: 0.55, 1000: 0.1, 1200: 0.1}
    assert rates == pytest.approx({seen: 2e-3 * share for seen, share in shares.items()})


def test_each_half_may_be_alone_and_neither_is_the_rate_itself():
    rising, falling = (dataclasses.replace(SETTINGS, **{name: 0}) for name in ("cooldown", "warmup"))
    assert learning_rate(rising, 1000) == learning_rate(falling, 0) == 2e-3
    neither = dataclasses.replace(rising, warmup=0)
    assert is_on(rising) and is_on(falling) and not is_on(neither)
    assert {learning_rate(neither, seen) for seen in (0, 500, 1000)} == {2e-3}


def test_a_run_takes_the_rate_and_logs_it(data, tmp_path):
    trainer = train(data, tmp_path / "run", *SHAPE)
    rates = [line["learning_rate"] for line in logged(tmp_path / "run")]
    # Of each step, by the pairs seen before it: 0, 4 ... 36.
    assert rates == pytest.approx([1e-3 * s for s in (0, 1 / 3, 2 / 3, 1, 1, 1, 1, 0.7625, 0.525, 0.2875)])
    assert trainer.learner.bare_optimizer.param_groups[0]["lr"] == pytest.approx(0.2875e-3)


def test_a_step_is_as_large_as_its_rate(data, tmp_path):
    # A first step at the rate 0, which leaves the weights alone, then the same step at two rates.
    moved = {}
    for pairs, warmup in ((4, 40), (8, 40), (8, 8)):
        run = tmp_path / f"{pairs}.{warmup}"
        train(data, run, f"training.warmup={warmup}", f"training.pairs={pairs}", "training.weight_decay=0")
        moved[pairs, warmup] = end(run)["model/agent.encoders.0.0.weight"]
    first = Trainer(toy(), str(data), str(tmp_path / "new"), lambda _: None).learner.bare_model.state_dict()
    weight = first["agent.encoders.0.0.weight"]
    assert torch.equal(moved[4, 40], weight)  # a rate of 0
    slow, fast = (float((moved[key] - weight).abs().mean()) for key in ((8, 40), (8, 8)))
    assert slow > 0 and fast == pytest.approx(5 * slow, rel=1e-2)


def test_without_a_schedule_the_numbers_are_those_of_before_and_none_is_logged(data, tmp_path):
    train(data, tmp_path / "plain", "training.pairs=16")
    train(data, tmp_path / "share", "training.pairs=16", "training.final_share=0.5")
    assert same(end(tmp_path / "plain"), end(tmp_path / "share"))
    assert not any("learning_rate" in line for line in logged(tmp_path / "plain"))


def test_a_run_that_stops_goes_on_to_the_same_weights(data, tmp_path):
    train(data, tmp_path / "whole", *SHAPE)
    for stop_at in (8, 32):  # within the rise, within the fall

        def stop(now: Progress, at: int = stop_at) -> None:
            if now.seen == at and not now.message:
                signal.raise_signal(signal.SIGINT)

        assert Trainer(toy(*SHAPE), str(data), str(tmp_path / "parts"), stop).fit().seen == stop_at
    train(data, tmp_path / "parts", *SHAPE)
    assert same(end(tmp_path / "whole"), end(tmp_path / "parts"))


def test_the_end_may_be_decided_late_and_the_beginning_not(data, tmp_path):
    train(data, tmp_path / "whole", "training.warmup=12", "training.pairs=40", "training.cooldown=16")
    for settings in (("training.pairs=20",), ("training.pairs=40", "training.cooldown=16")):
        train(data, tmp_path / "late", "training.warmup=12", *settings)
    assert same(end(tmp_path / "whole"), end(tmp_path / "late"))
    with pytest.raises(BadInput, match=r"was begun with training\.warmup=12, now it is 8"):
        train(data, tmp_path / "late", "training.warmup=8", "training.pairs=40")


def test_the_discriminator_keeps_its_rate(data, tmp_path):
    trainer = train(data, tmp_path / "run", *SHAPE, "weights.gan=0.1", "training.pairs=8")
    assert trainer.learner.adversary is not None
    assert trainer.learner.adversary.optimizer.param_groups[0]["lr"] == pytest.approx(0.5e-3)


def test_the_moments_decay_as_the_recipe_says(data, tmp_path):
    trainer = train(data, tmp_path / "run", "training.pairs=4", "training.betas=[0.8, 0.95]")
    assert trainer.learner.bare_optimizer.param_groups[0]["betas"] == (0.8, 0.95)
    assert train(data, tmp_path / "usual", "training.pairs=4").learner.bare_optimizer.defaults["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.warmup=-1", "training.warmup must be at least 0"),
        ("training.cooldown=-1", "training.cooldown must be at least 0"),
        ("training.final_share=1.5", "training.final_share must be from 0 to 1"),
        ("training.betas=[0.9]", "training.betas must be two numbers"),
        ("training.betas=[0.9, 1.0]", "training.betas must be two numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(data, tmp_path, setting, message):
    with pytest.raises(BadInput, match=message):
        train(data, tmp_path / "run", setting)
