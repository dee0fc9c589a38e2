"""The stages of a flow: the draft learns alone, then the second stage, or both."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from powermuse import recipe, weights
from powermuse.adversary import Adversary
from powermuse.data.made_up import make_up_triplets
from powermuse.data.sources import TripletSource
from powermuse.data.triplets import Triplets
from powermuse.model.flow import Refiner
from powermuse.recipe import Choice, Recipe
from powermuse.training import checkpoint, speed
from powermuse.training.learner import objective
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput, Pair

TOY = """
name: toy flow
codec: {name: mel}
agent: {name: factors}
composer: flow
flow: {width: 16, heads: 2, draft_layers: 1, refine_layers: 1, steps: 2, orchestrations: [blocks, hocket]}
data: {pairing: triplets, crop_frames: 48, unity: 0.25, notes: true}
training:
  {pairs: 16, batch: 4, learning_rate: 1.0e-2, threads: 1, log_every: 8, validate_every: 8, validation_pairs: 4,
  save_every: 8, ema: 0.5}
tracking: {mlflow: false, listen: 0}
weights: {draft.truth: 1.0, flow.truth: 1.0, notes.truth: 1.0}
"""
DRAFT_ALONE = "weights.flow.truth=0"
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "set"
    make_up_triplets(folder, Choice("mel"), clip_frames=60)
    return folder


def toy(*overrides: str) -> Recipe:
    return recipe.parse(TOY, "toy", list(overrides))


def begun(data: Path, run: Path, *overrides: str) -> Trainer:
    return Trainer(toy(*overrides), str(data), str(run), lambda _: None)


def weights_of(trainer: Trainer) -> Tensors:
    return {name: t.clone() for name, t in trainer.learner.bare_model.state_dict().items()}


def changed(before: Tensors, after: Tensors) -> set[str]:
    """Which parts of the composer are not what they were: drafter, refiner."""
    return {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}


def end(run: Path) -> Tensors:
    kept = checkpoint.load(checkpoint.found(run / "checkpoints")[-1])
    return {f"{group}/{name}": t for group, tensors in kept.tensors.items() for name, t in tensors.items()}


def forbid_refining(patch: pytest.MonkeyPatch) -> None:
    def refines(*_: object) -> None:
        raise AssertionError("the second stage was run")

    patch.setattr(Refiner, "forward", refines)


def test_both_stages_learn_where_the_flow_has_a_weight(data, tmp_path):
    trainer = begun(data, tmp_path / "run")
    before = weights_of(trainer)
    trainer.fit()
    assert changed(before, weights_of(trainer)) == {"drafter", "refiner"}


def test_the_composer_learns_the_orchestrations_that_its_pairs_tell(data, tmp_path):
    """Of the four triplets one has a truth in blocks, none a hocket."""
    trainer = begun(data, tmp_path / "run", "training.weight_decay=0")
    name = "cascade.drafter.orchestration.weight"
    before = weights_of(trainer)[name]
    trainer.fit()
    moved = (weights_of(trainer)[name] != before).any(dim=1)
    assert moved.tolist() == [True, True, False]


def test_without_it_the_draft_learns_alone_and_the_second_stage_is_not_run(data, tmp_path, monkeypatch):
    forbid_refining(monkeypatch)
    trainer = begun(data, tmp_path / "run", DRAFT_ALONE, "tracking.listen=1")
    before = weights_of(trainer)
    trainer.fit()
    assert changed(before, weights_of(trainer)) == {"drafter"}
    assert list((tmp_path / "run/listen").glob("*16.flac")), "what there is to hear is the draft"


def test_where_notes_alone_have_a_weight_the_planner_learns_them_and_the_draft_goes_on_from_it(data, tmp_path):
    notes_alone = (DRAFT_ALONE, "weights.draft.truth=0", "flow.refine_layers=0", "training.weight_decay=0")
    planner = begun(data, tmp_path / "score", *notes_alone)
    before = weights_of(planner)
    planner.fit()
    moved = {name.split(".")[2] for name, t in weights_of(planner).items() if not torch.equal(before[name], t)}
    assert moved == {"inward", "mood", "missing", "orchestration", "blocks", "norm", "notes"}
    start = f"training.begin_from={tmp_path / 'score'}"
    draft = begun(data, tmp_path / "draft", DRAFT_ALONE, "flow.refine_layers=0", start)
    before = weights_of(draft)
    draft.fit()
    moved = {name.split(".")[2] for name, t in weights_of(draft).items() if not torch.equal(before[name], t)}
    assert {"notes", "sketch", "staves", "painter"} <= moved


def test_the_notes_of_the_truth_are_played_in_training_and_its_own_in_validation(data, tmp_path):
    pair = TripletSource(Triplets(data), 48, 0, notes=True).batch(0, 4)
    learner = begun(data, tmp_path / "run").learner
    learner.set_up()
    assert learner.model.train() and learner._brief(pair, 0).notes_BQT is pair.notes_BQT
    assert learner.model.eval() and learner._brief(pair, 0).notes_BQT is None
    never_planned = begun(data, tmp_path / "other", "weights.notes.truth=0").learner
    never_planned.set_up()
    assert never_planned.model.train() and never_planned._brief(pair, 0).notes_BQT is None


def test_it_stops_and_goes_on_to_the_same_weights(data, tmp_path):
    begun(data, tmp_path / "whole", DRAFT_ALONE).fit()
    for pairs in (8, 16):
        begun(data, tmp_path / "parts", DRAFT_ALONE, f"training.pairs={pairs}").fit()
    whole, parts = end(tmp_path / "whole"), end(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole if not name.startswith("means/"))


def test_what_it_comes_to_is_where_the_next_stage_begins(data, tmp_path):
    begun(data, tmp_path / "first", DRAFT_ALONE).fit()
    trainer = begun(data, tmp_path / "second", f"training.begin_from={tmp_path / 'first'}")
    stored = safetensors.torch.load_file(tmp_path / "first/model.safetensors")
    before = weights_of(trainer)
    assert before.keys() == stored.keys() and not changed(before, stored)
    trainer.fit()
    assert changed(before, weights_of(trainer)) == {"drafter", "refiner"}
    third = begun(data, tmp_path / "third", DRAFT_ALONE, f"training.begin_from={tmp_path / 'second'}")
    before = weights_of(third)
    third.fit()
    assert changed(before, weights_of(third)) == {"drafter"}


def test_a_second_stage_may_begin_where_there_was_none_and_leave_the_draft_as_it_is(data, tmp_path):
    begun(data, tmp_path / "first", DRAFT_ALONE, "flow.refine_layers=0").fit()
    flow_alone = ("weights.draft.truth=0", "weights.notes.truth=0", f"training.begin_from={tmp_path / 'first'}")
    trainer = begun(data, tmp_path / "second", *flow_alone)
    stored = safetensors.torch.load_file(tmp_path / "first/model.safetensors")
    before = weights_of(trainer)
    assert before.keys() > stored.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in stored.items())
    trainer.fit()
    assert changed(before, weights_of(trainer)) == {"refiner"}


@pytest.mark.parametrize("hears", ["patches", "playing"])
def test_a_stage_that_sharpens_is_shown_truths_and_leaves_its_newest_weights(data, tmp_path, monkeypatch, hears):
    shown: list[torch.Tensor] = []
    told: list[torch.Tensor | None] = []
    learn = Adversary.learn

    def watched(self: Adversary, real_BDT: torch.Tensor, *others: Any) -> Any:
        shown.append(real_BDT)
        told.append(others[-1])
        return learn(self, real_BDT, *others)

    monkeypatch.setattr(Adversary, "learn", watched)
    sharpening = (DRAFT_ALONE, "weights.gan=1", f"adversary.hears={hears}", "training.ema=0", "data.unity=0")
    trainer = begun(data, tmp_path / "run", *sharpening)
    truths: list[torch.Tensor] = []
    notes: list[torch.Tensor] = []
    losses = trainer.learner.losses

    def seen(pair: Pair, *others: Any) -> Any:
        truths.append(pair.truth.z_BDT)
        notes.append(pair.notes_BQT)
        return losses(pair, *others)

    monkeypatch.setattr(trainer.learner, "losses", seen)
    # Whatever validation says: each is worse than the one before.
    grows = iter(range(100))
    read = trainer._validated
    monkeypatch.setattr(trainer, "_validated", lambda: Worse(read(), next(grows)))
    trainer.fit()
    assert len(shown) == 4 and all(torch.equal(a, b) for a, b in zip(shown, truths, strict=True))
    if hears == "patches":
        assert told == [None] * 4
    else:
        assert all((a[:, 0] > 0).any(dim=1).equal((b > 0).any(dim=1)) for a, b in zip(told, notes, strict=True))
    kept = safetensors.torch.load_file(tmp_path / "run" / "model.safetensors")
    assert all(torch.equal(kept[name], now) for name, now in weights_of(trainer).items())


def test_what_hears_the_playing_wants_pairs_with_notes(data, tmp_path):
    settings = ("weights.gan=1", "adversary.hears=playing", "data.notes=false", "weights.notes.truth=0")
    with pytest.raises(BadInput, match=r"data\.notes=true"):
        begun(data, tmp_path / "run", *settings)


class Worse:
    """The readings of a validation, with a loss that says nothing but when it was."""

    def __init__(self, readings: Any, loss: float) -> None:
        self.readings, self.loss = readings, loss

    def read(self, mean: Any) -> dict[str, float]:
        return {**self.readings.read(mean), "loss": self.loss}


def test_the_step_that_is_counted_comes_to_the_same_bits_as_any_other(data, tmp_path, monkeypatch):
    """A run that was stopped counts another step."""
    begun(data, tmp_path / "late").fit()
    monkeypatch.setattr(speed, "_COUNTED_STEP", 2)
    begun(data, tmp_path / "early").fit()
    late, early = end(tmp_path / "late"), end(tmp_path / "early")
    assert all(torch.equal(late[name], early[name]) for name in late if not name.startswith("means/"))


def test_in_mixed_precision_the_codes_are_read_as_they_are_in_full(data, tmp_path):
    told = {}
    for precision in ("32-true", "bf16-mixed"):
        run = tmp_path / precision
        begun(data, run, f"training.precision={precision}", "training.log_every=4", "agent.options.jitter=0").fit()
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        assert all(math.isfinite(line["loss"]) for line in lines)
        told[precision] = [(line["harmony.changes"], line["harmony.none"], line["rhythm.density"]) for line in lines]
    assert told["32-true"] == told["bf16-mixed"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("data.crop_frames=50",), "no multiple of flow.pool"),
        (("data.notes=false",), "data.notes=true"),
        (("flow.refine_layers=0",), "flow.refine_layers above 0"),
        (("flow.orchestration=nosuch",), "'nosuch' is not one that the model knows"),
        (("codec.name=mdct", "weights.strokes.truth=1"), "strokes.truth is read from latents of the mel codec"),
    ],
)
def test_what_can_never_train_is_refused_before_a_run_is_begun(data, tmp_path, settings, said):
    with pytest.raises(BadInput, match=said):
        made = toy(*settings)
        dim = 320 if made.codec.name == "mdct" else 128
        objective(made, weights.build_model(made, dim).agent, 1)
