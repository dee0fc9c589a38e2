"""The shipped model of factors: its size, and that it has A's rhythm, B's chords, and no way to copy either."""

from pathlib import Path

import numpy as np
import pytest
import torch

from powermuse import weights
from powermuse.audio import features
from powermuse.codes import harmony
from powermuse.composing.composer import Composer
from powermuse.metrics import chords
from powermuse.types import Clip
from powermuse.weights import LoadedModel

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return weights.load_model("factors")


def test_it_is_small_and_says_what_it_was_made_of():
    folder = weights.find_model("factors")
    assert (folder / "model.safetensors").stat().st_size < 20e6
    card = (folder / "CARD.md").read_text()
    assert all(word in card for word in ("Data", "Licence", "Limits", "Scores"))
    assert weights.load_model("factors").recipe.training.begin_from == ""


def test_on_the_examples_it_has_the_rhythm_of_one_and_the_chords_of_the_other(model):
    composer = Composer(model)
    groove, harmonic = (composer.listen(EXAMPLES / f"{name}.ogg") for name in ("groove", "harmony"))
    blend_N = composer.compose(groove, harmonic).wav_CN[0]
    with torch.inference_mode():
        curves = [
            features.onset_envelope(features.onset_strength(torch.from_numpy(np.ascontiguousarray(wav_N))[None]))[0]
            for wav_N in (blend_N, groove.wav_CN[0], harmonic.wav_CN[0])
        ]
    to_groove, to_harmony = (float(torch.corrcoef(torch.stack([curves[0], other]))[0, 1]) for other in curves[1:])
    assert to_groove > 0.8
    assert to_harmony < 0.3
    read = chords.evaluate(chords.read(harmonic.wav_CN[0]), chords.read(blend_N))
    assert read.root is not None and read.root > 0.6


def clip(seed: int, frames: int = 600) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    z_BDT = 5.0 + 4.0 * torch.randn(1, 128, frames, generator=generator)
    onsets_BKT = torch.rand(1, 8, frames, generator=generator) ** 8
    # Few notes at a time: what sounds all of them alike has no chord.
    chroma_BPT = torch.rand(1, 24, frames // 100, generator=generator).pow(6).repeat_interleave(100, dim=-1)
    return Clip(z_BDT, onsets_BKT, chroma_BPT, torch.full((1, frames), -20.0))


@torch.inference_mode()
def test_what_the_codes_drop_changes_no_bit_of_the_blend(model):
    groove, harmonic, other = clip(1), clip(2), clip(3)
    _, before = model.model(groove, harmonic)
    changed = groove._replace(z_BDT=other.z_BDT, chroma_BPT=other.chroma_BPT)
    # Groups of four frames in another order, within the time that each chord holds.
    chord_T = (harmony.states(harmonic.chroma_BPT)[0].diff(prepend=torch.tensor([-1])) != 0).cumsum(0)
    order = torch.cat([g[torch.randperm(len(g))] for g in ((chord_T == n).nonzero()[:, 0] for n in chord_T.unique())])
    shuffled_BDT = harmonic.z_BDT.unflatten(-1, (150, 4))[:, :, order].flatten(2)
    moved = harmonic._replace(z_BDT=shuffled_BDT, onsets_BKT=other.onsets_BKT, level_BT=other.level_BT - 7.0)
    _, after = model.model(changed, moved)
    assert torch.equal(before.blend_BDT, after.blend_BDT)
    assert not torch.equal(harmony.code(harmonic.chroma_BPT), harmony.code(other.chroma_BPT))
    _, elsewhere = model.model(groove, harmonic._replace(chroma_BPT=other.chroma_BPT))
    assert not torch.allclose(before.blend_BDT, elsewhere.blend_BDT, atol=0.5)
