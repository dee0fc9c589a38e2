"""`powermuse evaluate`: models and rivals over a benchmark whose answer is known, as a table, JSON and a page."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from powermuse.commands.shared import Handler
from powermuse.terminal import progress

if TYPE_CHECKING:
    from powermuse.benchmark.results import Report


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "evaluate",
        help="score models and rivals over a benchmark",
        description="Scores every MODEL, the signal-processing rivals, the right answers and a floor over the test\n"
        "split of rendered triplets, or over a list of real pairs (a file with GROOVE<tab>HARMONY on each line).\n"
        "Settings are chosen on --split val, so that the test split has not been seen before it is told of.\n"
        "Writes REPORT/report.html (opens from disk, with players), report.json and table.md. What was computed is\n"
        "kept in REPORT/cache: the same command again, or with one model more, computes only what is new.",
        epilog="example: powermuse render -o datasets/bench --split test --triplets 100\n"
        "         powermuse evaluate factors --benchmark datasets/bench -o reports/factors",
    )
    command.add_argument("models", nargs="*", metavar="MODEL", help="shipped model, run or folder (none: rivals alone)")
    command.add_argument("--benchmark", required=True, metavar="DATASET", help="rendered triplets, or a list of pairs")
    command.add_argument("-o", "--out", required=True, metavar="REPORT", help="directory of the report")
    command.add_argument("--cache", metavar="FOLDER", help="what was computed before, also by others (REPORT/cache)")
    command.add_argument("--split", choices=("val", "test"), default="test", help="of the triplets (default: test)")
    command.add_argument("--triplets", type=int, metavar="N", help="only the first N (default: all)")
    command.add_argument("--judges", action="store_true", help="ask the slow judges too, on 60 triplets (extra judges)")
    command.add_argument("--listen", action="store_true", help="begin the page with a blind listening test")
    command.add_argument("--examples", type=int, default=4, metavar="N", help="cases to hear on the page (default: 4)")
    command.add_argument("--workers", type=int, default=0, help="processes (default: one for each core)")
    command.add_argument("--seed", type=int, default=0, help="of models that draw, and of the intervals")
    return command, _evaluate


def _evaluate(options: argparse.Namespace) -> int:
    from powermuse.types import BadInput

    if options.workers < 0 or options.examples < 0 or (options.triplets is not None and options.triplets < 2):
        raise BadInput("--workers and --examples must be at least 0, --triplets at least 2")
    if not 0 <= options.seed < 2**63:
        raise BadInput(f"--seed must be from 0 to below 2^63, not {options.seed}")
    if options.listen and options.examples == 0:
        raise BadInput("--listen plays the examples of the page; --examples must be at least 1 for it")
    from powermuse import disk
    from powermuse.audio import files
    from powermuse.benchmark import evaluation, page, results
    from powermuse.benchmark.listening import Listening
    from powermuse.benchmark.swap import Plan

    out = Path(options.out)
    files.check_folder(out)
    cache = Path(options.cache or out / "cache")
    plan = Plan(
        options.benchmark, cache, tuple(options.models), options.triplets, options.workers, options.judges,
        options.examples, options.seed, options.split,
    )  # fmt: skip
    with progress() as update:
        report = evaluation.evaluate(plan, out, lambda done, total, case: update("evaluate", done, total, case))
    results.write(report, out / "report.json")
    disk.write_text(out / "table.md", "\n".join(_table(report, group.name) for group in report.filled_groups))
    listen = Listening(seed=options.seed) if options.listen else None
    size = page.write_page(report, out / "report.html", examples=options.examples, listen=listen)
    for group in report.filled_groups:
        if group.name in (results.ALL, results.SAME, results.OTHER):
            _print(report, group.name)
    print(f"{out}/report.html ({size / 1e6:.1f} MB), report.json, table.md")
    return 0


def _print(report: "Report", group: str) -> None:
    """As wide as it comes where nobody's terminal has to hold it, in parts that fit where one has."""
    from rich.console import Console

    from powermuse.benchmark import legend, tables

    console = Console()
    for part in tables.fitting(report, group, legend.FIRST, console.width if console.is_terminal else None):
        (console if console.is_terminal else Console(width=max(console.width, tables.width(part)))).print(part)


def _table(report: "Report", group: str) -> str:
    from powermuse.benchmark import differences, tables

    less = differences.markdown(report, group)
    return f"## {group}\n\n{tables.markdown(report, group)}" + (f"\n### Differences\n\n{less}" if less else "")
