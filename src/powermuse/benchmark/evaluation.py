"""From trials to a report: values by case, set figures, gates, leakage cards, examples to hear."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from powermuse.benchmark import bars, cases, gates, judging, leakage, legend, results, swap, systems
from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.results import ALL, TRUTH, Example, Report, System
from powermuse.benchmark.swap import OnProgress, Plan, Trial
from powermuse.metrics import quality
from powermuse.metrics.score import Score


def evaluate(plan: Plan, out: Path, on_progress: OnProgress = lambda *_: None) -> Report:
    """Runs what is not cached yet and puts the report together. Raises BadInput."""
    trials = swap.run(plan, on_progress)
    rows = swap.rows(plan)
    found = swap.by_system(trials)
    kept = [row for row in rows if row.name in found]
    told = _values(found)
    report = Report(
        title=f"Swap benchmark: {Path(plan.benchmark).name}",
        systems=tuple(System(row.name, row.kind, row.description) for row in kept),
        metrics=tuple(m for m in legend.EVERY if m is legend.FRECHET or _is_told(m.name, told)),
        cases=_cases(trials, plan.cases()),
        values=told,
        sets={ALL: _frechet(found)},
        leakage=leakage.cards(kept, found),
        examples=_examples(plan, trials, out),
        provenance=_provenance(plan, kept),
        seed=plan.seed,
    )
    groups = [group.name for group in report.filled_groups if group.name in (ALL, *cases.COUNTED)]
    judged = (gates.judge(report, bar, group) for group in groups for bar in bars.bars(report, group))
    return replace(report, gates=tuple(judged))


def _values(found: dict[str, list[Trial]]) -> results.Values:
    """Every score by system and case, with whether the first four bars hold at once."""
    truths = {trial.case: trial.values for trial in found.get(TRUTH, [])}
    values: results.Values = {}
    for system, trials in found.items():
        values[system] = {}
        for trial in trials:
            known = {m.name: trial.values.get(m.name) for m in legend.EVERY if m.name in trial.values}
            if trial.group in cases.COUNTED and trial.case in truths:
                known[legend.PASSED.name] = _passes(trial.values, truths[trial.case])
            values[system][trial.case] = known
    return values


def _passes(blend: Score, truth: Score) -> float | None:
    """1 where the first four bars hold against the truth of the same triplet, else 0; None where one has no value."""
    excess = blend.get("copy.excess")
    rhythm, chords, leak = (_both(blend, truth, name) for name in ("onset_env.groove", "chords", "onset_env.harmony"))
    if excess is None or rhythm is None or chords is None or leak is None:
        return None
    held = (
        rhythm[0] >= bars.RHYTHM * rhythm[1],
        chords[0] >= bars.CHORDS * chords[1],
        excess <= bars.COPY,
        abs(leak[0] - leak[1]) <= bars.LEAK,
    )
    return float(all(held))


def _both(blend: Score, truth: Score, metric: str) -> tuple[float, float] | None:
    one, other = blend.get(metric), truth.get(metric)
    return None if one is None or other is None else (one, other)


def _is_told(metric: str, values: results.Values) -> bool:
    return any(metric in one for by_case in values.values() for one in by_case.values())


def _cases(trials: Sequence[Trial], benchmark: cases.Cases) -> tuple[results.Case, ...]:
    groups = {trial.case: trial.group for trial in trials}
    clips = {benchmark.label(number).name: benchmark.clips(number) for number in range(len(benchmark))}
    return tuple(
        results.Case(case, case, (ALL, group) if group in cases.COUNTED else (group,), clips[case])
        for case, group in groups.items()
    )


def _frechet(found: dict[str, list[Trial]]) -> dict[str, dict[str, Interval]]:
    """Of each system's blends to the truths, clip by clip the same triplets."""
    truths = {t.case: t.windows for t in found.get(TRUTH, []) if t.group in cases.COUNTED and t.windows is not None}
    told: dict[str, dict[str, Interval]] = {}
    for system, trials in found.items():
        blends = {t.case: t.windows for t in trials if t.case in truths and t.windows is not None}
        if len(blends) < 2:
            continue
        spread = quality.evaluate([truths[case] for case in blends], list(blends.values()))
        told[system] = {legend.FRECHET.name: Interval(*spread, len(blends), len(truths) - len(blends))}
    return told


def _examples(plan: Plan, trials: Sequence[Trial], out: Path) -> tuple[Example, ...]:
    """The cases whose blends were kept, their sounds copied beside the report."""
    sounds: dict[str, dict[str, str]] = {}
    groups = {}
    folder = out / "sounds"
    folder.mkdir(parents=True, exist_ok=True)
    for trial in trials:
        if trial.sound is None or trial.group not in cases.COUNTED:
            continue
        groups[trial.case] = trial.group
        name = f"{trial.sound.stem}.{trial.sound.parent.name}{trial.sound.suffix}"
        shutil.copyfile(trial.sound, folder / name)
        sounds.setdefault(trial.case, {})[trial.system] = f"sounds/{name}"
    sources = swap.sources_of(plan, list(sounds), folder)
    return tuple(
        Example(case, f"{case}: {groups[case]}", {**sources[case], **_in_front(TRUTH, heard)})
        for case, heard in sounds.items()
    )


def _in_front(first: str, sounds: dict[str, str]) -> dict[str, str]:
    """The sounds with one of them before the others."""
    return {name: sounds[name] for name in sorted(sounds, key=lambda name: name != first)}


def _provenance(plan: Plan, rows: Sequence[systems.System]) -> dict[str, str]:
    """What was evaluated, by what: equal files and packages, equal figures."""
    return {
        "benchmark": Path(plan.benchmark).name,
        **{f"benchmark.{key}": value for key, value in plan.cases().identity.items()},
        "split": "" if Path(plan.benchmark).is_file() else plan.split,
        "seed": str(plan.seed),
        "models": ", ".join(row.name for row in rows if row.kind == "model") or "none",
        **{f"model.{row.name}.{what}": digest for row in rows for what, digest in row.digests},
        **{f"judge.{package}": judging.version_of(package) for package in judging.asked(plan.judges)},
        "powermuse": version("powermuse"),
        "scores": str(swap.VERSION),
        "chords": legend.OUR_READER,
    }
