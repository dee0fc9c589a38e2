"""The swap benchmark on two triplets that are really rendered, with five of its systems."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import sounds
from data.render import small
from powermuse import weights
from powermuse.benchmark import bars, cases, evaluation, judging, leakage, results, swap, systems
from powermuse.benchmark.cases import OTHER_A, OTHER_B, SAME_CLIP, SILENT
from powermuse.benchmark.results import ALL, RETOLD, TRUTH, Report
from powermuse.benchmark.swap import Plan, Trial
from powermuse.benchmark.systems import THROUGH_CODEC, System
from powermuse.cli import main
from powermuse.data.render import fonts, store
from powermuse.data.render.score import Note, Part, TripletScore
from powermuse.types import BadInput

ROWS = (TRUTH, RETOLD, THROUGH_CODEC, "plain mix", "unrelated music")
EXAMPLES = Path(__file__).parents[2] / "examples"


def compose(seed: int, split: str, index: int, kinds: tuple[str, ...]) -> TripletScore:
    """As the small ones, but that harmonies are held and that a triplet says whether its tempi are one."""
    made = small.compose(seed, split, 3 * index, kinds)
    parts = [p._replace(notes=tuple(n._replace(end_s=n.start_s + 3.9) for n in p.notes)) for p in made.harmony.parts]
    origin = {**made.origin, "same_tempo": "true" if index % 2 else "false"}
    return made._replace(harmony=made.harmony._replace(parts=tuple(parts)), origin=origin)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fonts, "FONTS", small.one_font())
        out = tmp_path_factory.mktemp("rendered") / "bench"
        store.render(small.plan(out, 0, 2, split="test", compose=compose))
    return out


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One special case of each kind, five systems, no embedding."""
    every = {system.name: system for system in systems.rivals()}
    monkeypatch.setattr(cases, "SPECIAL", dict.fromkeys(cases.SPECIAL, 1))
    monkeypatch.setattr(systems, "rivals", lambda: [every[name] for name in ROWS])
    monkeypatch.setattr(judging, "can_embed", lambda: False)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def plan(rendered: Path, cache: Path, **changes: object) -> Plan:
    return Plan(str(rendered), cache, workers=1, **{"heard": 1, **changes})  # type: ignore[arg-type]


def values(trials: list[Trial], system: str, group: str) -> dict[str, float | None]:
    return next(t.values for t in trials if t.system == system and t.group == group)


@small.needs_font
def test_the_right_answers_score_as_right_and_a_mix_as_a_mix(rendered, cache):
    trials = swap.run(plan(rendered, cache))
    for group in (cases.SAME_TEMPO, cases.OTHER_TEMPO):
        truth, again, codec, mix, other = (values(trials, name, group) for name in ROWS)
        assert truth["mel.truth"] == 0.0 and truth["chords"] > 0.9
        assert again["mel.truth"] > codec["mel.truth"] > 0.0, "another orchestration is not held against itself"
        assert mix["mel.truth"] > codec["mel.truth"]
        assert mix["copy"] > 0.8 > truth["copy"] and mix["copy.excess"] > 0.3 > abs(truth["copy.excess"])
        assert other["chords"] < 0.5 and abs(other["onset_env.groove"]) < 0.3
        assert mix["level.ratio"] == pytest.approx(1.0, abs=0.05)


@small.needs_font
def test_special_cases_show_what_they_are_made_to_show(rendered, cache):
    trials = swap.run(plan(rendered, cache))
    same = values(trials, "plain mix", SAME_CLIP)
    assert same["timbre.harmony"] == pytest.approx(1.0, abs=0.01) and same["chords"] > 0.7
    assert all(v is None or np.isfinite(v) for t in trials if t.group == SILENT for v in t.values.values())
    kept = values(trials, "plain mix", cases.OTHER_TEMPO)
    other_a, other_b = (values(trials, "plain mix", group) for group in (OTHER_A, OTHER_B))
    assert other_a["onset_env.groove"] < 0.3 < kept["onset_env.groove"] and other_a["chords"] > 0.5
    assert other_b["chords"] < 0.3 < kept["chords"] and other_b["onset_env.groove"] > 0.3
    assert {t.system for t in trials if t.group == SAME_CLIP} == {"plain mix", "unrelated music"}


@small.needs_font
def test_what_is_cached_is_not_computed_again_and_a_new_system_is_all_that_is(rendered, cache, monkeypatch):
    before = swap.run(plan(rendered, cache))
    scored: list[str] = []
    real = swap.score.evaluate
    monkeypatch.setattr(swap.score, "evaluate", lambda *given: scored.append("one") or real(*given))
    assert [t.values for t in swap.run(plan(rendered, cache))] == [t.values for t in before]
    assert scored == []
    rows = systems.rivals()
    quiet = System("quieter mix", "model", "", "1", lambda case: 0.5 * rows[3].make(case))
    monkeypatch.setattr(systems, "rivals", lambda: [*rows, quiet])
    assert {t.system for t in swap.run(plan(rendered, cache))} == {*ROWS, "quieter mix"}
    assert len(scored) == 6
    louder = replace(quiet, identity="2")
    monkeypatch.setattr(systems, "rivals", lambda: [*rows, louder])
    monkeypatch.setattr(cases, "SPECIAL", {})
    swap.run(plan(rendered, cache))
    assert len(scored) == 8, "another identity, another blend"


@small.needs_font
def test_a_trial_that_was_cut_off_is_done_again(rendered, cache):
    before = swap.run(plan(rendered, cache))
    for number, path in enumerate(sorted(cache.glob("*/*.json"))):
        if number % 7 == 0 and path.read_text() != "null":
            path.unlink()
    assert [t.values for t in swap.run(plan(rendered, cache))] == [t.values for t in before]


@small.needs_font
def test_the_command_writes_the_same_report_each_time_and_a_page_that_stands_alone(rendered, cache, tmp_path, capsys):
    swap.run(plan(rendered, cache))
    shutil.copytree(cache, tmp_path / "two/cache")  # what the first time computes anew
    told = []
    for folder in ("one", "two"):
        out = tmp_path / folder
        words = ["evaluate", "--benchmark", str(rendered), "-o", str(out), "--examples", "1", "--workers", "1"]
        assert main(words) == 0
        told.append((out / "report.json").read_bytes())
        assert "plain mix" in (out / "table.md").read_text()
    assert told[0] == told[1]
    assert "report.html" in capsys.readouterr().out
    page = (tmp_path / "one/report.html").read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    report = results.from_json(told[0].decode())
    assert report.means[ALL][TRUTH]["mel.truth"].mean == 0.0
    assert {gate.name for gate in report.gates} >= {"rhythm of A", "harmony of B", "not copied", "near a truth"}
    assert report.gate(ALL, "copy.excess").passed["plain mix"] is False
    assert set(report.examples[0].sounds) == {"A", "B", *ROWS}
    assert all((tmp_path / "one" / file).is_file() for file in report.examples[0].sounds.values())


@small.needs_font
def test_a_trained_model_stands_in_the_table_with_its_leakage_card(rendered, cache, monkeypatch):
    monkeypatch.setattr(cases, "SPECIAL", {OTHER_A: 1, OTHER_B: 1})
    made = evaluation.evaluate(plan(rendered, cache, models=("starter",)), cache / "report")
    assert made.means[ALL]["starter"]["copy"].mean > 0.5, "it mixes"
    (card,) = made.leakage
    falls = {(c.changed, c.metric): c for c in card.changes}
    assert falls["A", "onset_env.groove"].wanted == "falls" and falls["A", "chords"].wanted == "stays"
    assert falls["B", "chords"].after < falls["B", "chords"].before


def of(**means: dict[str, float]) -> Report:
    """A report of one case with these values by system and metric."""
    metrics = sorted({metric for by in means.values() for metric in by})
    kinds = {"truth": "reference", "retold": "reference", "codec": "reference"}
    names = {"truth": TRUTH, "retold": RETOLD, "codec": THROUGH_CODEC}
    return Report(
        "made up",
        tuple(results.System(names.get(s, s), kinds.get(s, "baseline")) for s in means),
        tuple(results.Metric(m, "", "up", "") for m in metrics),
        tuple(results.Case(str(k), str(k), (ALL,)) for k in range(2)),
        {names.get(s, s): {str(k): dict(by) for k in range(2)} for s, by in means.items()},
    )


def test_bars_are_ranges_about_what_right_answers_reach():
    made = of(
        truth={
            "onset_env.groove": 0.8,
            "chords": 0.7,
            "onset_env.harmony": 0.2,
            "mel.truth": 0.0,
            "flux": 0.1,
            "copy.excess": 0.0,
        },
        retold={"mel.truth": 0.4},
        codec={"frechet": 6.0},
        rival={"mel.truth": 0.8},
        worse={"mel.truth": 1.4},
    )
    found = {bar.metric: (bar.low, bar.high) for bar in bars.bars(made)}
    assert found["onset_env.groove"] == (pytest.approx(0.76), None)
    assert found["chords"] == (pytest.approx(0.63), None)
    assert found["copy.excess"] == (None, 0.10)
    assert found["onset_env.harmony"] == (pytest.approx(0.1), pytest.approx(0.3))
    assert found["mel.truth"] == (None, pytest.approx(0.6))
    assert found["frechet"] == (None, pytest.approx(9.0))
    assert found["flux"] == (pytest.approx(0.08), pytest.approx(0.12))
    assert "judge.notes.truth" not in found
    assert [bar.metric for bar in bars.bars(of(rival={"onset_env.groove": 0.5}))] == []


def test_the_chords_of_the_slow_judge_count_where_it_was_asked():
    made = of(truth={"chords": 0.7, "judge.chords": 0.9}, retold={"judge.notes.truth": 0.5})
    found = {bar.metric: bar.low for bar in bars.bars(made)}
    assert found["judge.chords"] == pytest.approx(0.81) and "chords" not in found
    assert found["judge.notes.truth"] == pytest.approx(0.4)


def trial(system: str, case: str, group: str, rhythm: float, chords: float) -> Trial:
    return Trial(system, case, group, {"onset_env.groove": rhythm, "chords": chords}, None, None)


def test_a_leakage_card_tells_a_model_that_listens_to_the_wrong_clip():
    def found(name: str, after_a: tuple[float, float], after_b: tuple[float, float]) -> list[Trial]:
        return [
            trial(name, "00000", cases.SAME_TEMPO, 0.8, 0.7),
            trial(name, f"{OTHER_A} 00000", OTHER_A, *after_a),
            trial(name, f"{OTHER_B} 00000", OTHER_B, *after_b),
        ]

    rows = [System(name, "model", "", "", lambda case: None) for name in ("honest", "deaf")]
    truths = found(TRUTH, (0.0, 0.05), (0.0, 0.05))
    trials = {
        TRUTH: truths,
        "honest": found("honest", (0.04, 0.68), (0.78, 0.09)),
        "deaf": found("deaf", (0.5, 0.3), (0.8, 0.7)),
    }
    honest, deaf = leakage.cards(rows, trials)
    assert [c.passed for c in honest.changes] == [True, True, True, True]
    assert [c.passed for c in deaf.changes] == [False, False, False, True]
    assert honest.changes[0].truth_after == 0.0 and honest.changes[1].truth_after == 0.7


def test_a_system_that_has_nothing_of_the_clips_passes_no_leakage_card():
    def found(name: str, *of: tuple[float, float]) -> list[Trial]:
        names = (("00000", cases.SAME_TEMPO), (f"{OTHER_A} 00000", OTHER_A), (f"{OTHER_B} 00000", OTHER_B))
        return [trial(name, *label, *values) for label, values in zip(names, of, strict=True)]

    rows = [System(name, "model", "", "", lambda case: None) for name in ("noise", "B itself")]
    trials = {
        TRUTH: found(TRUTH, (0.65, 0.94), (0.0, 0.94), (0.65, 0.06)),
        "noise": found("noise", (0.0, 0.02), (0.0, 0.02), (0.0, 0.02)),
        "B itself": found("B itself", (0.05, 0.95), (0.05, 0.95), (0.03, 0.06)),
    }
    noise, itself = leakage.cards(rows, trials)
    assert [c.passed for c in noise.changes] == [False] * 4
    assert [c.passed for c in itself.changes] == [False, True, True, False]


def test_a_triplet_passes_where_all_four_bars_hold_against_its_own_truth():
    truth = {"onset_env.groove": 0.6, "chords": 0.8, "onset_env.harmony": 0.1}
    good = {"onset_env.groove": 0.58, "chords": 0.73, "onset_env.harmony": 0.19, "copy.excess": 0.1}
    assert evaluation._passes(good, truth) == 1.0
    for name, bad in (("onset_env.groove", 0.5), ("chords", 0.7), ("onset_env.harmony", 0.25), ("copy.excess", 0.11)):
        assert evaluation._passes({**good, name: bad}, truth) == 0.0
        assert evaluation._passes({**good, name: None}, truth) is None


def test_real_pairs_come_from_a_list_that_anyone_can_write(tmp_path, cache):
    pairs = tmp_path / "pairs.tsv"
    files = [str(EXAMPLES / f"{name}.ogg") for name in ("groove", "harmony")]
    pairs.write_text("# groove and harmony\n" + "\t".join(files) + "\n" + "\t".join(reversed(files)) + "\n")
    rows = systems.rivals()
    trials = swap.run(Plan(str(pairs), cache / "real", workers=1))
    assert {t.group for t in trials} == {cases.REAL} and {t.system for t in trials} == {"plain mix", "unrelated music"}
    mix, other = (values(trials, name, cases.REAL) for name in ("plain mix", "unrelated music"))
    assert mix["copy"] > 0.8 and mix["chords"] > other["chords"]
    assert all(json.loads(path.read_text()) is None for path in (cache / "real").glob(f"{rows[0].key}-*/*.json"))


def test_unrelated_music_is_neither_clip_of_a_pair(tmp_path):
    for seed, name in enumerate(("g1", "g2", "h1", "h2")):
        sounds.write(tmp_path / f"{name}.wav", sounds.chords(1.0, seed))
    grid = tmp_path / "grid.tsv"
    grid.write_text("".join(f"{g}.wav\t{h}.wav\n" for g in ("g1", "g2") for h in ("h1", "h2")))
    pairs = cases.RealPairs(grid)
    assert [pairs._other(k).path.stem for k in range(4)] == ["h2", "h1", "h2", "h1"]
    assert len(cases.open_cases(str(grid), 2)) == 2
    with pytest.raises(BadInput, match="has no splits"):
        cases.open_cases(str(grid), None, "val")
    grid.write_text("g1.wav\th1.wav\ng2.wav\th1.wav\n")
    with pytest.raises(BadInput, match="every pair has one harmony"):
        cases.RealPairs(grid)


def test_drums_that_are_struck_together_are_one_onset():
    times_s = (0.5, 0.504, 0.512, 0.75, 0.79)
    notes = tuple(Note(at_s, at_s + 0.1, 36 + i, 100) for i, at_s in enumerate(times_s))
    drums = Part("drums", 0, notes)
    assert cases.drum_onsets(SimpleNamespace(parts=(drums,))).tolist() == [0.5, 0.75, 0.79]


def test_an_answer_is_not_held_against_its_own_copy():
    prepared = SimpleNamespace(
        truths=("t0", "t1", "t2"), truth_copies=("c0", "c1", "c2"), _replace=lambda **changed: changed
    )
    assert cases.without(prepared, 0, None) == {"truths": ("t0", "t1", "t2"), "truth_copies": ("c1", "c2")}
    assert cases.without(prepared, 1, 1) == {"truths": ("t0", "t2"), "truth_copies": ("c0", "c2")}
    told = {row.name: (row.answer, row.truth) for row in systems.rivals() if row.answer is not None}
    assert told == {TRUTH: (0, None), RETOLD: (1, 1)}


@pytest.mark.parametrize("setting", ["inversion_steps", "phase_steps"])
def test_another_recipe_with_the_same_weights_is_another_system(tmp_path, setting):
    shutil.copytree(weights.find_model("starter"), tmp_path / "starter")
    before = systems.of_model(str(tmp_path / "starter")).key
    told = (tmp_path / "starter/recipe.yaml").read_text()
    changed = told.replace("  name: mel\n  options: {}", f"  name: mel\n  options: {{{setting}: 2}}")
    assert changed != told
    (tmp_path / "starter/recipe.yaml").write_text(changed)
    assert systems.of_model(str(tmp_path / "starter")).key != before


@pytest.mark.parametrize(
    ("content", "told"),
    [("one.wav\n", "GROOVE<tab>HARMONY"), ("a.wav\tb.wav\n", "no such file"), ("", "0 pairs")],
)
def test_a_list_that_is_none_is_refused_with_its_line(tmp_path, capsys, content, told):
    (tmp_path / "pairs.tsv").write_text(content)
    assert main(["evaluate", "--benchmark", str(tmp_path / "pairs.tsv"), "-o", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err


def test_what_is_no_benchmark_is_refused_with_the_command_that_makes_one(tmp_path, capsys):
    assert main(["evaluate", "--benchmark", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "powermuse render -o" in capsys.readouterr().err
    assert main(["evaluate", "--benchmark", str(tmp_path), "-o", str(tmp_path / "out"), "--triplets", "1"]) == 2
    assert "--triplets at least 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@small.needs_font
def test_settings_can_be_chosen_on_another_split(rendered, tmp_path, capsys):
    words = ["evaluate", "--benchmark", str(rendered), "-o", str(tmp_path / "out"), "--split", "val"]
    assert main(words) == 2
    assert "the val split has 0 triplets" in capsys.readouterr().err
    both = Path(shutil.copytree(rendered, tmp_path / "both"))
    shutil.copytree(both / "test", both / "val")
    val, test = (plan(both, tmp_path, split=split).cases() for split in ("val", "test"))
    assert len(val) == len(test) and val.identity != test.identity, "what is kept of one is not taken for the other"


@small.needs_font
def test_two_models_of_one_name_are_refused_before_any_work(rendered, tmp_path, capsys):
    words = ["evaluate", "starter", "starter", "--benchmark", str(rendered), "-o", str(tmp_path / "out")]
    assert main(words) == 2
    assert "two systems of the table are called starter" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@small.needs_font
def test_an_embedding_that_could_not_be_had_before_is_made_when_it_can(rendered, cache, tmp_path, monkeypatch):
    references = systems.rivals()[:2]
    monkeypatch.setattr(systems, "rivals", lambda: references)
    swap.run(plan(rendered, cache))
    made = plan(rendered, Path(shutil.copytree(cache, tmp_path / "cache")))
    assert all(t.windows is None for t in swap.run(made))
    monkeypatch.setattr(judging, "can_embed", lambda: True)
    monkeypatch.setattr(judging, "embedding", lambda blend_N: np.ones((2, 3), np.float32))
    assert {t.group for t in swap.run(made) if t.windows is not None} == {cases.SAME_TEMPO, cases.OTHER_TEMPO}
