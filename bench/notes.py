"""How well the notes that a model of factors tells are those of the truth, on the validation triplets of a data set,
with and without held notes struck again by the rhythm code: `python bench/notes.py MODEL TRIPLETS`."""

import sys

import numpy as np
import torch

from powermuse.audio import features
from powermuse.composing import notes
from powermuse.data import rolls
from powermuse.data.triplets import Triplets
from powermuse.metrics import truth
from powermuse.types import Brief
from powermuse.weights import load_model


@torch.inference_mode()
def main(model: str, dataset: str) -> None:
    loaded, known = load_model(model), Triplets(dataset, "val")
    flow, found = loaded.recipe.flow, []
    for index in known.numbers:
        groove, harmony = (known.clip(index, role) for role in ("groove", "harmony"))
        way = known.orchestrations(index)[0]
        number = 1 + flow.orchestrations.index(way) if way in flow.orchestrations else 0
        proposal, composition = loaded.model(groove, harmony, Brief(orchestration_B=torch.tensor([number])))
        struck_N = notes.strokes(proposal.streams[0][0].numpy(), flow.pool)
        probable_QN = composition.notes_BQN[0].sigmoid().numpy()
        right = known.pitched(index, "truth.0").double().numpy()
        inside = (right[:, 2] >= rolls.LOW_PITCH) & (right[:, 2] < rolls.LOW_PITCH + len(probable_QN))
        found.append([score(right[inside], probable_QN, s, flow.pool) for s in (struck_N, np.zeros_like(struck_N))])
    for told, (f, many) in zip(("struck again", "held"), np.mean(found, axis=0), strict=True):
        print(f"{told:>12}: F {f:.3f} (pitch, onset within 50 ms), {many:.2f} notes for each of the truth's")


def score(right_N5: np.ndarray, probable_QN: np.ndarray, struck_N: np.ndarray, pool: int) -> tuple[float, float]:
    token_s = pool / features.FRAME_RATE_HZ
    made = notes.found(probable_QN, struck_N, token_s, probable_QN.shape[1] * token_s)
    estimated = truth.Notes(np.array([n.start_s for n in made]), np.array([n.pitch for n in made]))
    reference = truth.Notes(right_N5[:, 0], right_N5[:, 2])
    return truth.note_f_measure(reference, estimated), len(made) / max(1, len(right_N5))


if __name__ == "__main__":
    main(*sys.argv[1:])
