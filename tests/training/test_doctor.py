"""Each diagnosis on a run that really has the illness, each rule on one that has not, and each threshold from both
sides."""

import contextlib
import functools
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import safetensors.torch
from safetensors import safe_open

from powermuse import recipe as recipes
from powermuse import registry
from powermuse.cli import main
from powermuse.data.shards import Dataset, shard_path
from powermuse.objective import Objective
from powermuse.recipe import Recipe
from powermuse.training import doctor, runs
from powermuse.training.budget import Budget
from powermuse.training.doctor import record as records
from powermuse.training.doctor.record import Curve, Record
from powermuse.training.doctor.verdicts import Verdict, pronounce
from powermuse.training.health import NotFinite
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import toy

# 100 steps of a toy with one stage on crops of a third of a second: about two seconds each.
COMMON = (
    "training.pairs=200", "training.batch=2", "training.log_every=8", "training.validate_every=200",
    "training.validation_pairs=4", "training.save_every=100000", "cascade.stages=1", "data.crop_frames=24",
)  # fmt: skip
SHORT = ("training.pairs=16", "training.log_every=2", "training.validate_every=16")
SPLIT = (
    "agent.options={hidden: 16, heads: 2, form: split, dropout: 0.0}",
    "weights={latent.groove: 0.1, latent.harmony: 0.1, mask.onsets.groove: 1.0, mask.onsets.harmony: 1.0, "
    "mask.clip_balance: 5.0, mask.channel_balance: 1.0}",
)
PARTS = (
    "agent={name: compositional, options: {width: 8, composer_width: 16, composer_layers: 1, heads: 2}}",
    "weights={latent.groove: 0.5, latent.harmony: 0.5}", "training.pairs=96", "training.validate_every=96",
)  # fmt: skip
LONG = (
    "agent={name: fixed, options: {kind: groove}}", "data.crop_frames=600", "cascade.heads=1", "training.pairs=120",
    "training.batch=8", "training.validate_every=120", "training.validation_pairs=2",
)  # fmt: skip
OLD_FORM = "cascade.residual_weights=[0.0]"  # nothing of the sources but what the transformer says of them
DUEL = ("weights.gan=0.001", "training.pairs=32", "training.log_every=4", "training.validate_every=32")
RUNS = {
    "healthy": (*SPLIT, "training.validate_every=50", 'targets={separation: ">= 0.1"}'),
    "constant": ("weights.mask.overlap=0",),
    "split for good": ("weights.mask.overlap=5", "training.learning_rate=3e-3"),
    "deaf": (
        "weights={mask.onsets.groove: 1, mask.onsets.harmony: 1, mask.overlap: 1, mask.balance: 15}",
        "training.learning_rate=3e-3",
    ),
    "copying": (LONG[0], "weights={latent.groove: 1}"),
    "random": (LONG[0], OLD_FORM, "weights={novelty: 1}", "training.learning_rate=3e-3"),
    # On the data set of `odd`, whose training clips have onsets where there are none.
    "misled": (
        "weights={mask.onsets.groove: 1, mask.onsets.harmony: 1}", "training.learning_rate=3e-3",
        "training.validate_every=20",
    ),
    "choosing": (*PARTS, "training.learning_rate=2e-3"),
    "asleep parts": (*PARTS, "training.learning_rate=1e-8"),
    "one-sided parts": (*PARTS, "weights={latent.groove: 1}", "training.learning_rate=1e-2"),
    "contour copied": (*LONG, "weights={latent.groove: 1, modulation_exp.groove: 0.001}"),
    "contour its own": (*LONG, "weights={latent.groove: 1, modulation_exp.harmony: 0.001}"),
    "silent": (*DUEL, "cascade.scale_low=0", "cascade.scale_high=1.0e-8", "adversary.rate_share=0.5"),
    "unscaled": (*DUEL, OLD_FORM, "cascade.rms_scaling=false", "adversary.rate_share=0.2"),
    "asleep": (*DUEL, *SHORT, "adversary.rate_share=1e-6"),
    "confused": (*DUEL, *SHORT, "adversary.rate_share=20"),
    "exploding": (*SHORT, "weights.latent.groove=100"),
    "three stages": (
        *SHORT, "cascade={stages: 3, layers: 1, heads: 2, ffn_multiple: 0.5, see_all_drafts: true, "
        "residual_weights: [1.0, 1.0, 0.1], scale_low: 0.0, scale_high: 1.0e+9}",
    ),
    "vanishing": (
        *SHORT, "agent.options={hidden: 16, heads: 2, form: split, sharpness: 1.0e+6}",
        "weights={mask.clip_balance: 1.0}",
    ),
    "diverged": (*SHORT, "training.learning_rate=1e30"),
    "held back": (*SPLIT, *SHORT, "cascade.scale_low=0.95", "cascade.scale_high=1.05"),
    "too much asked": (*SHORT, 'targets={complementarity: ">= 0.9999"}', "target.most=0.01"),
}  # fmt: skip
ILL = {
    "diverged": ("numbers that are not finite",),
    "constant": ("static masks: constant", "novelty: a plain sum"),
    "split for good": ("static masks: a fixed split",),
    "deaf": ("masks that ignore the partner",),
    "copying": ("copying one source",),
    "random": ("novelty: too random",),
    "misled": ("overfitting", "mask means"),
    "asleep parts": ("selector", "plateau"),
    "one-sided parts": ("unused components",),
    "asleep": ("discriminator asleep",),
    "confused": ("discriminator confused",),
    "exploding": ("exploding gradients",),
    "three stages": ("scale factor",),
    "vanishing": ("vanishing gradients",),
    "unscaled": ("level",),
    "held back": ("scale factor at its bound",),
    "contour copied": ("modulation",),
    "silent": ("silent blend", "level", "discriminator winning"),
    "too much asked": ("missed targets",),
}
WELL = {
    "choosing": ("selector", "unused components", "level"),
    "contour its own": ("modulation",),
    "unscaled": ("discriminator winning", "discriminator asleep", "discriminator confused"),
}

Clinic = Callable[[str], doctor.Diagnosis]


def trained(dataset: Path, run: Path, *overrides: str, diverges: bool = False) -> doctor.Diagnosis:
    with pytest.raises(NotFinite) if diverges else contextlib.nullcontext():
        Trainer(toy(*COMMON, *overrides), str(dataset), str(run), lambda _: None).fit()
    return doctor.examine(str(run))


@pytest.fixture(scope="session")
def odd(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set with the onset bands of its training clips upside down: what they teach does not hold elsewhere."""
    data = Path(shutil.copytree(dataset, tmp_path_factory.mktemp("odd") / "data"))
    for entry in Dataset(data).table:
        path = shard_path(data, int(entry["shard"]))
        with safe_open(path, framework="pt") as shard:
            metadata = shard.metadata()
        tensors = safetensors.torch.load_file(path)
        onsets_KT = tensors[f"{int(entry['row']):05d}"][128:136]
        onsets_KT.copy_(onsets_KT.max() - onsets_KT)
        safetensors.torch.save_file(tensors, path, metadata=metadata)
    return data


@pytest.fixture(autouse=True, scope="module")
def unmeasured() -> Iterator[None]:
    """Nobody asks whether a run fits into memory, which takes longer than some of these runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Budget, "check", lambda budget: None)
        yield


@pytest.fixture(scope="session")
def clinic(dataset: Path, odd: Path, tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    """The diagnosis of a run of RUNS, trained when it is first asked for."""
    folder = tmp_path_factory.mktemp("clinic")
    known: dict[str, doctor.Diagnosis] = {}

    def ask(name: str) -> doctor.Diagnosis:
        if name not in known:
            data = odd if name == "misled" else dataset
            known[name] = trained(data, folder / name, *RUNS[name], diverges=name == "diverged")
        return known[name]

    ask.folder = folder  # type: ignore[attr-defined]
    return ask


def verdict(diagnosis: doctor.Diagnosis, rule: str) -> Verdict:
    (found,) = [verdict for verdict in diagnosis.verdicts if verdict.rule == rule]
    return found


# Real runs


@pytest.mark.parametrize(("name", "rule"), [(name, rule) for name, rules in ILL.items() for rule in rules])
def test_a_run_that_is_ill_gets_the_diagnosis_and_settings_that_its_recipe_takes(clinic, name, rule):
    found = verdict(clinic(name), rule)
    assert found.state == "ill", found
    assert re.search(r"\d", found.found) and found.advice
    before = clinic(name).record.recipe
    after = recipes.parse(recipes.dump(before), "remedy", list(found.settings))
    assert found.settings and after != before
    runs.check_settings(after)
    agent = registry.find("agents", after.agent.name)[1]
    Objective(after.weights, agent.penalty_names, registry.find("codecs", "mel")[1])
    registry.configure("agents", after.agent.name, after.agent.options)


def test_a_healthy_run_gets_no_diagnosis(clinic):
    diagnosis = clinic("healthy")
    assert not diagnosis.of("ill")
    assert len(diagnosis.of("well")) == 17
    unchecked = {verdict.rule for verdict in diagnosis.of("not checked")}
    assert unchecked == {
        "modulation", "selector", "unused components",
        "discriminator winning", "discriminator asleep", "discriminator confused",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "rule"), [(name, rule) for name, rules in WELL.items() for rule in rules])
def test_a_rule_is_silent_on_a_run_without_its_illness(clinic, name, rule):
    found = verdict(clinic(name), rule)
    assert found.state == "well", found
    assert re.search(r"\d", found.found)


def test_every_rule_was_seen_ill_and_well_on_real_runs(clinic):
    rules = {rule.name for rule in doctor.RULES}
    well = {verdict.rule for verdict in clinic("healthy").of("well")} | {
        rule for rules in WELL.values() for rule in rules
    }
    assert well == rules
    assert {rule for found in ILL.values() for rule in found} == rules


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("held back", "scale factor at its bound"),
        ("diverged", "numbers that are not finite"),
    ],
)
def test_the_settings_that_the_doctor_names_cure(clinic, dataset, tmp_path, name, rule):
    remedy = verdict(clinic(name), rule).settings
    assert verdict(trained(dataset, tmp_path / "run", *RUNS[name], *remedy), rule).state == "well"


# Thresholds, on made-up logs


@functools.cache
def plain(*overrides: str) -> Recipe:
    """The toy with latent losses alone; typing a recipe takes longer than all the rules."""
    return toy("weights={latent.groove: 0.3, latent.harmony: 0.3}", *overrides)


def made_up(overrides: tuple[str, ...] = (), clips: int = 0, **logs: dict[str, Any]) -> Record:
    """A record of 2,000 steps; a plain number stands for sixteen lines of it."""
    curves: dict[str, dict[str, Curve]] = {}
    for split, log in logs.items():
        for name, values in log.items():
            values = values if isinstance(values, list) else [values] * 16
            seen = tuple(round(8000 * (i + 1) / len(values)) for i in range(len(values)))
            curves.setdefault(split, {})[name] = Curve(seen, tuple(map(float, values)))
    return Record(plain(*overrides), curves.get("train", {}), curves.get("val", {}), clips)


SIDES = {"similarity.groove": 0.6, "similarity.harmony": 0.6, "similarity.sum": 0.8, "similarity.sources": 0.4}
MASKS = {"separation": 0.7, "content_share": 0.8, "swap_response": 0.2, "complementarity": 0.9}
HALVES = {"balance.groove": 0.5, "balance.harmony": 0.5}
EVEN = {f"component.{side}.{part}.weight": 1 / 6 for side in ("groove", "harmony") for part in ("rhythm", "harmony", "timbre")}  # fmt: skip  # noqa: E501
COMPONENTS = ("agent={name: compositional}",)
GAN = ("weights.gan=0.1",)
TARGET = ('targets={separation: ">= 0.7"}',)


def falling(last: float, third: float = 1.0, first: float = 2.0) -> list[float]:
    return [v for v in (first, 1.5, third, last) for _ in range(4)]


def losses(values: list[float]) -> dict[str, Any]:
    """Terms whose weighted sum is `values`."""
    return {"latent.groove": [v / 0.6 for v in values], "latent.harmony": [v / 0.6 for v in values]}


def duel(right: float, loss: float) -> dict[str, float]:
    return {"adversary.right_of_real": right, "adversary.right_of_fake": right, "adversary.loss": loss}


def scales(stage_0: float, stage_1: float, residual: float = 1.0) -> dict[str, Any]:
    return {"val": {"scale.0": stage_0, "scale.1": stage_1, "level.residual_scale": residual}}


# (rule, recipe, a log that is just well, one that is just ill)
BORDERS: list[tuple[str, tuple[str, ...], dict[str, Any], dict[str, Any]]] = [
    ("numbers that are not finite", (), {"val": {"x": [1, 2]}}, {"val": {"x": [1, float("nan")]}}),
    ("numbers that are not finite", (), {"train": {"x": [1, 2]}}, {"train": {"x": [float("inf"), 2]}}),
    ("exploding gradients", (), {"train": {"grad_norm": 9.9}}, {"train": {"grad_norm": 10.1}}),
    (
        "exploding gradients", (), {"train": {"grad_norm": falling(4.4, 3.0, 1.0)}},
        {"train": {"grad_norm": falling(4.0, 2.5, 0.9)}},
    ),
    ("scale factor", (), scales(1.29, 1.29), scales(1.31, 1.0)),
    ("scale factor", (), scales(1.54, 1.0, 1.41), scales(1.56, 1.0, 1.41)),
    ("scale factor", (), scales(1.4, 1.29, 1.41), scales(1.4, 1.31, 1.41)),
    ("vanishing gradients", (), {"train": {"grad_norm": 1.1e-4}}, {"train": {"grad_norm": 0.9e-4}}),
    ("plateau", (), {"train": losses(falling(0.98))}, {"train": losses(falling(0.995))}),
    ("plateau", (), {"train": losses(falling(0.9))}, {"train": losses(falling(1.1))}),
    (
        "overfitting", (),
        {"train": losses(falling(0.9)), "val": losses([2, 1, 1, 1.04])},
        {"train": losses(falling(0.9)), "val": losses([2, 1, 1, 1.06])},
    ),
    (
        "overfitting", (),
        {"train": losses(falling(2.1)), "val": losses([2, 1, 1, 1.06])},
        {"train": losses(falling(0.9)), "val": losses([2, 1, 1, 1.06])},
    ),
    (
        "missed targets", TARGET,
        {"train": {"target.separation.least": 98}, "val": {"separation": 0.6}},
        {"train": {"target.separation.least": 100}, "val": {"separation": 0.6}},
    ),
    (
        "missed targets", TARGET,
        {"train": {"target.separation.least": 100}, "val": {"separation": 0.71}},
        {"train": {"target.separation.least": 100}, "val": {"separation": 0.69}},
    ),
    (
        "copying one source", (),
        {"val": SIDES | {"similarity.groove": 0.89}}, {"val": SIDES | {"similarity.groove": 0.91}},
    ),
    ("copying one source", (), {"val": SIDES}, {"val": SIDES | {"similarity.harmony": 0.91}}),
    ("novelty: a plain sum", (), {"val": SIDES | {"similarity.sum": 0.89}}, {"val": SIDES | {"similarity.sum": 0.91}}),
    (
        "novelty: too random", (),
        {"val": SIDES | {"similarity.groove": 0.25}}, {"val": SIDES | {"similarity.groove": 0.23}},
    ),
    ("modulation", (), {"train": {"modulation_exp.harmony": 1.9}}, {"train": {"modulation_exp.harmony": 2.1}}),
    ("modulation", (), {"train": {"modulation.groove": 0.74}}, {"train": {"modulation.groove": 0.76}}),
    ("static masks: constant", (), {"val": MASKS | {"separation": 0.11}}, {"val": MASKS | {"separation": 0.09}}),
    (
        "static masks: a fixed split", (),
        {"val": MASKS | {"content_share": 0.21}}, {"val": MASKS | {"content_share": 0.19}},
    ),
    (
        "masks that ignore the partner", (),
        {"val": MASKS | {"swap_response": 0.051}}, {"val": MASKS | {"swap_response": 0.049}},
    ),
    ("mask means", (), {"val": HALVES | {"balance.groove": 0.54}}, {"val": HALVES | {"balance.groove": 0.56}}),
    ("mask means", (), {"val": HALVES | {"balance.harmony": 0.46}}, {"val": HALVES | {"balance.harmony": 0.44}}),
    (
        "selector", COMPONENTS,
        {"val": EVEN | {"component.decided": 0.11}}, {"val": EVEN | {"component.decided": 0.09}},
    ),
    (
        "selector", COMPONENTS,
        {"val": EVEN | {"component.decided": 0.05, "component.groove.timbre.weight": 0.22}},
        {"val": EVEN | {"component.decided": 0.05, "component.groove.timbre.weight": 0.21}},
    ),
    (
        "unused components", COMPONENTS,
        {"val": EVEN | {"component.groove.timbre.weight": 0.021}},
        {"val": EVEN | {"component.groove.timbre.weight": 0.019}},
    ),
    (
        "unused components", COMPONENTS,
        {"val": {name: 0.034 if "harmony." in name[10:18] else 0.3 for name in EVEN}},
        {"val": {name: 0.033 if "harmony." in name[10:18] else 0.3 for name in EVEN}},
    ),
    ("discriminator winning", GAN, {"train": duel(0.89, 0.4)}, {"train": duel(0.91, 0.4)}),
    ("discriminator asleep", GAN, {"train": duel(0.6, 0.67)}, {"train": duel(0.6, 0.69)}),
    ("discriminator asleep", GAN, {"train": duel(0.6, 0.73)}, {"train": duel(0.6, 0.71)}),
    ("discriminator asleep", GAN, {"train": duel(0.81, 0.69)}, {"train": duel(0.79, 0.69)}),
    ("discriminator confused", GAN, {"train": duel(0.5, 0.99)}, {"train": duel(0.5, 1.01)}),
    ("level", (), {"val": {"level.ratio": 0.91}}, {"val": {"level.ratio": 0.89}}),
    ("level", (), {"val": {"level.ratio": 1.09}}, {"val": {"level.ratio": 1.11}}),
    ("scale factor at its bound", (), {"val": {"scale.0": 1.48}}, {"val": {"scale.0": 1.49}}),
    ("scale factor at its bound", (), {"val": {"scale.1": 0.72}}, {"val": {"scale.1": 0.705}}),
    ("silent blend", (), {"val": {"blend.rms": 1.1e-6}}, {"val": {"blend.rms": 0.9e-6}}),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BORDERS)))
def test_a_threshold_from_both_sides(case):
    name, overrides, well, ill = BORDERS[case]
    (rule,) = [rule for rule in doctor.RULES if rule.name == name]
    assert pronounce(rule, made_up(overrides, **well)).state == "well"
    found = pronounce(rule, made_up(overrides, **ill))
    assert found.state == "ill"
    assert plain(*overrides, *found.settings) != plain(*overrides)


def test_every_rule_has_its_border_tested():
    assert {border[0] for border in BORDERS} == {rule.name for rule in doctor.RULES}


def found_by(name: str, record: Record) -> Verdict:
    (rule,) = [rule for rule in doctor.RULES if rule.name == name]
    return pronounce(rule, record)


def test_a_rule_is_not_checked_without_its_figures_or_before_its_time():
    assert all(pronounce(rule, made_up()).state != "ill" for rule in doctor.RULES)
    empty = found_by("level", made_up())
    assert (empty.state, empty.found) == ("not checked", "the log has no level.ratio")
    early = Record(toy(), {}, {"separation": Curve((399,), (0.0,))})
    assert "after 99 steps it is too early" in found_by("static masks: constant", early).found
    young = made_up(COMPONENTS, clips=600, val=EVEN | {"component.decided": 0.0})
    assert "after 13.3 epochs it is too early; wait for 15" in found_by("selector", young).found
    alike = made_up(val=SIDES | {"similarity.sources": 0.95, "similarity.groove": 0.99})
    assert "alike" in found_by("copying one source", alike).found
    unity = made_up(("data.pairing=unity",), val=SIDES | {"similarity.groove": 0.99})
    assert "unity pairs ask for a copy" in found_by("copying one source", unity).found
    by_choice = made_up(("agent={name: fixed}",), val=MASKS | {"separation": 0.0})
    assert "what the recipe says" in found_by("static masks: constant", by_choice).found


def test_the_remedy_takes_the_recipes_own_weights_into_account():
    copied = {"val": SIDES | {"similarity.groove": 0.95}}
    assert "weights.novelty=0.3" in found_by("copying one source", made_up(**copied)).settings
    weighted = made_up(("weights.novelty=0.4", "weights.latent.groove=0.9"), **copied)
    assert found_by("copying one source", weighted).settings == ("weights.novelty=0.8", "weights.latent.harmony=0.9")
    off = {"val": {"balance.groove": 0.7, "balance.harmony": 0.3}}
    for has, wanted in ((0.0, "5"), (5.0, "10"), (15.0, "20")):
        record = made_up((f"weights.mask.balance={has}",), **off)
        assert found_by("mask means", record).settings == (f"weights.mask.balance={wanted}",)
    slow = made_up(("training.learning_rate=1e-7",), train=losses([1.0] * 16))
    assert found_by("plateau", slow).settings == ("training.learning_rate=0.0001",)
    done = made_up(("training.learning_rate=9e-4",), train=losses(falling(1.0)))
    assert found_by("plateau", done).settings == ("training.learning_rate=0.0003",)


def test_the_loss_that_is_looked_at_has_neither_the_discriminators_part_nor_the_targets():
    log = {**losses(falling(0.9)), "gan": falling(50.0), "loss": falling(70.0)}
    assert made_up(GAN, train=log).loss("train").values == pytest.approx(falling(0.9))
    assert found_by("plateau", made_up(GAN, train=log)).state == "well"


def test_one_value_that_is_no_number_is_named_with_its_pair_and_blinds_no_other_rule():
    values = falling(0.9)
    values[5] = float("nan")
    record = made_up(train=losses(values) | {"grad_norm": [1.0] * 15 + [float("nan")]})
    bad = found_by("numbers that are not finite", record)
    assert "train/latent.groove at pair 3000" in bad.found and "train/grad_norm at pair 8000" in bad.found
    assert found_by("plateau", record).state == found_by("exploding gradients", record).state == "well"


# Reading


def write(run: Path, log: str | None, recipe: str = "name: mine\nweights: {latent.groove: 1}\n") -> str:
    run.mkdir()
    (run / "recipe.yaml").write_text(recipe)
    if log is not None:
        (run / "log.jsonl").write_text(log)
    return str(run)


LINE = '{"seen": 8, "split": "val", "level.ratio": 1.0, "note": "x", "flag": true}\n'


def test_a_log_that_is_being_written_is_read_up_to_its_last_whole_line(tmp_path):
    run = write(tmp_path / "run", LINE + '{"seen": 16, "split": "val", "level.rat')
    assert records.read(run).val == {"level.ratio": Curve((8,), (1.0,))}
    whole = write(tmp_path / "whole", LINE + LINE.replace("8", "16").strip())
    assert records.read(whole).val["level.ratio"].seen == (8, 16)


def test_nan_in_a_log_is_read_and_reported(tmp_path):
    run = write(tmp_path / "run", LINE + LINE.replace("1.0", "NaN"))
    bad = verdict(doctor.examine(run), "numbers that are not finite")
    assert bad.state == "ill" and "val/level.ratio at pair 8" in bad.found


@pytest.mark.parametrize(
    ("log", "told"),
    [(LINE + "{broken\n" + LINE, "line 2 is no line"), ("[1]\n" + LINE, "line 1"), ('{"seen": 1}\n' + LINE, "line 1")],
)
def test_a_log_that_is_damaged_in_its_middle_is_refused_by_the_line(tmp_path, log, told):
    with pytest.raises(BadInput, match=told):
        doctor.examine(write(tmp_path / "run", log))


# The command


def test_the_command_tells_an_ill_run_what_to_do(clinic, tmp_path, capsys):
    clinic("held back")
    assert main(["doctor", str(clinic.folder / "held back")]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    lines = out.splitlines()
    assert lines[0].endswith("held back: recipe toy, 16 of 16 pairs")
    at = next(i for i, line in enumerate(lines) if line.startswith("* scale factor at its bound: scale.0 is 1.05, at"))
    words = shlex.split(lines[at + 1])
    assert words[words.index("-s") + 1] == "cascade.scale_high=1.575"
    assert "  discriminator winning: this run has no discriminator (weights.gan is 0)" in lines
    assert "recipe.yaml" in lines[-1]


def test_the_command_tells_of_a_number_that_ended_a_run_before_it_was_logged(clinic, capsys):
    clinic("diverged")
    assert main(["doctor", str(clinic.folder / "diverged")]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("* numbers that are not")]
    assert line.startswith("* numbers that are not finite: it ended the run: pair 2: loss term ")
    assert line.endswith("the run stands at its start, with no checkpoint yet")


def test_the_command_tells_of_a_number_that_ended_a_run_in_its_first_step(tmp_path, capsys):
    run = write(tmp_path / "run", "")
    (tmp_path / "run/failed.json").write_text('{"pair": 0, "told": "pair 0: a gradient"}')
    assert main(["doctor", run]) == 0
    assert "* numbers that are not finite: it ended the run: pair 0: a gradient\n" in capsys.readouterr().out


def test_the_command_tells_a_healthy_run_what_was_checked_and_draws_it(clinic, tmp_path, capsys):
    clinic("healthy")
    picture = tmp_path / "curves.png"
    assert main(["doctor", str(clinic.folder / "healthy"), "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "healthy: 17 checks found nothing wrong" in out and "\n* " not in out
    assert "  static masks: constant: separation 0." in out
    assert out.endswith(f"picture: {picture}\n")
    pixels = matplotlib.image.imread(picture)
    assert pixels.shape[0] > 500 and pixels.shape[1] > 1000 and pixels.std() > 0.05
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_a_run_without_a_line_has_nothing_to_read_yet(tmp_path, capsys):
    run = write(tmp_path / "run", "")
    assert main(["doctor", run, "--picture", str(tmp_path / "out.png")]) == 0
    assert "nothing to read yet" in capsys.readouterr().out
    fresh = Path(write(tmp_path / "fresh", None))
    (fresh / "data.json").write_text(json.dumps({"clips": 6}))
    assert main(["doctor", str(fresh)]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere: is not a run"),
        (["model"], "model: is not a run"),
        (["garbled"], "unknown"),
        (["run", "--picture", "out.jpg"], "out.jpg: a picture is written as .png"),
        (["run", "--picture", "gone/out.png"], "there is no directory"),
        (["run", "--picture", "folder.png"], "folder.png: is a directory"),
    ],
)
def test_what_is_no_run_or_no_picture_gets_one_line_and_status_2(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run", LINE)
    write(tmp_path / "model", None)
    write(tmp_path / "garbled", LINE, "name: mine\nunknown: 3\n")
    (tmp_path / "folder.png").mkdir()
    assert main(["doctor", *words]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and told in error


def test_what_is_kept_beside_a_discriminator_of_patches_is_not_called_the_best_and_a_flow_has_no_dropout():
    logs = {"train": losses(falling(0.9)), "val": losses([2, 1, 1, 1.06])}
    for split in logs.values():
        split["gan"] = [0.0] * len(split["latent.groove"])
    told = found_by("overfitting", made_up((*GAN, "adversary.hears=patches", "composer=flow"), **logs))
    assert told.state == "ill" and "newest one" in told.advice and "dropout" not in str(told)
    usual = found_by("overfitting", made_up((*GAN,), **logs))
    assert "best one: stop" in usual.advice and "cascade.dropout" in str(usual.settings)
