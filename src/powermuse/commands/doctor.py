"""`powermuse doctor`: what is wrong with a run, and what to change."""

import argparse
import shlex
from typing import Any

from powermuse.commands.shared import Handler


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "doctor",
        help="say what is wrong with a run, and what to change",
        description="Reads the recipe and the log of RUN, finished or not, and says in plain words what is wrong\n"
        "and which settings would help in the next run. The exit status is 0, be it ill or well.",
        epilog="example: powermuse doctor runs/first --picture first.png",
    )
    command.add_argument("run", metavar="RUN", help="directory of a run")
    command.add_argument("--picture", metavar="OUT", help="draw the curves that were looked at: a .png file")
    return command, _doctor


def _doctor(options: argparse.Namespace) -> int:
    from powermuse import disk
    from powermuse.training import doctor
    from powermuse.training.doctor import picture

    if options.picture:
        picture.check_writable(options.picture)
    diagnosis = doctor.examine(options.run)
    for line in _told(options.run, diagnosis):
        print(line)
    if options.picture:
        disk.write_bytes(options.picture, picture.draw(diagnosis))
        print(f"\npicture: {options.picture}")
    return 0


def _told(run: str, diagnosis: Any) -> list[str]:
    record = diagnosis.record
    ill, well, rest = (diagnosis.of(state) for state in ("ill", "well", "not checked"))
    lines = [f"{run}: recipe {record.recipe.name}, {record.seen} of {record.recipe.training.pairs} pairs"]
    if not record.seen:
        return [*lines, "nothing to read yet: the log is empty; the first line comes after training.log_every pairs"]
    if ill:
        lines += ["", f"{len(ill)} of {len(ill) + len(well)} checks found something:"]
    else:
        lines += ["", f"healthy: {len(well)} checks found nothing wrong"]
    for verdict in ill:
        settings = "".join(f" -s {shlex.quote(setting)}" for setting in verdict.settings)
        lines += [f"* {verdict.rule}: {verdict.found}", f"    {verdict.advice}:{settings}"]
    if well:
        lines += ["", "checked and well:", *(f"  {verdict.rule}: {verdict.found}" for verdict in well)]
    if rest:
        lines += ["", "not checked:", *(f"  {verdict.rule}: {verdict.found}" for verdict in rest)]
    if ill:
        lines += ["", f"try it: powermuse train {run}/recipe.yaml --data DATASET --run NEW -s ..."]
    return lines
