import contextlib
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

import sounds
from powermuse import weights
from powermuse.data.pairs import PairSource
from powermuse.data.prepare import Plan, prepare
from powermuse.data.shards import Dataset, Header, shard_path
from powermuse.recipe import Choice, Recipe
from powermuse.training import checkpoint, runs
from powermuse.training.checkpoint import Checkpoint
from powermuse.training.health import NotFinite
from powermuse.training.tracking import CLOCK
from powermuse.training.trainer import Ended, Trainer
from powermuse.types import BadInput, Outcome
from training.toys import TOY, toy

PAIRS = 160


class Trained(NamedTuple):
    trainer: Trainer
    ended: Ended
    messages: list[str]


def train(recipe: Recipe, data: Path, run: Path) -> Trained:
    """The whole run, in this process."""
    messages: list[str] = []
    trainer = Trainer(recipe, str(data), str(run), lambda p: messages.append(p.message) if p.message else None)
    return Trained(trainer, trainer.fit(), messages)


def lines(run: Path, split: str | None = None) -> list[dict[str, Any]]:
    """The log without the fields that differ from run to run."""
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    plain = [{k: v for k, v in line.items() if not k.startswith(CLOCK)} for line in found]
    return [line for line in plain if split in (None, line["split"])]


def kept(run: Path) -> list[int]:
    return [int(path.stem) for path in checkpoint.found(run / "checkpoints")]


def newest(run: Path) -> Checkpoint:
    return checkpoint.load(checkpoint.found(run / "checkpoints")[-1])


def assert_same(a: Checkpoint, b: Checkpoint) -> None:
    """Bit for bit: weights, optimiser state, running means, position."""
    assert (a.seen, a.values) == (b.seen, b.values)
    assert {g: ts.keys() for g, ts in a.tensors.items()} == {g: ts.keys() for g, ts in b.tensors.items()}
    for group, tensors in a.tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, b.tensors[group][name]), f"{group}/{name}"


@pytest.fixture(scope="module")
def whole(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(toy(f"training.pairs={PAIRS}"), dataset, run)
    return run


# What a run is


def test_the_loss_falls_to_a_tenth_where_the_truth_is_the_groove(dataset, tmp_path):
    recipe = toy(
        "data.pairing=unity", "weights={latent.truth: 1}", "training.learning_rate=3e-3", "training.pairs=240",
        "training.log_every=4", "training.save_every=240", "training.validate_every=240",
    )  # fmt: skip
    train(recipe, dataset, tmp_path / "run")
    losses = [line["latent.truth"] for line in lines(tmp_path / "run", "train")]
    assert max(losses[-5:]) < 0.1 * losses[0]


def test_the_log_has_every_term_under_its_name_and_the_loss_is_their_weighted_sum(whole):
    weighted = toy().weights
    for line in lines(whole):
        assert line["loss"] == pytest.approx(sum(weight * line[term] for term, weight in weighted.items()), rel=1e-5)
        assert {"balance.groove", "balance.harmony", "overlap", "scale.0", "scale.1", "blend.rms"} <= line.keys()
    assert all(math.isfinite(line["grad_norm"]) and line["grad_norm"] > 0 for line in lines(whole, "train"))


def test_the_log_has_a_line_whenever_one_is_due_and_one_at_the_end(whole):
    assert [line["seen"] for line in lines(whole, "train")] == [*range(12, PAIRS, 12), PAIRS]
    assert [line["seen"] for line in lines(whole, "val")] == [*range(28, PAIRS, 28), PAIRS]


def test_what_is_due_at_the_end_is_not_done_twice(dataset, tmp_path):
    train(toy("training.pairs=24", "training.validate_every=12"), dataset, tmp_path / "run")
    seen = [(line["split"], line["seen"]) for line in lines(tmp_path / "run")]
    assert seen == [("train", 12), ("val", 12), ("train", 24), ("val", 24)]


def test_a_finished_run_that_is_started_again_stays_as_it_is(dataset, tmp_path):
    recipe = toy("training.pairs=16")
    first = train(recipe, dataset, tmp_path / "run")
    log, before = (tmp_path / "run/log.jsonl").read_text(), newest(tmp_path / "run")
    again = train(recipe, dataset, tmp_path / "run")
    assert again.ended == first.ended
    assert (tmp_path / "run/log.jsonl").read_text() == log
    assert_same(newest(tmp_path / "run"), before)


def test_only_so_many_checkpoints_are_kept_as_the_recipe_says(whole, dataset, tmp_path):
    assert kept(whole) == [140, 160]
    recipe = toy("training.pairs=24", "training.save_every=4", "training.keep_checkpoints=3")
    train(recipe, dataset, tmp_path / "run")
    assert kept(tmp_path / "run") == [16, 20, 24]


def test_the_seed_of_a_run_decides_all_of_it(dataset, tmp_path):
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        train(toy("training.pairs=8", f"training.seed={seed}"), dataset, tmp_path / name)
    assert_same(newest(tmp_path / "a"), newest(tmp_path / "b"))
    name = "agent.encoders.0.0.weight"
    a, c = (newest(tmp_path / run).tensors["model"][name] for run in "ac")
    assert (a - c).abs().mean() > 0.1 * a.abs().mean()


def test_a_target_may_bind_how_the_masks_answer_to_another_partner(dataset, tmp_path):
    # Nobody reaches 0.9: the multiplier rises, and with it the answer, which a second forward shows.
    answers = {}
    for name, targets in {"bound": '{swap_response: ">= 0.9"}', "free": "{}"}.items():
        settings = ("training.pairs=40", "training.learning_rate=0.01", "target.rate=5", f"targets={targets}")
        train(toy(*settings, "training.validate_every=40"), dataset, tmp_path / name)
        answers[name] = lines(tmp_path / name, "val")[-1]["swap_response"]
    prices = [line["target.swap_response.least"] for line in lines(tmp_path / "bound", "train")]
    assert prices == sorted(prices) and prices[-1] > 1.0
    assert answers["bound"] > 3 * answers["free"]


@pytest.mark.parametrize("settings", [["training.batch=1"], ["training.pairs=81"], ["training.accumulate=4"]])
def test_the_answer_to_another_partner_is_not_bound_where_a_batch_has_no_other(dataset, tmp_path, settings):
    with pytest.raises(BadInput, match="choose a multiple"):
        train(toy("targets={swap_response: '>= 0.1'}", *settings), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_target_on_masks_is_refused_where_there_are_none(dataset, tmp_path):
    recipe = toy(
        "targets={swap_response: '>= 0.1'}",
        "agent.name=compositional",
        "agent.options={}",
        "weights={latent.groove: 1}",
    )
    with pytest.raises(BadInput, match="nothing is called 'swap_response'"):
        train(recipe, dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("complementary: '>= 0.9'", "nothing is called 'complementary' in this run; there are: .*complementarity"),
        ("complementarity: '> 0.9'", "targets: complementarity is '> 0.9'"),
    ],
)
def test_a_target_that_is_mistyped_begins_no_run_and_the_corrected_command_does(dataset, tmp_path, target, told):
    with pytest.raises(BadInput, match=told):
        train(toy("training.pairs=4", f"targets={{{target}}}"), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    right = toy("training.pairs=4", "targets={complementarity: '>= 0.9'}")
    assert train(right, dataset, tmp_path / "run").ended.seen == 4


def test_validation_looks_at_the_same_pairs_each_time(dataset, tmp_path):
    recipe = toy(
        "training.learning_rate=0", "training.validate_every=4", "training.pairs=20", "training.validation_pairs=3"
    )
    train(recipe, dataset, tmp_path / "run")
    losses = [line["latent.groove"] for line in lines(tmp_path / "run", "val")]
    # The weights stand still, but for the estimate of a norm that follows each training step.
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-3)
    others = [line["latent.groove"] for line in lines(tmp_path / "run", "train")]
    assert others != pytest.approx([losses[0]] * len(others), rel=1e-2)


def test_the_model_of_a_run_is_the_one_that_validated_best(dataset, tmp_path):
    recipe = toy("training.pairs=32", "training.validate_every=4", "training.learning_rate=0.03", "training.seed=7")
    trainer, ended, _ = train(recipe, dataset, tmp_path / "run")
    best = ended.best
    validated = [line["loss"] for line in lines(tmp_path / "run", "val")]
    assert best == min(validated) < validated[-1]
    loaded = weights.load_model(str(tmp_path / "run"))
    assert loaded.recipe == recipe
    source = PairSource(Dataset(dataset, "val"), "shuffled", 48, 0)
    losses = []
    with torch.no_grad():
        for first in (0, 4):
            pair = source.batch(first, 4)
            losses.append(float(trainer.learner.objective(Outcome(pair, *loaded.model(pair.groove, pair.harmony)))[0]))
    assert sum(losses) / 2 == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("term", ["rms.groove", "stft.harmony", "mel.groove"])
def test_waveform_terms_train_the_model_through_the_codec(mdct_dataset, tmp_path, term):
    recipe = toy(
        "codec.name=mdct", "cascade.stages=1", f"weights={{{term}: 1}}", "training.pairs=12", "training.log_every=4"
    )
    trained = train(recipe, mdct_dataset, tmp_path / "run")
    for line in lines(tmp_path / "run", "train"):
        assert line["loss"] == pytest.approx(line[term], rel=1e-6)
        assert line[term] > 0 and line["grad_norm"] > 1e-6
    torch.manual_seed(recipe.training.seed)
    untrained = weights.build_model(recipe, 320).state_dict()
    trained_weights = trained.trainer.learner.bare_model.state_dict()
    for name in ("agent.encoders.0.0.weight", "agent.encoders.1.0.weight", "cascade.stages.0.norm_out.weight"):
        assert not torch.equal(untrained[name], trained_weights[name]), name


def test_a_validation_song_of_a_single_clip_does_not_stand_in_the_way(tmp_path):
    for seed, name in enumerate(("ada", "bix", "cab")):  # bix is kept to validate
        sounds.write(tmp_path / f"music/{name}.wav", sounds.song(16.0, seed))
    made = prepare(Plan((str(tmp_path / "music"),), str(tmp_path / "data"), "mel", workers=1))
    assert made.clips == {"train": 2, "val": 1}
    assert train(toy("training.pairs=4"), tmp_path / "data", tmp_path / "run").ended.seen == 4


# Stopped and gone on with


class Stop(NamedTuple):
    """How one start of a run ended."""

    number: signal.Signals
    status: int
    error: str
    kept: list[int]
    broken: list[str]
    """Complaints about checkpoints that are not whole."""
    log: list[dict[str, Any]]


# The command line in processes that are forked from one that has imported everything, which takes most of the time.
NURSERY = """
import json, os, sys
import jsonargparse, rich.progress
import powermuse.training.trainer
from powermuse.cli import main
for line in sys.stdin:
    words, errors = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os._exit(main(words))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def stopped(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Stop], list[str]]:
    """A run that was killed twice (once while it wrote a checkpoint), got Ctrl-C and SIGTERM, and then ended."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    (run.parent / "toy.yaml").write_text(TOY)
    (run.parent / "nursery.py").write_text(NURSERY)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": run.parent}
    with subprocess.Popen([sys.executable, "nursery.py"], **pipes) as nursery:
        try:
            stops = {
                "killed": stop(nursery, run, dataset, signal.SIGKILL, lambda: bool(kept(run))),
                "killed while writing": stop(nursery, run, dataset, signal.SIGKILL, lambda: half_written(run)),
                "interrupted": stop(nursery, run, dataset, signal.SIGINT, lambda: logged(run) >= 84),
                "terminated": stop(nursery, run, dataset, signal.SIGTERM, lambda: logged(run) >= 132),
            }
        finally:
            nursery.kill()
    messages = train(toy(f"training.pairs={PAIRS}"), dataset, run).messages
    return run, stops, messages


def stop(
    nursery: "subprocess.Popen[str]",
    run: Path,
    dataset: Path,
    number: signal.Signals,
    ready: Callable[[], bool],
    settings: Sequence[str] = (f"training.pairs={PAIRS}",),
) -> Stop:
    """Starts the same command and sends it a signal as soon as it is `ready`."""
    assert nursery.stdin and nursery.stdout
    command = ["train", "toy.yaml", "--data", str(dataset), "--run", "run"]
    command += [word for setting in settings for word in ("-s", setting)]
    nursery.stdin.write(json.dumps([command, "errors"]) + "\n")
    nursery.stdin.flush()
    process = int(nursery.stdout.readline())
    errors, until = run.parent / "errors", time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until and Path(f"/proc/{process}").exists(), errors.read_text()
        time.sleep(0.0005)
    os.kill(process, number)
    status = int(nursery.stdout.readline())
    broken = [told for path in checkpoint.found(run / "checkpoints") if (told := complaint(path))]
    return Stop(number, status, errors.read_text(), kept(run), broken, lines(run))


def complaint(path: Path) -> str:
    """What is wrong with a checkpoint."""
    try:
        checkpoint.load(path)
    except BadInput as error:
        return str(error)
    return ""


def logged(run: Path) -> int:
    """The last pair that the log of a run knows of."""
    whole = [line for line in (run / "log.jsonl").read_text().splitlines() if line.endswith("}")]
    return max((json.loads(line)["seen"] for line in whole), default=0)


def half_written(run: Path) -> bool:
    return any(p.stat().st_size for p in (run / "checkpoints").glob(".*"))


def test_stopped_four_times_it_comes_to_the_same_numbers_bit_for_bit(whole, stopped):
    run, stops, _ = stopped
    assert [s.kept[-1] for s in stops.values()] == sorted(s.kept[-1] for s in stops.values())
    assert all(s.kept[-1] < PAIRS for s in stops.values())
    assert_same(newest(run), newest(whole))
    assert lines(run) == lines(whole)
    assert not list(run.rglob(".*"))  # what the kill left half-written
    ours, theirs = (safetensors.torch.load_file(r / "model.safetensors") for r in (run, whole))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


# Everything that a checkpoint has to hold: discriminator, multipliers, average, a curriculum.
EVERYTHING = (
    "training.save_every=12", "training.ema=0.99",
    "weights={latent.groove: 0.3, gan: 0.1, mask.overlap: 1}", "targets={complementarity: '>= 0.9'}",
    "noise={rate: 0.01, step: 40}", "adversary={every: 4}",
)  # fmt: skip


@pytest.mark.parametrize(("times", "pairs"), [(4, 240), pytest.param(20, 480, marks=pytest.mark.long)])
def test_killed_many_times_at_random_moments_it_comes_to_the_same_numbers_bit_for_bit(dataset, tmp_path, times, pairs):
    settings = (*EVERYTHING, f"training.pairs={pairs}")
    (tmp_path / "toy.yaml").write_text(TOY)
    (tmp_path / "nursery.py").write_text(NURSERY)
    run, dice, statuses, seen = tmp_path / "run", random.Random(0), [], []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": tmp_path}
    with subprocess.Popen([sys.executable, "nursery.py"], **pipes) as nursery:
        try:
            for attempt in range(times):
                before = kept(run)[-1] if kept(run) else -1
                moments = random_moment(run, before, dice, while_writing=attempt % 4 == 3)
                made = stop(nursery, run, dataset, signal.SIGKILL, moments, settings)
                statuses.append(made.status)
                seen.append(made.kept[-1])
        finally:
            nursery.kill()
    assert statuses == [-signal.SIGKILL] * times
    assert seen == sorted(seen) and seen[-1] < pairs
    train(toy(*settings), dataset, run)
    train(toy(*settings), dataset, tmp_path / "whole")
    assert {"model", "optimizer", "adversary", "targets", "ema"} <= newest(run).tensors.keys()
    assert_same(newest(run), newest(tmp_path / "whole"))
    assert lines(run) == lines(tmp_path / "whole")


def random_moment(run: Path, before: int, dice: random.Random, *, while_writing: bool) -> Callable[[], bool]:
    """Some time after the run has got beyond checkpoint `before`, or while it writes another one after it."""
    wait_s, since = dice.uniform(0.0, 0.05), []

    def ready() -> bool:
        if not kept(run) or kept(run)[-1] <= before:
            return False
        since.append(time.monotonic())
        return half_written(run) if while_writing else time.monotonic() - since[0] > wait_s

    return ready


@pytest.mark.parametrize("how", ["killed", "killed while writing"])
def test_a_kill_loses_no_line_of_the_log_and_leaves_only_whole_checkpoints(whole, stopped, how):
    stop, wanted = stopped[1][how], lines(whole)
    assert stop.status == -signal.SIGKILL
    assert stop.kept and not stop.broken
    before = [line for line in wanted if line["seen"] <= stop.kept[-1]]
    assert len(stop.log) >= len(before) > 0
    assert stop.log == wanted[: len(stop.log)]


@pytest.mark.parametrize(("how", "status"), [("interrupted", 130), ("terminated", 143)])
def test_sigint_and_sigterm_save_at_the_very_pair_and_say_so(stopped, how, status):
    stop = stopped[1][how]
    assert stop.status == status
    said = stop.error.splitlines()
    assert said[-1] == f"powermuse: stopped at pair {stop.kept[-1]}, saved; the same command goes on"
    assert len(said) == 2 and said[0].startswith("powermuse: going on from pair ")


def test_the_same_command_says_from_where_it_goes_on(stopped):
    _, stops, messages = stopped
    assert messages == [f"going on from pair {stops['terminated'].kept[-1]}"]


def test_a_truncated_checkpoint_is_recognised_and_the_one_before_it_used(whole, dataset, tmp_path):
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    path = run / f"checkpoints/{PAIRS:012d}.safetensors"
    os.truncate(path, path.stat().st_size - 1000)
    messages = train(toy(f"training.pairs={PAIRS}"), dataset, run).messages
    assert len(messages) == 2
    assert f"{path}: not a whole checkpoint" in messages[0] and messages[0].endswith("using the one before")
    assert messages[1] == "going on from pair 140"
    assert_same(newest(run), newest(whole))
    assert lines(run) == lines(whole)


def test_a_run_that_died_after_its_last_checkpoint_is_ended_by_the_next_start(dataset, tmp_path, monkeypatch):
    recipe = toy("training.pairs=20")  # the last pair is one at which a checkpoint is due
    train(recipe, dataset, tmp_path / "whole")

    def die(trainer: Trainer) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_finish", die)
        with pytest.raises(RuntimeError):
            train(recipe, dataset, tmp_path / "died")
    assert kept(tmp_path / "died") == [20]
    train(recipe, dataset, tmp_path / "died")
    assert lines(tmp_path / "died") == lines(tmp_path / "whole")
    assert_same(newest(tmp_path / "died"), newest(tmp_path / "whole"))


def test_a_run_may_be_lengthened(dataset, tmp_path):
    train(toy("training.pairs=8"), dataset, tmp_path / "run")
    assert train(toy("training.pairs=16"), dataset, tmp_path / "run").messages == ["going on from pair 8"]
    assert newest(tmp_path / "run").seen == 16


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_stops_a_run_and_leaves_the_checkpoint_before(dataset, tmp_path):
    run = tmp_path / "run"
    train(toy("training.pairs=8"), dataset, run)
    before = newest(run)
    with files_of_at_most(1_000_000), pytest.raises(OSError):
        train(toy("training.pairs=40"), dataset, run)
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["000000000008.safetensors"]
    assert_same(newest(run), before)
    assert train(toy("training.pairs=12"), dataset, run).ended.seen == 12


# What does not fit together


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("training.learning_rate=0.5", r"training\.learning_rate=0\.001, now it is 0\.5"),
        ("weights.mask.coverage=1", r"weights\.mask\.coverage=None, now it is 1\.0"),
        ("agent.options.hidden=32", r"agent\.options\.hidden=16, now it is 32"),
        ("name=other", "name=toy, now it is other"),
    ],
)
def test_the_same_run_with_another_recipe_is_refused_by_the_key(whole, dataset, override, told):
    before = (whole / "recipe.yaml").read_text()
    with pytest.raises(BadInput, match=told):
        Trainer(toy(f"training.pairs={PAIRS}", override), str(dataset), str(whole), lambda _: None)
    assert (whole / "recipe.yaml").read_text() == before


def test_a_folder_that_is_no_run_is_refused_and_left_alone(dataset, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="exists and is not a run"):
        Trainer(toy(), str(dataset), str(tmp_path), lambda _: None)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_data_set_of_another_codec_is_refused_with_both_names(mdct_dataset, tmp_path):
    with pytest.raises(BadInput, match="prepared with codec mdct, the recipe wants mel; prepare it with --codec mel"):
        Trainer(toy(), str(mdct_dataset), str(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


def test_a_data_set_of_the_same_codec_with_other_weights_is_refused():
    header = Header("encodec", {"source": "random", "num_filters": 8, "weights_seed": 1}, 24_000, 320, 128, 1200)
    with pytest.raises(BadInput, match="source"):
        runs.check_codec(Recipe("mine", codec=Choice("encodec")), header, Path("music"))


def test_a_run_is_not_gone_on_with_on_another_data_set(dataset, tmp_path):
    other = Path(shutil.copytree(dataset, tmp_path / "other"))
    described = json.loads((other / "dataset.json").read_text())
    described["record"]["shards.npy"] = "of other sound"
    (other / "dataset.json").write_text(json.dumps(described))
    train(toy("training.pairs=4"), dataset, tmp_path / "run")
    with pytest.raises(BadInput, match=r"was begun with data set sha256\.shards\.npy=.*now it is of other sound"):
        train(toy("training.pairs=8"), other, tmp_path / "run")


def test_a_term_that_looks_at_the_truth_wants_pairs_that_have_one(dataset, tmp_path):
    with pytest.raises(BadInput, match=r"shuffled pairs lack; use data\.pairing=unity"):
        Trainer(toy("weights={latent.truth: 1}"), str(dataset), str(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "override",
    [
        "training.batch=0",
        "training.log_every=0",
        "training.save_every=0",
        "training.validate_every=0",
        "training.validation_pairs=0",
        "training.learning_rate=-1",
        "training.threads=-1",
        "training.monitor=-1",
        "data.crop_frames=0",
        "data.decode_frames=0",
        "cascade.heads=0",
        "cascade.dropout=2",
        "agent.options.heads=0",
        "adversary.every=0",
        "adversary.rate_share=-1",
        "adversary.clip_norm=0",
        "noise.step=0",
        "noise.step=-4",
        "noise.rate=-0.1",
        "noise.ceiling=1.5",
        "target.most=-1",
        "target.rate=-1",
        "data.triplets=4",
        "data.first=1",
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_name_before_anything_is_written(dataset, tmp_path, override):
    with pytest.raises(BadInput, match=override.split("=")[0].rsplit(".")[-1]):
        train(toy("training.pairs=8", override), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# Numbers that are none


def test_a_weight_that_is_no_number_stops_the_run_with_the_term_the_layer_and_the_weight(whole, dataset, tmp_path):
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    layer = "cascade.stages.1.blocks.0.ffn.0"
    last = newest(run)
    last.tensors["model"][f"{layer}.weight"][0, 0] = math.nan
    checkpoint.save(run / "checkpoints", last, 2)
    log = (run / "log.jsonl").read_text()
    with pytest.raises(NotFinite) as told:
        train(toy(f"training.pairs={PAIRS + 40}"), dataset, run)
    said = str(told.value)
    assert said.startswith(f"pair {PAIRS}: loss term latent.groove, latent.harmony is not a finite number ")
    assert f"(first in layer {layer}, weight {layer}.weight is not finite)" in said
    assert said.endswith(f"the run stands at checkpoint {PAIRS:012d}.safetensors")
    assert kept(run) == [140, 160]
    assert (run / "log.jsonl").read_text() == log


def test_after_a_bad_step_nothing_is_written_to_the_weights_any_more(dataset, tmp_path):
    """One clip of the data set is damaged: the steps after it would be fine, and must not be taken all the same."""
    data = Path(shutil.copytree(dataset, tmp_path / "data"))
    settings = ("training.batch=1", "training.log_every=20", "training.save_every=100", "training.validate_every=100")
    draws = [PairSource(Dataset(data), "shuffled", 48, toy().training.seed).draw(i) for i in range(20)]
    row, bad = max(
        ((row, min(i for i, d in enumerate(draws) if row in d[:2])) for row in range(6)), key=lambda found: found[1]
    )
    assert bad >= 2
    damage(data, row)
    trainer = Trainer(toy("training.pairs=40", *settings), str(data), str(tmp_path / "bad"), lambda _: None)
    with pytest.raises(
        NotFinite, match=rf"pair {bad}: loss term .*first in layer agent\.encoders.* with no checkpoint"
    ):
        trainer.fit()
    good = train(toy(f"training.pairs={bad}", *settings), data, tmp_path / "good").trainer.learner.bare_model
    for (name, after), before in zip(trainer.learner.bare_model.named_parameters(), good.parameters(), strict=True):
        assert torch.equal(after, before), name
    assert kept(tmp_path / "bad") == []


def damage(data: Path, row: int) -> None:
    """Makes the lowest channel of one training clip infinite."""
    entry = Dataset(data).table[row]
    path = shard_path(data, int(entry["shard"]))
    with safe_open(path, framework="pt") as shard:
        metadata = shard.metadata()
    tensors = safetensors.torch.load_file(path)
    tensors[f"{int(entry['row']):05d}"][0] = math.inf
    safetensors.torch.save_file(tensors, path, metadata=metadata)


def test_a_learning_rate_that_blows_up_stops_the_run_with_finite_checkpoints(dataset, tmp_path):
    recipe = toy("training.learning_rate=1e30", "training.save_every=4", "training.validate_every=100")
    with pytest.raises(NotFinite, match=r"pair 4: .*the run stands at checkpoint 000000000004"):
        train(recipe, dataset, tmp_path / "run")
    assert kept(tmp_path / "run") == [4]
    last = newest(tmp_path / "run")
    assert all(torch.isfinite(t).all() for group in last.tensors.values() for t in group.values())
    model = safetensors.torch.load_file(tmp_path / "run/model.safetensors")
    assert all(torch.isfinite(t).all() for t in model.values())


def test_a_validation_that_is_not_finite_stops_the_run_too(dataset, tmp_path):
    recipe = toy("training.learning_rate=1e30", "training.pairs=4", "training.validate_every=4")
    with pytest.raises(NotFinite):
        train(recipe, dataset, tmp_path / "run")
    assert "NaN" not in (tmp_path / "run/log.jsonl").read_text()
