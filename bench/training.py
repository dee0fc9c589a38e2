"""Where the time of a training step goes, what the trainer adds to it, and how two processes share it; on made-up
cached latents at full shape, one thread a process. Nothing fails by time.

python bench/training.py phases [RECIPE]      # data, forward, losses, backward, optimiser, adversary, save
python bench/training.py overhead [RECIPE]    # the trainer's step over the bare one, ten pairs in turn
python bench/training.py scaling [RECIPE]     # one process, two independent ones, two over gloo (weak scaling)
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from powermuse import recipe
from powermuse.data.made_up import make_up
from powermuse.training import tracking
from powermuse.training.trainer import Trainer

WARM_UP, TURNS, STEPS, ROUNDS = 2, 10, 8, 3
SETTINGS = [
    "training.threads=1", "tracking.mlflow=false", "tracking.listen=0", "codec.options.source=random",
    "training.pairs=1000000",
    "training.log_every=20", "training.validate_every=1000000", "training.save_every=1000000",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["phases", "overhead", "scaling", "worker"])
    parser.add_argument("recipe", nargs="?", default="masking")
    parser.add_argument("-s", dest="overrides", action="append", default=[])
    options = parser.parse_args()
    if options.what == "worker":
        work(options.recipe, options.overrides)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = recipe.load(options.recipe, [*SETTINGS, "training.batch=1", *options.overrides])
        make_up(Path(folder) / "data", made.codec, clip_frames=1200)
        {"phases": phases, "overhead": overhead, "scaling": scaling}[options.what](made, Path(folder))


def phases(made: recipe.Recipe, folder: Path) -> None:
    trainer = begun(made, folder)
    learner, seconds = trainer.learner, {}

    def timed(name: str, do: Callable[..., Any], *words: Any) -> Any:
        since = time.process_time()
        found = do(*words)
        seconds.setdefault(name, []).append(time.process_time() - since)
        return found

    learner.outcome = partial(timed, "forward, decoding with it", learner.outcome)
    learner.objective.forward = partial(timed, "losses", learner.objective.forward)
    for turn in range(WARM_UP + TURNS):
        pair = timed("data", trainer.source.batch, trainer.seen, 1)
        total, _, outcome = learner.losses(pair, trainer.seen, trainer.seen)
        timed("backward", learner.fabric.backward, total)
        timed("optimiser", optimise, trainer)
        timed("adversary", learner._adversary_step, [(pair.harmony.z_BDT, outcome.blend_BDT.detach())], 0)
        if turn % 4 == 0:
            timed("save", trainer._save)
        trainer.seen += 1
    found = {name: times[WARM_UP:] if name != "save" else times for name, times in seconds.items()}
    whole = sum(statistics.median(times) for name, times in found.items() if name != "save")
    for name, times in found.items():
        share = "once a checkpoint" if name == "save" else f"{statistics.median(times) / whole:.1%} of a step"
        tell(name, times, share)


def overhead(made: recipe.Recipe, folder: Path) -> None:
    trainer = begun(made, folder)
    for _ in range(WARM_UP):
        trainer._advance()
    bares, wholes = [], []
    for _ in range(TURNS):
        bares.append(cpu_s(lambda: bare_step(trainer)))
        wholes.append(cpu_s(trainer._advance))
    tell("bare step", bares)
    tell("trainer's step", wholes)
    ratios = [whole / bare - 1.0 for whole, bare in zip(wholes, bares, strict=True)]
    print(
        f"the trainer adds {statistics.median(ratios):+.1%} ({min(ratios):+.1%} to {max(ratios):+.1%}, {TURNS} pairs "
        f"in turn); by the medians {statistics.median(wholes) / statistics.median(bares) - 1.0:+.1%}"
    )


def bare_step(trainer: Trainer) -> None:
    """Forward, losses, backward, optimiser and discriminator, and nothing else."""
    learner, pair = trainer.learner, trainer.source.batch(trainer.seen, 1)
    total, _, outcome = learner.losses(pair, trainer.seen, trainer.seen)
    total.backward()
    optimise(trainer)
    learner._adversary_step([(pair.harmony.z_BDT, outcome.blend_BDT.detach())], trainer.seen)


def optimise(trainer: Trainer) -> None:
    learner = trainer.learner
    learner.fabric.clip_gradients(learner.model, learner.optimizer, max_norm=learner.settings.clip_norm)
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)


def scaling(made: recipe.Recipe, folder: Path) -> None:
    """Clips a second of all processes; each of two has as much to do as the one."""
    rates: dict[str, list[float]] = {"one process": [], "two independent processes": [], "two over gloo": []}
    for turn in range(ROUNDS):
        rates["one process"] += [clips_a_second(made, folder, f"{turn}-one", [{}], 1)]
        rates["two independent processes"] += [clips_a_second(made, folder, f"{turn}-two", [{}, {}], 1)]
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.getsockname()[1])}
        world = {
            "TORCHELASTIC_RUN_ID": "bench",
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "GROUP_RANK": "0",
            **address,
        }
        ranks = [{**world, "RANK": str(r), "LOCAL_RANK": str(r)} for r in range(2)]
        rates["two over gloo"] += [clips_a_second(made, folder, f"{turn}-gloo", ranks, 2)]
    one = rates["one process"]
    for name, found in rates.items():
        shares = [rate / alone for rate, alone in zip(found, one, strict=True)]
        print(
            f"{name}: {statistics.median(found):.3f} clips/s ({min(found):.3f} to {max(found):.3f}, n {ROUNDS}), "
            f"{statistics.median(shares):.2f} times one ({min(shares):.2f} to {max(shares):.2f})"
        )


def clips_a_second(
    made: recipe.Recipe, folder: Path, name: str, environments: list[dict[str, str]], batch: int
) -> float:
    settings = json.dumps({"data": str(folder / "data"), "batch": batch})
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                __file__,
                "worker",
                made.name,
                "-s",
                settings,
                "-s",
                str(folder / f"{name}-{i * (batch == 1)}"),
            ],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        for i, environment in enumerate(environments)
    ]
    seconds = [float(worker.communicate()[0].splitlines()[-1]) for worker in workers]
    return len(workers) * STEPS / max(seconds)


def work(name: str, told: list[str]) -> None:
    """One process of `scaling`: prints the seconds that its steps took."""
    settings, run = json.loads(told[0]), told[1]
    made = recipe.load(name, [*SETTINGS, f"training.batch={settings['batch']}"])
    trainer = Trainer(made, settings["data"], run, lambda _: None)
    trainer.trackers = []
    for _ in range(WARM_UP):
        trainer._advance()
    trainer.parallel.wait()
    since = time.perf_counter()
    for _ in range(STEPS):
        trainer._advance()
        trainer.parallel.agreed(0)
    print(time.perf_counter() - since)


def begun(made: recipe.Recipe, folder: Path) -> Trainer:
    trainer = Trainer(made, str(folder / "data"), str(folder / "run"), lambda _: None)
    trainer.trackers = [tracking.JsonlTracker(trainer.run / "log.jsonl", 0)]
    trainer.speed.counting = nullcontext  # once in a run, not in every step
    return trainer


def cpu_s(do: Callable[[], object]) -> float:
    since = time.process_time()
    do()
    return time.process_time() - since


def tell(name: str, seconds: list[float], more: str = "") -> None:
    spread = f"({min(seconds):.3f} to {max(seconds):.3f}, n {len(seconds)})"
    print(f"{name}: median {statistics.median(seconds):.3f} CPU-s {spread} {more}".rstrip())


if __name__ == "__main__":
    main()
