"""CPU time and memory of one training step of a recipe at full shape, on one thread, on made-up cached latents.

python bench/step.py                  # the masking recipe, batch 1, 16 s, EnCodec's architecture with random weights
python bench/step.py masking -s data.decode_frames=150
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from powermuse import recipe
from powermuse.data.made_up import make_up
from powermuse.training.trainer import Trainer

STEPS, WARM_UP = 5, 1
SETTINGS = [
    "training.batch=1", "training.threads=1", "tracking.mlflow=false", "codec.options.source=random",
    "training.log_every=1000000", "training.validate_every=1000000", "training.save_every=1000000",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", nargs="?", default="masking")
    parser.add_argument("-s", dest="overrides", action="append", default=[])
    options = parser.parse_args()
    made = recipe.load(options.recipe, [*SETTINGS, *options.overrides])
    with tempfile.TemporaryDirectory() as work:
        make_up(Path(work) / "data", made.codec, clip_frames=1200)
        trainer = Trainer(made, f"{work}/data", f"{work}/run", lambda _: None)
        print(f"resident before the first step: {resident_gb():.2f} GB")
        times = [step(trainer) for _ in range(WARM_UP + STEPS)][WARM_UP:]
    median, least, most = statistics.median(times), min(times), max(times)
    print(f"CPU time of a step: median {median:.2f} s (min {least:.2f}, max {most:.2f}, n {STEPS})")
    print(f"peak resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def step(trainer: Trainer) -> float:
    begun = time.process_time()
    trainer._step(trainer.source.batch(trainer.seen, 1))
    trainer.seen += 1
    return time.process_time() - begun


def resident_gb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9


if __name__ == "__main__":
    main()
