"""Reports: what is known of a normal mean, JSON there and back, gates, and the tables of the terminal and README."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import rich.console

import benchmark_reports
from powermuse.benchmark import gates, results, tables
from powermuse.benchmark.gates import Bar
from powermuse.benchmark.intervals import Interval, bootstrap_interval
from powermuse.benchmark.results import ALL, OTHER, RETOLD, SAME, TRUTH
from powermuse.types import BadInput

MODEL = "muse <4 layers>"


def each(count: int) -> list[tuple[str, ...]]:
    return [(str(k),) for k in range(count)]


def test_the_interval_of_a_normal_mean_is_the_textbooks():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = bootstrap_interval(values.tolist(), each(400))
    half_width = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.mean == pytest.approx(half_width, rel=0.08)
    assert found.mean - found.low == pytest.approx(half_width, rel=0.08)


def test_95_of_100_intervals_hold_the_true_mean():
    random = np.random.default_rng(1)
    found = [bootstrap_interval(random.normal(0.0, 1.0, 60).tolist(), each(60)) for _ in range(400)]
    held = sum(i.low <= 0.0 <= i.high for i in found)
    assert 0.91 * 400 <= held <= 0.98 * 400  # 94 % expected at n = 60; four standard errors either side


def test_cases_of_one_triplet_count_as_one():
    values = np.random.default_rng(2).normal(0.0, 1.0, 50).tolist()
    once = bootstrap_interval(values, each(50))
    fourfold = bootstrap_interval(values * 4, each(50) * 4)
    assert (fourfold.low, fourfold.high) == pytest.approx((once.low, once.high))
    assert fourfold.cases == 200


def test_a_triplet_weighs_as_many_cases_as_it_has():
    found = bootstrap_interval([1.0] * 7, [("a",), *[("b",)] * 4, *[("c",)] * 2])
    assert (found.low, found.mean, found.high) == (1.0, 1.0, 1.0)


def test_missing_values_are_left_out_and_counted_and_one_triplet_has_no_interval():
    assert bootstrap_interval([1.0, None, 3.0], each(3)).mean == 2.0
    assert bootstrap_interval([1.0, None, 3.0], each(3)).missing == 1
    assert bootstrap_interval([None, None], each(2)) == Interval(None, None, None, 0, 2)
    assert bootstrap_interval([1.0, 3.0], [("a",), ("a",)]) == Interval(2.0, None, None, 2, 0)
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval([1.0, float("nan")], each(2))


@pytest.mark.parametrize(("grooves", "harmonies", "least"), [(10, 10, 0.9), (1, 12, 0.85), (12, 12, 0.9)])
def test_pairs_that_share_a_clip_are_not_taken_for_independent(grooves, harmonies, least):
    """Every groove with every harmony: by the pair alone 39 of 100 intervals held the mean of a grid of ten by ten."""
    random, held = np.random.default_rng(4), 0
    for _ in range(200):
        effects = random.normal(size=(grooves, 1)) * (grooves > 1), random.normal(size=(1, harmonies))
        values = (sum(effects) + random.normal(size=(grooves, harmonies))).ravel().tolist()
        found = bootstrap_interval(values, [(f"g{g}", f"h{h}") for g in range(grooves) for h in range(harmonies)])
        held += found.low <= 0.0 <= found.high
    assert held >= least * 200


def test_pairs_that_share_no_clip_are_drawn_as_pairs():
    values = np.random.default_rng(5).normal(size=30).tolist()
    pairs = [(f"g{k}", f"h{k}") for k in range(30)]
    assert bootstrap_interval(values, pairs) == bootstrap_interval(values, each(30))
    assert bootstrap_interval(values, [("g", f"h{k}") for k in range(30)]) == bootstrap_interval(values, each(30))


def test_what_is_hard_for_both_counts_in_no_difference(tmp_path):
    """Of two systems that a triplet's difficulty moves alike the intervals overlap and the difference is sure."""
    random = np.random.default_rng(6)
    hard = random.normal(size=40)
    made = benchmark_reports.report(triplets=40)
    values = {s.name: {c.name: {} for c in made.cases} for s in made.systems}
    for case, level in zip(made.cases, hard, strict=True):
        values[MODEL][case.name] = {"chords": level + 0.2 + 0.05 * random.normal()}
        values[TRUTH][case.name] = {"chords": level}
    report = replace(made, values=values)
    one, other = (report.means[ALL][name]["chords"] for name in (MODEL, TRUTH))
    assert one.low < other.high
    found = report.differences[ALL][MODEL][TRUTH]["chords"]
    assert 0.15 < found.low < found.mean < found.high < 0.25
    told = json.loads(results.to_json(report))["differences"][ALL][MODEL][TRUTH]["chords"]
    assert told["mean"] == pytest.approx(found.mean)


def test_a_seed_decides_the_interval():
    values = np.random.default_rng(3).normal(size=20).tolist()
    assert bootstrap_interval(values, each(20), 1) == bootstrap_interval(values, each(20), 1)
    assert bootstrap_interval(values, each(20), 1) != bootstrap_interval(values, each(20), 2)


def test_json_there_and_back_is_the_same_report_and_the_same_bytes(tmp_path):
    made = benchmark_reports.with_sounds(tmp_path, seconds=0.5, examples=1)
    path = tmp_path / "report.json"
    results.write(made, path)
    assert results.read(path) == made
    assert results.to_json(results.read(path)) == path.read_text()


def test_the_order_of_making_does_not_show_in_the_json():
    made = benchmark_reports.report()
    turned = {
        s: {c: dict(reversed(one.items())) for c, one in reversed(by.items())}
        for s, by in reversed(made.values.items())
    }
    provenance = dict(reversed(made.provenance.items()))
    assert results.to_json(replace(made, values=turned, provenance=provenance)) == results.to_json(made)


def test_the_json_tells_the_means():
    told = json.loads(results.to_json(benchmark_reports.report()))
    mean = told["means"][SAME]["plain mix"]["copy excess"]
    values = [told["values"]["plain mix"][f"case {k}"]["copy excess"] for k in range(1, 20, 2)]
    assert mean["mean"] == pytest.approx(np.mean(values))
    assert mean["cases"] == 10


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}', '{"format": 1, "means": {}, "systems": [{}]}'])
def test_what_is_no_report_is_refused(text, tmp_path):
    with pytest.raises(BadInput, match="not a report"):
        results.from_json(text)
    with pytest.raises(BadInput, match="No such file"):
        results.read(tmp_path / "missing.json")


def test_names_that_are_not_introduced_are_refused():
    made = benchmark_reports.report()
    for change, stranger in (
        ({"values": {"who": {}}}, "system is called who"),
        ({"values": {TRUTH: {"case 99": {}}}}, "case is called case 99"),
        ({"values": {TRUTH: {"case 1": {"taste": 1.0}}}}, "metric is called taste"),
        ({"cases": (results.Case("x", "x", ("night",)),), "values": {}}, "group is called night"),
    ):
        with pytest.raises(ValueError, match=stranger):
            replace(made, **change)
    with pytest.raises(ValueError, match="twice"):
        replace(made, systems=(*made.systems, made.systems[0]))


def test_a_value_that_is_not_finite_is_not_written():
    made = benchmark_reports.report()
    made.values[TRUTH]["case 1"]["chords"] = float("inf")
    with pytest.raises(ValueError, match="finite"):
        results.to_json(made)


@pytest.mark.parametrize(
    ("low", "high", "passing", "failing"),
    [(0.5, None, 0.5, 0.49), (None, 0.5, 0.5, 0.51), (0.7, 0.9, 0.9, 0.91), (0.7, 0.9, 0.7, 0.69)],
)
def test_a_bar_passes_to_its_edges(low, high, passing, failing):
    bar = Bar("g", "m", low, high, "as told")
    assert bar.passes(passing) and not bar.passes(failing)


def test_a_figure_of_a_whole_set_stands_in_the_place_of_a_mean_and_comes_back():
    made = benchmark_reports.report()
    whole = Interval(7.5, 7.0, 8.1, 20, 0)
    told = replace(made, sets={ALL: {TRUTH: {"chords": whole}}})
    assert told.means[ALL][TRUTH]["chords"] == whole != made.means[ALL][TRUTH]["chords"]
    assert told.means[SAME][TRUTH] == made.means[SAME][TRUTH]
    assert results.from_json(results.to_json(told)).means == told.means
    with pytest.raises(ValueError, match="system is called who"):
        replace(made, sets={ALL: {"who": {"chords": whole}}})


def test_a_gate_that_a_second_right_answer_fails_is_ill_posed_and_counts_for_nobody():
    made = benchmark_reports.report()
    near = made.gate(ALL, "mel distance")
    assert near.passed[TRUTH]
    assert not near.passed[RETOLD]
    assert RETOLD in near.ill_posed
    assert not made.gate(ALL, "chords").ill_posed
    assert gates.passes_all(made, TRUTH) == (4, 4)
    assert gates.passes_all(made, MODEL) == (3, 4)


def test_rivals_that_pass_with_their_whole_interval_are_named():
    easy = benchmark_reports.report().gate(ALL, "copy excess").easy
    assert "noise" in easy
    assert MODEL not in easy
    assert "plain mix" not in easy


def test_a_system_without_a_value_neither_passes_nor_fails():
    made = benchmark_reports.report()
    values = {**made.values, "noise": {}}
    judged = gates.judge(replace(made, values=values, gates=()), benchmark_reports.bars(made, ALL)[0])
    assert judged.passed["noise"] is None


def test_groups_without_a_value_are_not_shown():
    assert [group.name for group in benchmark_reports.report().filled_groups] == [ALL, SAME, OTHER]


def test_the_terminal_table_holds_every_system_its_marks_and_its_reader():
    console = rich.console.Console(width=200, record=True, file=io.StringIO())
    console.print(tables.table(benchmark_reports.report()))
    text = console.export_text()
    assert all(system.name in text for system in benchmark_reports.SYSTEMS)
    row = next(line for line in text.splitlines() if "plain mix" in line)
    assert [cell.strip()[-1] for cell in row.strip(" │").split("│")[1:]] == ["✓", "✗", "✗", "✗", "?"]
    assert "chords read by template reader" in text


def test_the_readmes_table_is_markdown_with_the_figures_of_its_group():
    made = benchmark_reports.report()
    lines = tables.markdown(made, OTHER).splitlines()
    cells = [line.count("|") for line in lines[: len(made.systems) + 2]]
    assert set(cells) == {len(made.metrics) + 2}
    mean = made.means[OTHER]["noise"]["mel distance"]
    assert f"| {mean.mean:.1f} [{mean.low:.1f}, {mean.high:.1f}] ?" in "\n".join(lines)
    assert "muse &lt;4 layers>" in lines[4]
    assert "10 cases of 10 triplets" in lines[-1]
    assert "; 19 of some system: chords;" in tables.caption(made, ALL), "that of noise could not be read once"


def test_no_figure_is_a_negative_zero():
    metric = benchmark_reports.METRICS[0]
    assert tables.number(-0.001, metric) == "0.00"
    assert tables.figure(Interval(None, None, None, 0, 3), metric) == "–"
