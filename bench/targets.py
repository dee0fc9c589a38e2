"""Three ways to adapt multipliers, on the masks of an agent alone: which targets hold, from when on, at what price.

python bench/targets.py DATASET --form claims --steps 300 --seeds 1 2 3

The agent starts from scratch, every penalty has weight 0, and the plain loss pulls back to constant masks: the mean
absolute difference of the sum of both masked streams to either source, weighted as in the recipe `separation`.
"""

import argparse
import time

import torch

from powermuse import recipe, registry
from powermuse.data.pairs import PairSource
from powermuse.data.shards import Dataset
from powermuse.recipe import TargetRecipe
from powermuse.targets import Targets
from powermuse.training import signs
from powermuse.types import Composition, Outcome

FRAMES, BATCH, RATE, PULL = 192, 8, 1e-3, 0.03
TARGETS = {
    "complementarity": ">= 0.9", "balance.groove": "0.5 +- 0.02", "balance.harmony": "0.5 +- 0.02",
    "balance.channels": "<= 0.15", "content_share": ">= 0.8", "swap_response": ">= 0.05",
    "mask.onsets.groove": "<= 0.9", "mask.onsets.harmony": "<= 0.9",
}  # fmt: skip
METHODS = {
    "multipliers": TargetRecipe("multipliers", rate=0.05, damping=10.0),
    "multipliers, rate 0.5": TargetRecipe("multipliers", rate=0.5, damping=10.0),
    "pi": TargetRecipe("pi", rate=0.05, damping=10.0),
    "geco": TargetRecipe("geco", rate=0.05),
}
TOLERANCE = 0.005


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("--form", default="claims")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| form | method | seed | all held from step | worst violation at the end | largest multiplier | loss | s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for method, settings in METHODS.items():
        for seed in options.seeds:
            begun = time.monotonic()
            since, worst, price, loss = train(options.dataset, options.form, settings, seed, options.steps)
            print(
                f"| {options.form} | {method} | {seed} | {since} | {worst} | {price:.2f} | {loss:.3f} "
                f"| {time.monotonic() - begun:.0f} |", flush=True,
            )  # fmt: skip


def train(folder: str, form: str, settings: TargetRecipe, seed: int, steps: int) -> tuple[str, str, float, float]:
    made = recipe.load("separation", [f"agent.options.form={form}"])
    source = PairSource(Dataset(folder), "shuffled", FRAMES, seed)
    torch.manual_seed(seed)
    agent = registry.build("agents", "masking", made.agent.options, latent_dim=128)
    optimizer = torch.optim.AdamW(agent.parameters(), RATE, weight_decay=0.01, fused=True)
    targets = Targets(TARGETS, settings, torch.device("cpu"))
    held_since = -1
    for step in range(steps):
        pair = source.batch(step * BATCH, BATCH)
        proposal = agent(pair.groove, pair.harmony)
        blend = proposal.residual_BDT
        outcome = Outcome(pair, proposal, Composition(blend, (blend,), ()))
        told = {**proposal.penalties, **proposal.stats, **signs.swap_response(agent, pair, outcome)}
        loss = PULL * sum((blend - clip.z_BDT).abs().mean() for clip in (pair.groove, pair.harmony))
        (loss + targets.loss(told)).backward()
        torch.nn.utils.clip_grad_norm_(agent.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        targets.step(torch.tensor(0.0))
        holds = float(targets.violations.max()) <= TOLERANCE
        held_since = (step if held_since < 0 else held_since) if holds else -1
    worst = int(targets.violations.argmax())
    said = f"{float(targets.violations[worst]):.3f} ({targets.bounds[worst].label})"
    return str(held_since) if held_since >= 0 else "never", said, float(targets._prices().max()), float(loss.detach())


if __name__ == "__main__":
    main()
