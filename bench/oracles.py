"""How near a composer could come to the truth with what B holds, were it told which of it to take: errors in units of
`draft.truth` on the first 24 validation triplets, with standard errors: `python bench/oracles.py TRIPLETS`."""

import sys

import numpy as np
import torch
from torch import Tensor

from powermuse.codes import harmony, voicing
from powermuse.data.triplets import Triplets
from powermuse.losses.flow import draft_error
from powermuse.types import Clip

_COUNT = 24


def main(folder: str) -> None:
    known = Triplets(folder, "val")
    found: dict[str, list[float]] = {}
    for index in known.numbers[:_COUNT]:
        given, truth = known.clip(index, "harmony"), known.clip(index, "truth.0")
        for name, z_BDT in taken(given, truth).items():
            found.setdefault(name, []).append(draft_error(z_BDT, truth.z_BDT).item())
    for name, errors in found.items():
        print(f"{name:48} {np.mean(errors):.3f} +- {np.std(errors) / len(errors) ** 0.5:.3f}")


def taken(given: Clip, truth: Clip) -> dict[str, Tensor]:
    """What may be taken for the latents of the truth, by name."""
    states_BT = harmony.states(given.chroma_BPT)
    middle, own = (voicing.code(c.z_BDT, states_BT, harmony.FRAMES_TOGETHER, (0.5,))[:, :-1] for c in (given, truth))
    found = {"B's .5 quantile of each chord": middle, "the truth's own": own}
    for bands in (1, 2, 4, 8):
        found[f"B's nearest frame, {bands} bands"] = nearest_frames(given.z_BDT, truth.z_BDT, bands)
    found["B's nearest of every fourth frame"] = nearest_frames(given.z_BDT[..., ::4], truth.z_BDT, 1)
    return found


def nearest_frames(offered_BDM: Tensor, wanted_BDT: Tensor, bands: int) -> Tensor:
    """For each wanted frame the offered one at the least L1 distance, each band of channels for itself."""
    parts = []
    for offered, wanted in zip(offered_BDM[0].chunk(bands), wanted_BDT[0].chunk(bands), strict=True):
        parts.append(offered[:, torch.cdist(wanted.T, offered.T, p=1.0).argmin(dim=1)])
    return torch.cat(parts)[None]


if __name__ == "__main__":
    main(*sys.argv[1:])
