"""Trains `factors_small` with each of its parts weakened, strengthened or left out, one run after another, and goes on
where it was stopped: `python bench/ablations.py TRIPLETS RUNS [--singles RECORDINGS] [NAME ...]`. What the runs came to
is then told by `powermuse evaluate RUNS/* --benchmark BENCH -o REPORT`; without names, all are trained (some 7 h on two
cores)."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_TIME_IS_UP = 124
"""Exit status of `timeout`."""


class Variant(NamedTuple):
    """What is changed of `factors_small`, or another recipe in its place; how many seeds."""

    settings: tuple[str, ...] = ()
    seeds: int = 1
    recipe: str = "factors_small"
    minutes: int = 0
    """When it is stopped; 0: by its recipe."""


VARIANTS = {
    "whole": Variant(seeds=3),
    "rhythm_weak": Variant(("agent.options.bands=1", "agent.options.steps=1")),
    "rhythm_strong": Variant(("agent.options.bands=6", "agent.options.steps=20")),
    "harmony_weak": Variant(("agent.options.harmony_detail=names",)),
    "harmony_strong": Variant(("agent.options.harmony_detail=quarters",)),
    "voicing_off": Variant(("agent.options.voicing=false",)),
    "voicing_strong": Variant(("agent.options.voicing_quantiles=[0.0,0.15,0.3,0.45,0.6,0.75,0.9,0.95,1.0]",)),
    "colour_weak": Variant(("agent.options.colour_quantiles=[0.5]",)),
    "colour_strong": Variant(("agent.options.colour_quantiles=[0.05,0.15,0.3,0.5,0.7,0.85,0.95]",)),
    "triplets_off": Variant(("data.unity=1.0",), seeds=3),
    "self_supervision_off": Variant(("data.unity=0.0", "data.singles=''"), seeds=3),
    "regression": Variant(("weights.flow.truth=0", "flow.refine_layers=0"), seeds=3),
    "masking": Variant(recipe="triplets_masking", minutes=20),
    "compositional": Variant(recipe="triplets_compositional", minutes=20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("triplets")
    parser.add_argument("runs")
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--singles", default="", help="recordings, prepared")
    told = parser.parse_intermixed_args()
    unknown = set(told.names) - VARIANTS.keys()
    if unknown:
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    for seed in range(max(v.seeds for v in VARIANTS.values())):
        for name in told.names or VARIANTS:
            if seed < VARIANTS[name].seeds:
                train(name, seed, told.triplets, told.singles, Path(told.runs) / f"{name}_{seed}")


def train(name: str, seed: int, triplets: str, singles: str, run: Path) -> None:
    """Two processes, or two threads for a time; a run that has reached its end is left as it is."""
    variant = VARIANTS[name]
    if variant.minutes and (run / "model.safetensors").exists():
        return
    settings = [f"training.seed={seed}", f"training.threads={2 if variant.minutes else 1}"]
    if singles and variant.recipe == "factors_small":
        settings.append(f"data.singles={singles}")
    told = [part for setting in (*settings, *variant.settings) for part in ("-s", setting)]
    powermuse = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "--", "powermuse.cli"]
    if variant.minutes:
        powermuse = ["timeout", "-s", "INT", f"{variant.minutes}m", sys.executable, "-m", "powermuse.cli"]
    command = [*powermuse, "train", variant.recipe, "--data", triplets, "--run", str(run), *told]
    print(" ".join(command), flush=True)
    code = subprocess.run(command, check=False).returncode
    if code and not (variant.minutes and code == _TIME_IS_UP):
        raise SystemExit(f"{run}: ended with status {code}")


if __name__ == "__main__":
    main()
