"""Estimated and real peak memory of recipes, each in a process of its own: three steps, a validation, a checkpoint.

python bench/memory.py                # the table of docs/training.md
python bench/memory.py tiny -s training.batch=32
MALLOC_MMAP_THRESHOLD_=65536 python bench/memory.py tiny     # without the holes that glibc leaves between blocks
"""

import argparse
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TABLE = (
    ("tiny",),
    ("tiny", "training.batch=64"),
    ("separation", "training.batch=32", "data.crop_frames=384"),
    ("masking", "training.batch=1"),
    ("masking", "training.batch=2"),
    ("compositional", "training.batch=1"),
)
SETTINGS = ["training.threads=1", "tracking.mlflow=false", "training.validation_pairs=2"]
STEPS = 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", nargs="?")
    parser.add_argument("-s", dest="overrides", action="append", default=[])
    parser.add_argument("--here", action="store_true", help="in this very process")
    options = parser.parse_args()
    if options.here:
        return measure(options.recipe, options.overrides)
    print("recipe | estimate GB | peak GB | estimate / peak")
    for name, *overrides in [(options.recipe, *options.overrides)] if options.recipe else TABLE:
        settings = [word for override in overrides for word in ("-s", override)]
        subprocess.run([sys.executable, __file__, name, *settings, "--here"], check=True)
    return None


def measure(name: str, overrides: list[str]) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from powermuse import recipe, registry
    from powermuse.data.made_up import make_up
    from powermuse.training import footprint
    from powermuse.training.trainer import Trainer

    made = recipe.load(name, [*SETTINGS, *overrides])
    blank = registry.find("codecs", made.codec.name)[1].blank_options
    made = dataclasses.replace(made, codec=recipe.Choice(made.codec.name, {**made.codec.options, **blank}))
    pairs = STEPS * made.training.batch
    made = dataclasses.replace(made, training=dataclasses.replace(made.training, pairs=pairs))
    with tempfile.TemporaryDirectory() as work:
        make_up(Path(work) / "data", made.codec, clip_frames=1200)
        estimate = footprint.measure(made, 1, torch.device("cpu")).total / footprint.GB
        Trainer(made, f"{work}/data", f"{work}/run", lambda _: None).fit()
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024 / footprint.GB
    print(f"{' '.join([name, *overrides])} | {estimate:.2f} | {peak:.2f} | {estimate / peak:.2f}", flush=True)


if __name__ == "__main__":
    main()
