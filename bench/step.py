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
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch.utils.flop_counter import FlopCounterMode

from powermuse import recipe
from powermuse.data.made_up import make_up
from powermuse.training.trainer import Trainer

STEPS, WARM_UP, SIDE = 5, 1, 2048
SETTINGS = [
    "training.batch=1", "training.threads=1", "tracking.mlflow=false", "tracking.listen=0",
    "codec.options.source=random",
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
        times = [cpu_time(lambda: step(trainer)) for _ in range(WARM_UP + STEPS)][WARM_UP:]
        median, least, most = statistics.median(times), min(times), max(times)
        print(f"CPU time of a step: median {median:.2f} s (min {least:.2f}, max {most:.2f}, n {STEPS})")
        print(f"peak resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
        tell_share_of_peak(trainer)


def step(trainer: Trainer) -> None:
    trainer.learner.step([(trainer.seen, trainer.source.batch(trainer.seen, 1))], trainer.seen)
    trainer.seen += 1


def tell_share_of_peak(trainer: Trainer) -> None:
    """Of the machine's matrix product, what the cascade's forward and backward reach."""
    pair = trainer.source.batch(0, 1)
    with torch.no_grad():
        proposal = trainer.learner.bare_model.agent(pair.groove, pair.harmony)

    def forward_and_backward() -> None:
        trainer.learner.bare_model.cascade(proposal).blend_BDT.square().mean().backward()

    with FlopCounterMode(display=False) as counter:
        forward_and_backward()
    # The counter does not know a CPU's attention: two products of [T, W / heads] by [T, T] a head, and twice that back.
    widths = [
        block.attention.outward.in_features for s in trainer.learner.bare_model.cascade.stages for block in s.blocks
    ]
    flops = counter.get_total_flops() + 3 * 4 * pair.groove.z_BDT.shape[-1] ** 2 * sum(widths)
    a, b = torch.randn(2, SIDE, SIDE).unbind()
    peaks, shares = [], []
    for _ in range(STEPS):  # in turn, so that both see the same machine
        peaks.append(2 * SIDE**3 / min(cpu_time(lambda: a @ b) for _ in range(3)))
        shares.append(flops / cpu_time(forward_and_backward) / peaks[-1])
    print(
        f"cascade, forward and backward: {flops / 1e9:.0f} GFLOP at {statistics.median(shares):.0%} ({min(shares):.0%} "
        f"to {max(shares):.0%}, n {STEPS}) of the speed of a matrix product of side {SIDE}, "
        f"{statistics.median(peaks) / 1e9:.0f} GFLOP/s ({min(peaks) / 1e9:.0f} to {max(peaks) / 1e9:.0f})"
    )


def cpu_time(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def resident_gb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9


if __name__ == "__main__":
    main()
