"""`prepare` in several jobs at once, through submitit: on a SLURM cluster, or as processes of this machine."""

import contextlib
import dataclasses
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from powermuse.data import index, shards
from powermuse.data.index import Summary
from powermuse.data.pool import cores
from powermuse.data.prepare import OnProgress, Part, Plan, begin, finish, prepare_part
from powermuse.types import BadInput, MissingExtra

_POLL_S = 1.0
_END_S = 20.0


class Jobs(NamedTuple):
    """How many, where (`slurm`, `local`, or `auto`: slurm where there is one), and what each asks for: submitit's
    names, as cpus_per_task, timeout_min, mem_gb, slurm_partition."""

    number: int
    cluster: str
    wishes: dict[str, Any]


class PartJob:
    """One part as a job; where it meets its time limit it is queued again and goes on."""

    def __init__(self, plan: Plan, part: Part) -> None:
        self.plan, self.part = plan, part

    def __call__(self) -> None:
        """Prepares the part, or what is left of it."""
        prepare_part(self.plan, self.part)

    def checkpoint(self) -> Any:
        """What submitit queues again: every shard that was written counts."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def prepare_in_jobs(plan: Plan, jobs: Jobs, on_progress: OnProgress = lambda *_: None) -> Summary:
    """Prepares in `jobs.number` jobs and makes a data set of what they wrote. Raises BadInput where one of them fails:
    it names the log, and the same call goes on from what there is."""
    total = len(begin(plan))
    # Jobs run elsewhere, with another working directory.
    plan = dataclasses.replace(
        plan, folders=tuple(str(Path(f).absolute()) for f in plan.folders), out=str(Path(plan.out).absolute())
    )
    logs = Path(f"{plan.out}.jobs")
    executor = _executor(jobs, logs)
    if executor.cluster == "local" and not plan.workers:
        plan = dataclasses.replace(plan, workers=max(1, cores() // jobs.number))
    with executor.batch():
        queued = [executor.submit(PartJob(plan, Part(i, jobs.number))) for i in range(jobs.number)]
    try:
        _wait(queued, Path(plan.out), total, on_progress)
    except BaseException:
        for job in queued:
            job.cancel()
        raise
    finally:
        _let_end(queued)
    summary = finish(plan)
    shutil.rmtree(logs, ignore_errors=True)
    return summary


def _executor(jobs: Jobs, logs: Path) -> Any:
    try:
        import submitit
    except ImportError:
        raise MissingExtra("preparing in jobs", "cluster") from None
    try:
        executor = submitit.AutoExecutor(logs, cluster=None if jobs.cluster == "auto" else jobs.cluster)
        executor.update_parameters(name="powermuse-prepare", **{"timeout_min": 240, **jobs.wishes})
    except (RuntimeError, NameError, TypeError, ValueError) as error:
        raise BadInput(f"--jobs on {jobs.cluster}: {error}") from None
    return executor


def _wait(queued: list[Any], out: Path, total: int, on_progress: OnProgress) -> None:
    """Until all are done, telling of every new shard. Raises BadInput for a job that failed."""
    known: set[Path] = set()
    done = 0
    while True:
        ended = [job for job in queued if job.done()]
        for shard in set(index.shard_files(out)) - known:
            known.add(shard)
            books = shards.read_shard_header(shard)[1]
            done += len(books)
            on_progress(min(done, total), total, books[-1].path if books else "", sum(b.clips for b in books))
        for number, job in enumerate(queued, start=1):
            if job in ended and (error := job.exception()) is not None:
                raise BadInput(
                    f"part {number} of {len(queued)} failed: {_reason(str(error))}; its log is {job.paths.stderr}; "
                    "the same command goes on from what there is"
                )
        if len(ended) == len(queued):
            return
        time.sleep(_POLL_S)


def _let_end(queued: list[Any]) -> None:
    """Waits for the processes of local jobs: a job counts as done when its result is there, a moment before its process
    has ended, and submitit leaves that to the garbage collector, which complains."""
    for job in queued:
        if (process := getattr(job, "_process", None)) is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)


def _reason(report: str) -> str:
    """The line that a traceback ends with, or the first of a report that has none."""
    raised: list[str] = re.findall(
        r"^(?:[\w.]+\.)?(?:\w*Error|BadInput|\w*Exception|KeyboardInterrupt): .*$", report, re.M
    )
    return raised[-1] if raised else report.strip().splitlines()[0]
