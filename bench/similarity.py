"""What copies, mixes and strangers score in the doctor's similarities: `python bench/similarity.py DATASET`."""

import sys

import torch
from torch import Tensor

from powermuse.data.pairs import PairSource
from powermuse.data.shards import Dataset
from powermuse.losses.novelty import centred, frame_cosine

PAIRS, FRAMES = 64, 192


def blends(a_BDT: Tensor, b_BDT: Tensor, mean_D: Tensor) -> dict[str, Tensor]:
    """Blends of known making, by name."""
    noise_BDT = torch.randn_like(a_BDT)
    spread_B11 = a_BDT.std(dim=(1, 2), keepdim=True)
    every_second_D1 = (torch.arange(a_BDT.shape[1]) % 2).to(a_BDT)[:, None]
    made = {f"{share:g} A + {1 - share:g} B": share * a_BDT + (1 - share) * b_BDT for share in (0.5, 0.6, 0.75, 1.0)}
    made |= {f"A, noise at -{db} dB": a_BDT + 10 ** (-db / 20) * spread_B11 * noise_BDT for db in (20, 10, 6, 0)}
    made["every second channel"] = every_second_D1 * a_BDT + (1.0 - every_second_D1) * b_BDT
    made["another clip"] = a_BDT.roll(1, 0)
    made["noise"] = mean_D[:, None] + spread_B11 * noise_BDT
    return made


def main(folder: str) -> None:
    torch.manual_seed(0)
    mean_D, held_out = Dataset(folder).latent_mean(), Dataset(folder, "val")
    for pairing in ("shuffled", "continuation"):
        pair = PairSource(held_out, pairing, FRAMES, 0).batch(0, PAIRS)
        a, b = pair.groove.z_BDT, pair.harmony.z_BDT
        against = [centred(z, mean_D) for z in (a, b, 0.5 * (a + b))]
        print(f"{pairing}: {PAIRS} pairs, A to B {frame_cosine(against[0], against[1]):.2f}")
        for name, blend in blends(a, b, mean_D).items():
            to = [f"{frame_cosine(centred(blend, mean_D), z):.2f}" for z in against]
            print(f"  {name:22} to A {to[0]}  to B {to[1]}  to A + B {to[2]}")


if __name__ == "__main__":
    main(sys.argv[1])
