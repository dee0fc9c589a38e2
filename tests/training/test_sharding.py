"""Sharded training on real processes over gloo: the numbers of data parallel and of one process, in less memory."""

import json
import os
import signal
from typing import Any

import pytest
import torch
from torch import nn

from powermuse import weights
from powermuse.recipe import TrainingRecipe
from powermuse.training import checkpoint, sharding
from powermuse.training.ema import averaged
from powermuse.training.parallel import Parallel
from powermuse.types import BadInput
from training.ranks import PAIRS, SURE, Nursery, wait_for
from training.toys import toy

SHARD = "training.shard=true"
# Rarer than those of SURE: all ranks put a checkpoint together, which is a third of the time of such a run.
EVERY = ("training.keep_checkpoints=9", "training.save_every=8", "training.log_every=4")
# Whatever a step may have: BatchNorm, an average, a bound that asks the agent twice, a discriminator, clipping, parts.
ALL = (
    *EVERY, "agent.options.form=split", "training.ema=0.9", "targets={swap_response: '>= 0.2'}",
    "weights={latent.groove: 0.3, mask.overlap: 1.0, gan: 0.1}", "training.clip_norm=0.01",
    "training.batch=8", "training.accumulate=2",
)  # fmt: skip
COMPOSED = (
    *EVERY, "agent={name: compositional, options: {width: 8, composer_width: 16, composer_layers: 1, heads: 2}}",
    "weights={latent.groove: 1, component.novelty: 0.1}",
)  # fmt: skip
BF16 = (*EVERY, "training.save_every=4", "training.precision=bf16-mixed", "training.pairs=12")
CASES = {"plain": SURE, "all": ALL, "composed": COMPOSED, "bf16": BF16}
# Adam divides by the size of a gradient: of what is next to zero, rounding is a share of a step of 1e-3.
CLOSE = {"rtol": 1e-5, "atol": 2e-5}


def once(nursery: Nursery, run: str, ranks: int, *settings: str) -> None:
    """Trains a run that several tests look at, for the first of them."""
    if not (nursery.folder / run).exists():
        assert nursery.train(run, ranks, *settings) == [0] * ranks, nursery.said(run, 0)


def assert_same(ours: checkpoint.Tensors, theirs: checkpoint.Tensors, *, but: tuple[str, ...] = ()) -> None:
    assert ours.keys() == theirs.keys()
    for group in ours.keys() - set(but):
        assert ours[group].keys() == theirs[group].keys()
        for name, tensor in ours[group].items():
            torch.testing.assert_close(
                tensor, theirs[group][name], **CLOSE, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("case", ["plain", "all", pytest.param("composed", marks=pytest.mark.long), "bf16"])
def test_weights_moments_and_log_are_those_of_data_parallel(nursery, case):
    once(nursery, f"{case} sharded", 2, *CASES[case], SHARD)
    once(nursery, f"{case} whole", 2, *CASES[case])
    last = 12 if case == "bf16" else PAIRS
    for seen in (8, last):
        assert_same(nursery.kept(f"{case} sharded", seen), nursery.kept(f"{case} whole", seen))
    for ours, theirs in zip(nursery.log(f"{case} sharded"), nursery.log(f"{case} whole"), strict=True):
        assert ours.keys() == theirs.keys()
        assert {k: v for k, v in ours.items() if k != "split"} == pytest.approx(
            {k: v for k, v in theirs.items() if k != "split"}, rel=1e-4, abs=1e-5
        )
    kept = [weights.load_model(str(nursery.folder / f"{case} {how}")).model for how in ("sharded", "whole")]
    for (name, ours), theirs in zip(kept[0].state_dict().items(), kept[1].state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")


def test_weights_are_those_of_one_process_with_the_whole_batch(nursery):
    once(nursery, "plain sharded", 2, *SURE, SHARD)
    once(nursery, "one", 1, *SURE)
    assert_same(nursery.kept("plain sharded", PAIRS), nursery.kept("one", PAIRS))
    assert [line["loss"] for line in nursery.log("plain sharded")] == pytest.approx(
        [line["loss"] for line in nursery.log("one")], rel=1e-5
    )


def test_mixed_precision_is_mixed(nursery):
    once(nursery, "bf16 sharded", 2, *BF16, SHARD)
    once(nursery, "full", 2, *BF16, SHARD, "training.precision=32-true")
    mixed, full = (nursery.kept(run, 4)["optimizer"] for run in ("bf16 sharded", "full"))
    name = "cascade.stages.0.blocks.0.ffn.0.weight/exp_avg"
    assert mixed[name].dtype == torch.float32
    assert 1e-4 < (mixed[name] - full[name]).norm() / full[name].norm() < 1e-1


@pytest.mark.long
def test_a_sharded_run_whose_model_nobody_can_hear_says_so_and_trains_on(nursery):
    assert nursery.train("heard", 2, *SURE, SHARD, "tracking.listen=1", "training.pairs=32") == [0, 0]
    assert "nothing is heard of a sharded run" in nursery.said("heard", 0)
    assert not (nursery.folder / "heard/listen").exists()


@pytest.mark.parametrize(
    ("begun", "ended"),
    [
        pytest.param((2, True), (2, False), marks=pytest.mark.long),
        ((2, True), (1, False)),
        pytest.param((2, True), (3, True), marks=pytest.mark.long),
        ((1, False), (2, True)),
    ],
)
def test_a_run_goes_on_sharded_or_not_and_on_another_number_of_processes(nursery, begun, ended):
    settings = (*SURE, "training.batch=6", "training.ema=0.9", "training.pairs=24")
    once(nursery, "through", 1, *settings)
    run = f"{begun} {ended}"
    for pairs, (ranks, shard) in ((12, begun), (24, ended)):
        told = (f"training.pairs={pairs}", f"training.shard={str(shard).lower()}")
        assert nursery.train(run, ranks, *settings, *told) == [0] * ranks
    assert "going on from pair 12" in nursery.said(run, 0)
    assert_same(nursery.kept(run, 24), nursery.kept("through", 24), but=("means",))


@pytest.mark.parametrize("signal_number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_a_run_that_was_stopped_or_killed_goes_on_to_the_same_bits(nursery, signal_number):
    settings = ("agent.options.form=split", "training.ema=0.9", "training.pairs=60", SHARD)
    once(nursery, "unbroken", 2, *settings)

    def end_second(ranks: list[int]) -> None:
        wait_for(lambda: bool(list((nursery.folder / run).glob("checkpoints/0*"))))
        os.kill(ranks[1], signal_number)

    run = f"broken by {signal_number.name}"
    assert nursery.train(run, 2, *settings, then=end_second) == ([143, 0] if signal_number == 15 else [1, -9])
    assert max(checkpoint.found(nursery.folder / run / "checkpoints")).stem < f"{60:012d}"
    assert nursery.train(run, 2, *settings) == [0, 0]
    assert not checkpoint.differences(nursery.kept(run, 60), nursery.kept("unbroken", 60))
    assert nursery.log(run) == nursery.log("unbroken")


# A program of two ranks that begins, or goes on with, a sharded run.
BEGIN = """
import json, torch
from powermuse import recipe
from powermuse.training.trainer import Trainer
trainer = Trainer(recipe.load("toy.yaml", {settings}), {dataset}, {run}, lambda progress: None)
trainer.trackers, learner = [], trainer.learner
"""


def told(nursery: Nursery, run: str, program: str, *settings: str) -> list[dict[str, Any]]:
    """What each of two ranks prints last."""
    settings = ("training.pairs=24", SHARD, *settings)
    begin = BEGIN.format(settings=list(settings), dataset=repr(str(nursery.dataset)), run=repr(run))
    assert nursery.run(["python", begin + program], 2, run) == [0, 0], nursery.said(run, 0)
    return [json.loads(nursery.said(run, rank).splitlines()[-1]) for rank in range(2)]


BYTES = """
def held(tensors):
    parts = [tensor.to_local().untyped_storage() for tensor in tensors]
    return sum({part.data_ptr(): part.nbytes() for part in parts}.values())

seen = {}
weights = list(learner.bare_model.parameters())
state = learner.bare_optimizer.state
learner.bare_optimizer.register_step_pre_hook(lambda *_: seen.update(gradients=held([w.grad for w in weights])))
losses, shared = learner.losses, []
def watched(*given):
    shared.append(weights[0].grad is not None)
    return losses(*given)
learner.losses = watched
trainer._advance()
trainer.best = 0.0  # so that the validation finds nothing to save, which would make shards of all again
trainer._validate()
seen.update(
    weights=held(learner.bare_model.parameters()), begun_at=trainer.seen - 4, shared=shared,
    moments=held([moment for each in state.values() for moment in (each["exp_avg"], each["exp_avg_sq"])]),
    average=held(learner.average._shadow.values()),
)
trainer._save()
print(json.dumps(seen), flush=True)
"""


def test_each_rank_holds_half_of_weights_gradients_moments_and_average(nursery):
    half = sum(p.numel() * p.element_size() for p in weights.build_model(toy(), 128).parameters()) // 2
    shares = {"weights": half, "gradients": half, "moments": 2 * half, "average": half}
    for begun_at in (0, 4):  # the second time from a checkpoint, which each rank reads whole
        found = told(nursery, "held", BYTES, "training.ema=0.9", "training.accumulate=2")
        # Gradients are shared out after the first part of the batch already.
        assert found == [{**shares, "begun_at": begun_at, "shared": [False, True]}] * 2


BUFFERS = """
trainer._advance()
trainer._validate()
buffers = learner.bare_model.named_buffers()
print(json.dumps({name: buffer.double().sum().item() for name, buffer in buffers}), flush=True)
"""


def test_buffers_are_those_of_the_first_rank_on_all(nursery):
    first, second = told(nursery, "buffers", BUFFERS, "agent.options.form=split")
    assert first == second
    assert first["agent.standardise.num_batches_tracked"] == 1
    assert first["agent.standardise.running_var"] not in (0.0, 128.0)


GATE = """
def kept():
    return [tensor.to_local().clone() for tensor in learner.bare_model.parameters()] + [
        value.clone() for state in learner.bare_optimizer.state.values() for value in
        (state["step"], state["exp_avg"].to_local(), state["exp_avg_sq"].to_local())]

def count(before):
    return sum(not torch.equal(a, b) for a, b in zip(before, kept()))

before, losses = kept(), learner.losses
trainer._advance()
moved = count(before)
if trainer.parallel.rank == 1:
    def bad(*given):
        total, *rest = losses(*given)
        return total * float("nan"), *rest
    learner.losses = bad
before = kept()
learner.step(trainer._parts(4), trainer.seen)
print(json.dumps({"moved": moved, "moved_by_bad": count(before), "failed_at": int(learner.failed_at)}), flush=True)
"""


def test_a_loss_that_is_not_finite_on_one_rank_reaches_no_shard_of_any(nursery):
    for found in told(nursery, "gate", GATE):
        assert found["moved"] > 50
        assert found["moved_by_bad"] == 0
        assert found["failed_at"] == 4


def test_a_run_that_stops_at_a_number_that_is_not_finite_names_term_and_layer(nursery):
    assert nursery.train("not finite", 2, SHARD, "training.learning_rate=1e30", "training.log_every=4") == [1, 1]
    for rank in range(2):
        assert "pair 4: loss term latent.groove" in nursery.said("not finite", rank)
        assert "first in layer agent" in nursery.said("not finite", rank)


def test_the_monitor_sees_whole_gradients_and_changes_nothing(nursery):
    once(nursery, "plain sharded", 2, *SURE, SHARD)
    once(nursery, "watched", 2, *SURE, SHARD, "training.monitor=8")
    assert not checkpoint.differences(nursery.kept("watched", PAIRS), nursery.kept("plain sharded", PAIRS))
    readings = [json.loads(line) for line in (nursery.folder / "watched/health.jsonl").read_text().splitlines()]
    assert [reading["seen"] for reading in readings] == [8, PAIRS]
    # All but the ten largest are next to nothing: the norm over them is the norm before clipping, of the log.
    total = sum(norm**2 for norm in readings[0]["gradients"].values()) ** 0.5
    logged = next(line["grad_norm"] for line in nursery.log("watched") if line["seen"] == 8)
    assert 0.9 * logged < total <= 1.0001 * logged


# What needs no second process


def test_the_model_of_a_checkpoint_is_the_average_where_there_is_one():
    state = {"model": {"weight": torch.tensor(1.0), "buffer": torch.tensor(2.0)}}
    assert averaged(state) == state["model"]
    state["ema"] = {"weight": torch.tensor(3.0), "steps": torch.tensor(9)}
    assert averaged(state) == {"weight": torch.tensor(3.0), "buffer": torch.tensor(2.0)}


def test_one_process_has_nobody_to_share_with(nursery):
    with pytest.raises(BadInput, match=r"training\.shard=true wants several processes .* training\.shard=false"):
        Parallel(TrainingRecipe(shard=True))
    assert nursery.train("alone", 1, SHARD) == [2]
    assert not (nursery.folder / "alone").exists()


def test_a_dry_run_on_one_process_rehearses_a_sharded_recipe(nursery):
    assert nursery.run(["train", "toy.yaml", "--dry-run", "-s", SHARD], 1, "dry") == [0]


def test_a_model_that_was_not_sharded_is_found_out():
    with pytest.raises(RuntimeError, match=r"weight is not shared out over 2 processes"):
        sharding.check(nn.Linear(4, 4), 2)
