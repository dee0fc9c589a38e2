"""The dry run of every shipped recipe, and the ways in which one fails."""

import contextlib
import itertools
import re
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from powermuse import optimizers, recipe
from powermuse.cli import main
from powermuse.codecs import Codec
from powermuse.codecs import encodec as encodec_codec
from powermuse.composing.composer import Composer
from powermuse.data.made_up import make_up
from powermuse.recipe import Choice, Recipe
from powermuse.training import budget, checkpoint, rehearsal
from powermuse.training.checkpoint import Checkpoint
from powermuse.training.rehearsal import Unproven, rehearse
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import SHIPPED

transformers = pytest.importorskip("transformers", reason="the extra hub is not installed")

Capture = pytest.CaptureFixture[str]
PROOFS = ["recipe", "data", "codec", "agent", "losses", "checkpoint", "resume", "generation"]
AGENTS = {"masking": "1,083,904", "compositional": "14,515,078"}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go, and an empty folder to stand in."""
    folder, here = tmp_path / "temporary", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(here)
    return folder


def tiny(*overrides: str) -> Recipe:
    return recipe.load("tiny", ["cascade.stages=1", "data.crop_frames=48", *overrides])


def shown(proofs: Any) -> dict[str, str]:
    return {proof.name: proof.shown for proof in proofs}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_passes_its_dry_run_and_leaves_nothing_behind(
    name: str, temporary: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{temporary}/mlflow.db")
    if name != "tiny":  # it takes as long as all else together
        monkeypatch.setattr(budget, "measure", lambda *_: None)
    assert main(["train", name, "--dry-run", "--run", "run"]) == 0
    out, err = capsys.readouterr()
    proofs, table, passed = (part.splitlines() for part in out.split("\n\n"))
    assert [line.split(":")[0] for line in proofs] == PROOFS
    assert all(re.search(r"  \d+\.\d s$", line) for line in proofs)
    full = recipe.load(name)
    assert f" {len(full.weights)} terms, all finite" in proofs[4]
    reached = re.search(r"gradients reach (\d+) of (\d+) tensors", proofs[4])
    assert reached and reached[1] == reached[2] and "went on to the same weights" in proofs[6]
    if full.agent.name in AGENTS and not full.agent.options.get("hidden"):
        assert any(line.split()[0] == "agent" and line.endswith(f" {AGENTS[full.agent.name]}") for line in table)
    assert any(line.startswith("discriminator ") for line in table) is ("gan" in full.weights)
    if name == "tiny":
        measured = r"memory of a process: about [\d.]+ GB \(process .*\), there is room for [\d.]+ GB"
        assert re.fullmatch(measured, table[-1])
    assert re.fullmatch(r"dry run passed in \d+\.\d s", passed[0]) and err == ""
    assert not list(temporary.iterdir()) and not list(Path.cwd().iterdir())


def test_the_toy_is_the_recipe_in_all_but_size(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Recipe] = []
    fit = Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda trainer: trained.append(trainer.recipe) or fit(trainer))
    form = [
        "cascade.stages=3", "cascade.see_all_drafts=true", "cascade.residual_weights=[1,1,0.1]", "cascade.scale_high=9",
        "noise.rate=0.1", "noise.start=1000", "adversary.every=2", "agent.options.hard=true",
        'targets.overlap="<= 0.2"', "data.pairing=continuation", "cascade.layers=6",
    ]  # fmt: skip
    full = tiny(*form)
    assert shown(rehearse(full, str(dataset))).keys() == set(PROOFS)
    small = trained[0]
    for part in ("weights", "targets", "target", "adversary"):
        assert getattr(small, part) == getattr(full, part)
    for setting in ("stages", "see_all_drafts", "residual_weights", "scale_low", "scale_high", "input_noise", "heads"):
        assert getattr(small.cascade, setting) == getattr(full.cascade, setting)
    assert small.agent.options == {**full.agent.options, "hidden": 16, "heads": 2}
    assert (small.cascade.layers, small.data.pairing, small.noise.amount(0)) == (1, "continuation", 0.1)


# With a data set


def test_a_data_set_is_used_as_it_is_and_not_written_to(dataset: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in dataset.rglob("*")}
    said = shown(rehearse(recipe.load("separation"), str(dataset)))
    assert said["data"].startswith("4 pairs of 192 frames from 6 clips, 4 to validate on, latents of RMS ")
    assert {p: p.stat().st_mtime_ns for p in dataset.rglob("*")} == before


def encodec(folder: Path, seed: int) -> str:
    make_up(folder, Choice("encodec", {"source": "random", "num_filters": 3, "weights_seed": seed}), 120)
    return str(folder)


def test_latents_of_a_heavy_codec_are_trained_on_by_way_of_a_stand_in(tmp_path: Path, capsys: Capture) -> None:
    data = encodec(tmp_path / "data", seed=1)
    command = ["train", "simple", "--dry-run", "--data", data, "-s", "data.crop_frames=96"]
    options = ["-s", "codec.options.source=random", "-s", "codec.options.num_filters=3"]
    assert main([*command, *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"powermuse: dry run, data: {data}: was prepared with encodec weights_seed=1, the recipe")
    assert main([*command, *options, "-s", "codec.options.weights_seed=1"]) == 0
    assert "\ngeneration: 2.0 s composed from two clips" in capsys.readouterr().out


def test_the_codecs_own_weights_are_tried_where_they_are_here_and_said_to_be_missing_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = str(tmp_path / "weights")
    transformers.EncodecModel(transformers.EncodecConfig(num_filters=3)).save_pretrained(here)
    loaded: list[str] = []
    load = encodec_codec._pretrained_model
    monkeypatch.setattr(encodec_codec, "_pretrained_model", lambda source: (loaded.append(source), load(source))[1])
    for source, ending in ((here, "0 samples off"), ("nobody/nothing", "its own are not on this machine")):
        with contextlib.closing(rehearse(recipe.load("simple", [f"codec.options.source={source}"]))) as proofs:
            said = shown(itertools.islice(proofs, 3))["codec"]
        assert said.startswith("encodec, encode and decode 1.0 s") and said.endswith(ending)
    assert loaded == [here]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["codec.name=mdct"], r"dry run, data: .*: was prepared with codec mel, the recipe wants mdct"),
        (["data.crop_frames=1300"], r"dry run, data: .*data\.crop_frames 1300 is longer"),
        (["cascade.heads=7"], r"dry run, recipe: cascade: 7 heads do not divide"),
        (["weights.nonsense=1"], r"dry run, recipe: weights: no term is called 'nonsense'"),
        (["training.batch=0"], r"dry run, recipe: training\.batch must be above 0"),
        (['targets.balance="<= 1"'], r"dry run, recipe: targets: nothing is called 'balance'"),
    ],
)
def test_what_the_user_can_change_is_told_with_the_proof_that_it_failed(
    dataset: Path, temporary: Path, overrides: list[str], told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        list(rehearse(tiny(*overrides), str(dataset)))
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("target", ["overlap", "swap_response"])
def test_a_batch_in_more_parts_than_a_toy_has_pairs_is_rehearsed_in_fewer(target: str) -> None:
    full = tiny("training.accumulate=4", f'targets.{target}="<= 0.9"')
    with contextlib.closing(rehearse(full)) as proofs:
        assert "losses" in shown(itertools.islice(proofs, 5))


def test_without_a_data_set_only_a_dry_run_is_made(capsys: Capture) -> None:
    assert main(["train", "tiny", "--run", "run"]) == 2
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "powermuse: train wants --data DATASET, which `powermuse prepare` or `render` makes "
        "(only --dry-run goes without)"
    ]
    assert out == "" and not list(Path.cwd().iterdir())


# What is broken is found


def forgets_momenta(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(optimizers, "restore_optimizer", lambda *_: None)


def writes_other_weights(patch: pytest.MonkeyPatch) -> None:
    save = checkpoint.save

    def save_rounded(folder: Path, kept: Checkpoint, *how: int) -> Path:
        model = {name: t.bfloat16().to(t.dtype) for name, t in kept.tensors["model"].items()}
        return save(folder, Checkpoint(kept.seen, {**kept.tensors, "model": model}, kept.values), *how)

    patch.setattr(checkpoint, "save", save_rounded)


def loses_a_sample(patch: pytest.MonkeyPatch) -> None:
    from powermuse.codecs.mel import MelCodec

    decode: Callable[[Codec, torch.Tensor], torch.Tensor] = MelCodec.decode
    patch.setattr(MelCodec, "decode", lambda codec, z_BDT: decode(codec, z_BDT)[..., :-1])


def gives_masks_beyond_one(patch: pytest.MonkeyPatch) -> None:
    from powermuse.agents.masking import MaskingAgent

    masks = MaskingAgent.masks
    patch.setattr(MaskingAgent, "masks", lambda *clips: tuple(3.0 * m for m in masks(*clips)))


def composes_silence(patch: pytest.MonkeyPatch) -> None:
    compose = Composer.compose

    def silent(*arguments: Any) -> Any:
        blend = compose(*arguments)
        blend.wav_CN[:] = 0.0
        return blend

    patch.setattr(Composer, "compose", silent)


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (loses_a_sample, "codec: -1 samples off"),
        (gives_masks_beyond_one, r"agent: a mask is not in \[0, 1\]"),
        (writes_other_weights, r"checkpoint: model/agent.encoders.0.0.bias.* more came back different"),
        (forgets_momenta, "resume: stopped after 2 of 4 pairs it came to another model/"),
        (composes_silence, "generation: -200.0 dBFS: silence came out"),
    ],
)
def test_what_we_broke_is_told_with_the_proof_that_found_it(
    breaks: Callable[[pytest.MonkeyPatch], None], told: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    with pytest.raises(Unproven, match=f"dry run, {told}"):
        list(rehearse(tiny()))
    assert not list(temporary.iterdir())


def test_our_fault_is_one_line_and_status_1(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "make_up", lambda *_: 1 / 0)
    assert main(["train", "tiny", "--dry-run"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "powermuse: Unproven: dry run, data: ZeroDivisionError: division by zero (--debug shows where)"


def test_tensors_that_no_term_reaches_are_named() -> None:
    said = shown(rehearse(tiny("weights={mask.overlap: 1}")))["losses"]
    found = re.fullmatch(
        r"1 terms, all finite, gradients reach (\d+) of (\d+) tensors \(none: (.*) and (\d+) more\)", said
    )
    assert found and int(found[1]) + 5 + int(found[4]) == int(found[2])
    assert all(name.startswith("cascade.stages.0") for name in found[3].split(", "))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_leaves_nothing_behind_either(
    number: signal.Signals, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Trainer._advance
    monkeypatch.setattr(Trainer, "_advance", lambda trainer: (signal.raise_signal(number), advance(trainer)))
    if number == signal.SIGINT:
        assert main(["train", "tiny", "--dry-run"]) == 130
    else:
        with pytest.raises(SystemExit, match="143"):
            main(["train", "tiny", "--dry-run"])
    assert not list(temporary.iterdir())
