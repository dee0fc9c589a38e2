"""Real processes over gloo, begun as srun begins the tasks of a step."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from powermuse.training import checkpoint
from training.toys import TOY

# Without dice, and with terms that are means over pairs: a batch in two halves has the gradient of the whole.
SURE = [
    "agent.options.dropout=0", "cascade.dropout=0", "cascade.input_noise=0", "weights={latent.groove: 1}",
    "training.keep_checkpoints=9", "training.save_every=4", "training.log_every=4",
]  # fmt: skip
PAIRS = 16

# The command line in processes forked from one that has imported everything.
NURSERY = """
import json, os, sys
import jsonargparse, rich.progress
import torch
import powermuse.training.trainer
from powermuse.cli import main

for line in sys.stdin:
    words, environments, errors = json.loads(line)
    children = []
    for rank, environment in enumerate(environments):
        if (child := os.fork()) == 0:
            os.environ.update(environment)
            said = os.open(f"{errors}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1), os.dup2(said, 2)
            if words[0] == "python":
                exec(words[1], {})
                os._exit(0)
            os._exit(main(words))
        children.append(child)
    print(json.dumps(children), flush=True)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children]), flush=True)
"""


class Nursery:
    """Starts the ranks of a run as srun does, in no time."""

    def __init__(self, folder: Path, dataset: Path) -> None:
        self.folder, self.dataset = folder, dataset
        (folder / "toy.yaml").write_text(TOY)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": folder}
        self.process = subprocess.Popen([sys.executable, "-c", NURSERY], **pipes)

    def train(
        self, run: str, ranks: int, *settings: str, then: Callable[[list[int]], None] = lambda _: None
    ) -> list[int]:
        """The exit status of each rank; `then` gets their process numbers when they have begun."""
        words = ["train", "toy.yaml", "--data", str(self.dataset), "--run", run]
        words += [word for setting in (f"training.pairs={PAIRS}", *settings) for word in ("-s", setting)]
        return self.run(words, ranks, run, then)

    def run(
        self, words: list[str], ranks: int, name: str, then: Callable[[list[int]], None] = lambda _: None
    ) -> list[int]:
        """Any words of the command line; after `python`, a program."""
        self.process.stdin.write(json.dumps([words, [srun(r, ranks) for r in range(ranks)], f"{name}.errors"]) + "\n")
        self.process.stdin.flush()
        then(json.loads(self.process.stdout.readline()))
        return json.loads(self.process.stdout.readline())

    def said(self, run: str, rank: int) -> str:
        """What a rank wrote to standard error."""
        return (self.folder / f"{run}.errors.{rank}").read_text()

    def kept(self, run: str, seen: int) -> checkpoint.Tensors:
        """The tensors of a checkpoint."""
        return checkpoint.load(self.folder / run / f"checkpoints/{seen:012d}.safetensors").tensors

    def log(self, run: str) -> list[dict[str, float]]:
        """The training lines of the log without times."""
        lines = [json.loads(line) for line in (self.folder / run / "log.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if not k.startswith("clock.")} for line in lines]


def srun(rank: int, ranks: int) -> dict[str, str]:
    """The environment of a task of a job step on one node."""
    if ranks == 1:
        return {}
    return {
        "SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "run", "SLURM_NNODES": "1",
        "SLURM_NTASKS": str(ranks), "SLURM_NTASKS_PER_NODE": str(ranks),
        "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1",
        "SLURM_STEP_NODELIST": "127.0.0.1", "MASTER_PORT": str(PORT), "MASTER_ADDR": "127.0.0.1",
    }  # fmt: skip


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


PORT = free_port()


def wait_for(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    """Until something is there. Raises AssertionError where it does not come."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.01)
