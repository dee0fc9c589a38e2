"""What the masks of trained agents are worth on the held-out songs of a data set, as a table.

python bench/masks.py DATASET RUN...          # every checkpoint kept of each run
python bench/masks.py DATASET random --seed 1 # an untrained thresholded random projection, which must fail
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from powermuse import recipe, weights
from powermuse.data.pairs import PairSource
from powermuse.data.shards import Dataset
from powermuse.metrics import masks
from powermuse.training import checkpoint

FRAMES, SHIFT, NEXT, CLIPS, BATCH = 192, 37, 96, 56, 8
MaskPair = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = PairSource(Dataset(options.dataset, "val"), "shuffled", FRAMES + NEXT, 0)
    print("| run | pairs | " + " | ".join(masks.Masks._fields) + " |\n|" + "---|" * 11)
    for run in options.runs:
        if run == "random":
            tell(run, 0, measure(random_projection(options.seed, source), source))
            continue
        settings = recipe.load(f"{run}/recipe.yaml")
        model = weights.build_model(settings, source.dataset.header.latent_dim).eval()
        for path in checkpoint.found(Path(run) / "checkpoints"):
            kept = checkpoint.load(path)
            weights.fit_tensors(model, kept.tensors["model"], str(path))
            tell(run, kept.seen, measure(model.agent.masks, source))


@torch.inference_mode()
def measure(mask_pair: MaskPair, source: PairSource) -> masks.Masks:
    parts: list[tuple[np.ndarray, ...]] = []
    for first in range(0, CLIPS, BATCH):
        pair = source.batch(first, BATCH)
        a, b = pair.groove.z_BDT, pair.harmony.z_BDT
        groove, harmony = mask_pair(a[..., :FRAMES], b[..., :FRAMES])
        swapped, _ = mask_pair(a[..., :FRAMES], b[..., :FRAMES].roll(1, 0))
        shifted, _ = mask_pair(a[..., SHIFT : SHIFT + FRAMES], b[..., SHIFT : SHIFT + FRAMES])
        neighbour, _ = mask_pair(a[..., NEXT:], b[..., NEXT:])
        onsets = pair.groove.onsets_BKT[..., :FRAMES].mean(dim=1)
        parts.append(tuple(x.numpy() for x in (groove, harmony, swapped, shifted, neighbour, onsets)))
    groove, harmony, swapped, shifted, neighbour, onsets = (np.concatenate(x) for x in zip(*parts, strict=True))
    return masks.evaluate(groove, harmony, swapped, shifted, SHIFT, neighbour, onsets)


def random_projection(seed: int, source: PairSource) -> MaskPair:
    """Each channel of the mask is the sign of a random combination of both clips' channels around its mean."""
    dim = source.dataset.header.latent_dim
    projection = torch.randn(dim, 2 * dim, generator=torch.Generator().manual_seed(seed)) / dim

    def pair(groove: torch.Tensor, harmony: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value = projection @ torch.cat([groove, harmony], dim=1)
        mask = (value > value.median()).float()
        return mask, 1.0 - mask

    return pair


def tell(run: str, pairs: int, found: masks.Masks) -> None:
    print(f"| {Path(run).name} | {pairs} | " + " | ".join(f"{value:.3f}" for value in found) + " |", flush=True)


if __name__ == "__main__":
    main()
