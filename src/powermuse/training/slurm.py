"""A run as a SLURM job: from its settings to the text of a batch script."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from powermuse.types import BadInput

NOTICE_S = 180
"""How long before its time limit a job is told: time for the step under way, a checkpoint and the way out."""
LEAST_S = 300
"""The shortest job: the notice, up to 60 s by which SLURM may be early, and a minute in which to train."""
HEAD = "#!/bin/bash\n# Written by `powermuse slurm`.\n"
"""How a batch script begins."""

_TIMES = (
    r"(?P<minutes>\d+)(:(?P<seconds>\d+))?",
    r"(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)",
    r"(?P<days>\d+)-(?P<hours>\d+)(:(?P<minutes>\d+)(:(?P<seconds>\d+))?)?",
)
_UNITS_S = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


@dataclass(frozen=True)
class Job:
    """What a job asks for, and the command of each of its tasks. Raises BadInput for what no job can have.

    `gpus` and `tasks` are those of a node, `cpus` those of a task; `setup` are shell lines that come before the run.
    """

    command: tuple[str, ...]
    run: Path
    folder: Path
    time_s: int
    nodes: int = 1
    gpus: int = 1
    tasks: int = 1
    cpus: int = 8
    memory: str = "32G"
    partition: str = ""
    account: str = ""
    setup: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in {"nodes": 1, "gpus": 0, "tasks": 1, "cpus": 1}.items():
            if getattr(self, name) < least:
                raise BadInput(f"--{name} must be at least {least}, not {getattr(self, name)}")
        if self.gpus and self.tasks != self.gpus:
            raise BadInput(f"--tasks is {self.tasks}, but each of the {self.gpus} GPUs of a node has one task")
        if not re.fullmatch(r"\d+[KMGT]?", self.memory):
            raise BadInput(f"--mem {self.memory}: a number and K, M, G or T is wanted, as 32G")
        if self.time_s < LEAST_S:
            raise BadInput(
                f"--time is {self.time_s} s; at least {LEAST_S // 60} minutes are wanted: "
                f"the notice to save comes {NOTICE_S} s before the end, or up to 60 s earlier"
            )

    @property
    def log(self) -> str:
        """The log's path, with %j for the job's number and %% for %.

        Beside the run: training begins a run in an empty folder or none.
        """
        return f"{str(self.run).replace('%', '%%')}.slurm-%j.log"


def seconds(time: str) -> int:
    """A time as SLURM writes it: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS. Raises BadInput."""
    for form in _TIMES:
        if found := re.fullmatch(form, time, re.ASCII):
            return sum(_UNITS_S[unit] * int(count) for unit, count in found.groupdict().items() if count)
    raise BadInput(f"--time {time}: minutes, MM:SS, HH:MM:SS or D-HH:MM:SS is wanted, as 04:00:00")


def script(job: Job) -> str:
    """The batch script. Raises BadInput for a name that SLURM cannot read from one."""
    setup = "".join(f"{line}\n" for line in job.setup)
    return f"""{HEAD}{_directives(job)}

# {NOTICE_S} s before the time limit SLURM sends USR1 to the tasks, not to this shell:
# the run saves, has this job requeued, and goes on from there when the script is started again.
set -e
{setup}
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"
# The same in every task; other jobs on the node have other numbers.
export MASTER_PORT="$((15000 + SLURM_JOB_ID % 10000))"

# Since SLURM 22.05 srun does not take --cpus-per-task from the job.
srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \\
    {shlex.join(job.command)}
"""


def _directives(job: Job) -> str:
    hours, rest = divmod(job.time_s, 3_600)
    wanted = {
        # With a prefix: Lightning takes jobs called `bash` or `interactive` for no jobs.
        "job-name": f"powermuse-{job.run.name}",
        "chdir": str(job.folder),
        "output": job.log,
        "open-mode": "append",
        "nodes": str(job.nodes),
        "ntasks-per-node": str(job.tasks),
        "gpus-per-node": str(job.gpus) if job.gpus else "",
        "cpus-per-task": str(job.cpus),
        "mem": job.memory,
        "time": f"{hours // 24}-{hours % 24:02d}:{rest // 60:02d}:{rest % 60:02d}",
        "partition": job.partition,
        "account": job.account,
        "signal": f"USR1@{NOTICE_S}",
    }
    lines = [f"#SBATCH --{name}={_quoted(value)}" for name, value in wanted.items() if value]
    return "\n".join([*lines, "#SBATCH --requeue"])


def _quoted(value: str) -> str:
    # sbatch reads quotes as a shell does, but backslashes within single quotes too, and never beyond a line.
    if "\\" in value or not value.isprintable():
        raise BadInput(f"{value!r}: SLURM can read no backslash and no control character in a batch script's options")
    return shlex.quote(value)
