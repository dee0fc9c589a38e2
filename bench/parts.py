"""Which part of a composer keeps its blends from the truth: rendered validation triplets (with their sound) through the
codec, then painted with the truth's notes and with its own, then with the levels of channels and frames set right;
and how far off truths are that are blurred a little, or half a draft.
Fréchet distance by the judges' embedding, mel distance, flux: `python bench/parts.py MODEL TRIPLETS [--count 20]`."""

import argparse
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from powermuse import weights
from powermuse.audio.spectra import power_spectrum
from powermuse.data.sources import TripletSource
from powermuse.data.triplets import Triplets
from powermuse.metrics import quality, truth
from powermuse.metrics.judges import embedding_musicnn
from powermuse.model import score
from powermuse.types import Brief

_FRAMES = 1200
_LEVEL = 0.1


class Heard(NamedTuple):
    """Windows of the embedding, log mel and flux of one sound."""

    windows: np.ndarray
    mel_MT: np.ndarray
    flux: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("triplets")
    parser.add_argument("--count", type=int, default=20)
    told = parser.parse_args()
    loaded = weights.load_model(told.model)
    known = Triplets(told.triplets, "val", told.count)
    names = loaded.recipe.flow.orchestrations
    source = TripletSource(known, _FRAMES, 0, notes=True, orchestrations=names)
    heard: dict[str, list[Heard]] = defaultdict(list)
    for number in range(told.count):
        for name, wav_N in sounds(loaded, source, number).items():
            heard[name].append(hear(wav_N))
    right = heard["truth"]
    axes = quality.principal(np.concatenate([one.windows for one in right]))
    for name, made in heard.items():
        sets = [np.concatenate([one.windows for one in each]) @ axes for each in (right, made)]
        mel = np.mean([truth.mel_distance(a.mel_MT, b.mel_MT) for a, b in zip(made, right, strict=True)])
        flux = np.mean([one.flux for one in made])
        print(f"{name:32} Fréchet {quality.frechet(*sets):6.2f}  mel {mel:.3f}  flux {flux:.3f}")


@torch.inference_mode()
def sounds(loaded: weights.LoadedModel, source: TripletSource, number: int) -> dict[str, np.ndarray]:
    """The truth of a pair, and all that is made of it."""
    model, codec = loaded.model.eval(), weights.build_codec(loaded.recipe)
    draw, pair = source.draw(number), source.batch(number, 1)
    z_BDT, right_BQT = pair.truth.z_BDT, pair.notes_BQT
    proposal = model.agent(pair.groove, pair.harmony)
    with_right = model.cascade(proposal, Brief(None, pair.orchestration_B, right_BQT)).drafts[0]
    own = model.cascade(proposal, Brief(None, pair.orchestration_B))
    flow = loaded.recipe.flow
    own_BQT = score.to_roll(score.settled(own.notes_BQN.sigmoid(), flow), flow.pool, z_BDT.shape[-1])
    made = {
        "through the codec": codec.decode(z_BDT),
        "decoded with its notes": codec.decode_played(z_BDT, right_BQT),
        "painted, the truth's notes": codec.decode_played(with_right, right_BQT),
        "and its means of channels": codec.decode_played(levelled(with_right, z_BDT, (2,)), right_BQT),
        "and those of frames": codec.decode_played(levelled(with_right, z_BDT, (2, 1)), right_BQT),
        "truth, over 3 frames": codec.decode_played(blurred(z_BDT, 2), right_BQT),
        "truth, over 3 channels": codec.decode_played(blurred(z_BDT, 1), right_BQT),
        "half truth, half painted": codec.decode_played(0.5 * (z_BDT + own.drafts[0]), right_BQT),
        "painted, its own notes": codec.decode_played(own.drafts[0], own_BQT),
    }
    right_N = source.dataset.sound(draw.triplet, draw.roles[2])
    return {"truth": right_N[: _FRAMES * codec.hop_samples], **{name: wav[0, 0].numpy() for name, wav in made.items()}}


def levelled(draft_BDT: Tensor, truth_BDT: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A draft moved by the median of its error along one dimension after another."""
    for dim in dims:
        draft_BDT = draft_BDT + (truth_BDT - draft_BDT).median(dim=dim, keepdim=True).values
    return draft_BDT


def blurred(z_BDT: Tensor, dim: int) -> Tensor:
    """Means of three neighbours along a dimension; where there are two, of these."""
    size = z_BDT.shape[dim]
    found = [z_BDT.narrow(dim, max(0, i - 1), min(size, i + 2) - max(0, i - 1)).mean(dim, True) for i in range(size)]
    return torch.cat(found, dim=dim)


def hear(wav_N: np.ndarray) -> Heard:
    """What the measures look at, at one level."""
    wav_N = (wav_N * _LEVEL / max(float(np.sqrt(np.mean(np.square(wav_N)))), 1e-6)).astype(np.float32)
    magnitude_FT = power_spectrum(torch.from_numpy(wav_N)[None], 1024, 256)[0].sqrt().numpy()
    return Heard(embedding_musicnn.read(wav_N), truth.log_mel(wav_N), quality.flux(magnitude_FT))


if __name__ == "__main__":
    main()
