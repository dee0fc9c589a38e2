"""How well the notes that a model of factors plays are those of the truth, on the validation triplets of a data set:
`python bench/notes.py MODEL TRIPLETS [flow.strikes=0.4 ...]`."""

import sys

import numpy as np
import torch

from powermuse.audio import features
from powermuse.composing import notes
from powermuse.data import rolls
from powermuse.data.triplets import Triplets
from powermuse.metrics import truth
from powermuse.model import score as scores
from powermuse.types import Brief
from powermuse.weights import load_model


@torch.inference_mode()
def main(model: str, dataset: str, *settings: str) -> None:
    notes.check_told(model)
    loaded, known = load_model(model, list(settings)), Triplets(dataset, "val")
    loaded.model.cascade.score_alone()
    flow, found = loaded.recipe.flow, []
    for index in known.numbers:
        groove, harmony = (known.clip(index, role) for role in ("groove", "harmony"))
        way = known.orchestrations(index)[0]
        number = 1 + flow.orchestrations.index(way) if way in flow.orchestrations else 0
        _, composition = loaded.model(groove, harmony, Brief(orchestration_B=torch.tensor([number])))
        right = known.pitched(index, "truth.0").double().numpy()
        inside = (right[:, 2] >= rolls.LOW_PITCH) & (right[:, 2] < rolls.LOW_PITCH + scores.NOTES)
        found.append(score(right[inside], scores.settled(composition.notes_BQN.sigmoid(), flow), flow.pool))
    f, many, overlap = np.mean(found, axis=0)
    print(f"F {f:.3f} (pitch, onset within 50 ms), {many:.2f} notes for each of the truth's; sounding F {overlap:.3f}")


def score(right_N5: np.ndarray, played: scores.Score, pool: int) -> tuple[float, float, float]:
    token_s = pool / features.FRAME_RATE_HZ
    sounds_QN, struck_QN = (x[0].bool().numpy() for x in played)
    tokens = sounds_QN.shape[1]
    made = notes.found(sounds_QN, struck_QN, np.ones(tokens), token_s, tokens * token_s)
    estimated = truth.Notes(np.array([n.start_s for n in made]), np.array([float(n.pitch) for n in made]))
    reference = truth.Notes(right_N5[:, 0], right_N5[:, 2])
    right_QN = scores.of_roll(torch.from_numpy(rolls.roll(right_N5, 0, tokens * pool))[None], pool).sounds_BQN[0] > 0
    both = (right_QN.numpy() & sounds_QN).sum()
    overlap = 2.0 * both / max(1, right_QN.sum().item() + sounds_QN.sum())
    return truth.note_f_measure(reference, estimated), len(made) / max(1, len(right_N5)), overlap


if __name__ == "__main__":
    main(*sys.argv[1:])
