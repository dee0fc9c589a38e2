import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from powermuse.cli import main
from powermuse.training import checkpoint, listing
from powermuse.training.trainer import Progress, Trainer
from training.toys import toy

TARGETS = 'targets={overlap: "<= 10", balance.groove: "0.99 +- 0.001"}'


def lines(run: Path, split: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if line["split"] == split]


@pytest.fixture(scope="module")
def seen_while_running() -> list[listing.Listed]:
    return []


@pytest.fixture(scope="module")
def shelf(
    dataset: Path, tmp_path_factory: pytest.TempPathFactory, seen_while_running: list[listing.Listed]
) -> dict[str, Path]:
    """A folder of runs, real ones and what accidents leave of them."""
    folder = tmp_path_factory.mktemp("shelf")

    def stop(now: Progress) -> None:
        if now.seen == 24:
            seen_while_running.extend(listing.runs(str(folder / "deep/stopped")))
            signal.raise_signal(signal.SIGINT)

    Trainer(toy("training.pairs=56", TARGETS, "name=bound"), str(dataset), str(folder / "finished"), print).fit()
    Trainer(toy(), str(dataset), str(folder / "deep/stopped"), stop).fit()
    for name in ("killed", "no recipe", "bad recipe", "bad log", "no whole checkpoint", "one bad checkpoint"):
        shutil.copytree(folder / "deep/stopped", folder / name)
    with (folder / "killed/log.jsonl").open("a") as log:
        log.write(json.dumps({"seen": 36, "split": "train", "loss": 7.0}) + '\n{"seen": 48, "sp')
    (folder / "no recipe/recipe.yaml").unlink()
    (folder / "bad recipe/recipe.yaml").write_text("name: [unclosed")
    (folder / "bad log/log.jsonl").write_text('{"seen": 12, "split": "train", "loss": 1.0}\nwords\n')
    for name, kept in (("no whole checkpoint", 0), ("one bad checkpoint", 1)):
        for path in checkpoint.found(folder / name / "checkpoints")[kept:]:
            os.truncate(path, path.stat().st_size - 1)
    for age, name in enumerate(sorted(path.parent.name for path in folder.rglob("data.json"))):
        for path in (folder / name).rglob("*"):
            os.utime(path, (1e9 - 100 * age,) * 2)
    (folder / "music").mkdir()
    (folder / "music/recipe.yaml").write_text("name: a model, not a run")
    return {"": folder, **{run.name: folder / run.name for run in listing.runs(str(folder))}}


@pytest.fixture(scope="module")
def listed(shelf: dict[str, Path]) -> dict[str, listing.Listed]:
    return {run.name: run for run in listing.runs(str(shelf[""]))}


def test_every_run_is_listed_and_nothing_else(listed):
    accidents = {"killed", "no recipe", "bad recipe", "bad log", "no whole checkpoint", "one bad checkpoint"}
    assert listed.keys() == {"finished", "deep/stopped", *accidents}


def test_a_finished_run_tells_its_figures(shelf, listed):
    run, log = listed["finished"], shelf["finished"]
    best = min(lines(log, "val"), key=lambda line: line["loss"])
    assert (run.state, run.recipe, run.seen, run.pairs, run.trouble) == ("finished", "bound", 56, 56, "")
    assert (run.best, run.best_at) == (pytest.approx(best["loss"]), best["seen"])
    speeds = [line["clock.pairs_per_s"] for line in lines(log, "train") if "clock.pairs_per_s" in line]
    assert (run.loss, run.pairs_per_s) == (lines(log, "train")[-1]["loss"], speeds[-1])
    assert (run.targets_held, run.targets) == (2, 3)  # overlap and the upper side of the balance


def test_a_stopped_run_tells_where_it_goes_on(listed):
    run = listed["deep/stopped"]
    assert (run.state, run.seen, run.kept, run.pairs) == ("stopped", 24, 24, 80)
    assert run.targets_held is None


def test_a_run_is_running_while_its_process_writes(shelf, listed, seen_while_running):
    assert [run.state for run in seen_while_running] == ["running"]


def test_after_a_kill_the_log_is_ahead_of_the_checkpoint(listed):
    run = listed["killed"]
    assert (run.state, run.seen, run.kept, run.loss) == ("stopped", 36, 24, 7.0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no recipe", "recipe.yaml cannot be read (No such file"),
        ("bad recipe", "recipe.yaml cannot be read (while parsing"),
        ("bad log", "log.jsonl has a line that is none of a run's log"),
        ("no whole checkpoint", "checkpoints: not one of 2 is whole"),
    ],
)
def test_a_damaged_run_says_why_and_tells_the_rest(listed, name, reason):
    run = listed[name]
    assert run.state == "damaged" and run.trouble.startswith(reason)
    assert run.seen == 24


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(listed):
    run = listed["one bad checkpoint"]
    assert (run.state, run.kept, run.seen) == ("stopped", 20, 24)


def test_the_end_of_a_long_log_is_found_behind_many_validations(shelf, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(shelf["deep/stopped"], run)
    train = json.dumps({"seen": 12, "split": "train", "loss": 3.0, "clock.pairs_per_s": 5.0})
    val = json.dumps({"seen": 13, "split": "val", "loss": 9.0, "filler": "x" * 500})
    (run / "log.jsonl").write_text("\n".join(["broken and long ago", *[train] * 200_000, *[val] * 300, ""]))
    read = []
    parsed = listing._parsed
    monkeypatch.setattr(listing, "_parsed", lambda text, log: read.append(len(text)) or parsed(text, log))
    (found,) = listing.runs(str(run))
    assert (found.loss, found.pairs_per_s, found.trouble) == (3.0, 5.0, "")
    assert sum(read) < 2_000_000 < (run / "log.jsonl").stat().st_size


def runs(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["runs", *words]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    return out.splitlines()


def test_piped_it_is_plain_columns_the_last_change_first(shelf, capsys):
    head, *rows = runs(capsys, str(shelf[""]))
    columns = [head.index(name) for name in ("run", "recipe", "state", "pairs", "best", "loss", "targets", "changed")]
    assert columns == sorted(columns) and all(row[at - 2 : at] == "  " for row in rows for at in columns[1:])
    assert rows[0].split()[:2] == ["deep/stopped", "toy"] and "stopped at 24" in rows[0] and "24 of 80" in rows[0]
    names = [row.split("  ")[0] for row in rows]
    assert names[1:] == sorted(names[1:])  # as their files were dated
    finished = next(row for row in rows if row.startswith("finished"))
    assert "56 of 56" in finished and "2 of 3 held" in finished and finished.endswith(" d ago")
    assert any(
        " damaged " in row and row.endswith("d ago  log.jsonl has a line that is none of a run's log") for row in rows
    )


def test_on_a_terminal_it_is_a_table_of_the_same_cells(shelf, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "250")
    drawn = "\n".join(runs(capsys, str(shelf[""])))
    assert "┃" in drawn and "stopped at 24" in drawn and "checkpoints: not one of 2 is whole" in drawn


def test_the_order_is_that_of_the_key_and_what_lacks_it_comes_last(shelf, capsys):
    found = json.loads("\n".join(runs(capsys, str(shelf[""]), "--sort", "loss", "--json")))
    losses = [run["loss"] for run in found]
    known = [loss for loss in losses if loss is not None]
    assert len(known) > 3 and losses == [*sorted(known), *[None] * (len(losses) - len(known))] and None in losses
    seen = [run["seen"] for run in json.loads("\n".join(runs(capsys, str(shelf[""]), "--sort", "seen", "--json")))]
    assert seen == sorted(seen, reverse=True) and seen[0] == 56


def test_where_there_is_no_run_it_says_how_to_make_one(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "none"):
        assert main(["runs", str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "powermuse train" in error and f"--run {folder}/first" in error


def test_it_answers_at_once_without_torch(shelf):
    program = (
        "import sys, powermuse.cli\n"
        f"status = powermuse.cli.main(['runs', {str(shelf[''])!r}])\n"
        "print(status, sorted({'torch', 'numpy', 'jsonargparse'} & set(sys.modules)))"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert time.monotonic() - begun < 5.0  # 0.3 s on a quiet machine
