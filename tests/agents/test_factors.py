"""The factors agent: nothing passes but the codes."""

import pytest
import torch

from powermuse import registry
from powermuse.agents.factors import FactorsAgent
from powermuse.types import BadInput, Clip

FRAMES = 240


def agent(**options) -> FactorsAgent:
    return registry.build("agents", "factors", options, latent_dim=16).eval()


@pytest.fixture
def pair(clip) -> tuple[Clip, Clip]:
    return clip(1, frames=FRAMES), clip(2, frames=FRAMES)


def streams(made: FactorsAgent, groove: Clip, harmony: Clip) -> list[torch.Tensor]:
    proposal = made(groove, harmony)
    assert proposal.residual_BDT is None
    return list(proposal.streams)


def test_of_the_groove_only_onsets_and_level_pass(pair, clip):
    groove, harmony = pair
    other = clip(3, frames=FRAMES)
    changed = groove._replace(z_BDT=other.z_BDT, chroma_BPT=other.chroma_BPT, beats_BT=None)
    for before, after in zip(streams(agent(), groove, harmony), streams(agent(), changed, harmony), strict=True):
        assert torch.equal(before, after)


def test_of_the_harmony_neither_onsets_nor_level_nor_the_order_of_its_latents_pass(pair, clip):
    groove, harmony = pair
    other = clip(3, frames=FRAMES)
    order = torch.randperm(FRAMES // 4)
    looked_at = harmony.z_BDT[..., ::4][..., order]
    moved = torch.full_like(harmony.z_BDT, 99.0)
    moved[..., ::4] = looked_at
    changed = harmony._replace(z_BDT=moved, onsets_BKT=other.onsets_BKT, level_BT=other.level_BT, beats_BT=None)
    for before, after in zip(streams(agent(), groove, harmony), streams(agent(), groove, changed), strict=True):
        assert torch.equal(before, after)


def test_each_factor_moves_with_the_clip_that_it_comes_from_and_with_no_other(pair, clip):
    groove, harmony = pair
    other = clip(3, frames=FRAMES)
    before = streams(agent(), groove, harmony)
    new_groove, new_harmony = streams(agent(), other, harmony), streams(agent(), groove, other)
    moved = [not torch.equal(a, b) for a, b in zip(before, new_groove, strict=True)]
    assert moved == [True, False, False]
    moved = [not torch.equal(a, b) for a, b in zip(before, new_harmony, strict=True)]
    assert moved == [False, True, True]


def test_factors_may_be_exchanged(pair):
    groove, harmony = pair
    turned = agent(rhythm_from=[0.0, 1.0], harmony_from=[1.0, 0.0], colour_from=[1.0, 0.0])
    for a, b in zip(streams(turned, groove, harmony), streams(agent(), harmony, groove), strict=True):
        assert torch.equal(a, b)


def test_a_factor_of_both_lies_between_them(pair):
    groove, harmony = pair
    both = streams(agent(colour_from=[1.0, 3.0], rhythm_from=[1.0, 1.0]), groove, harmony)
    own, other = streams(agent(), groove, harmony), streams(agent(), harmony, groove)
    torch.testing.assert_close(both[2], 0.25 * other[2] + 0.75 * own[2])
    assert torch.equal(both[0], torch.maximum(own[0], other[0]))


def test_half_a_strength_is_half_a_rhythm(pair):
    half = streams(agent(rhythm_from=[0.5, 0.0]), *pair)[0]
    torch.testing.assert_close(half, 0.5 * streams(agent(), *pair)[0])


@pytest.mark.parametrize("given", [[1.0], [0.0, 0.0], [1.0, -0.5], [1.0, 1.0, 1.0]])
def test_strengths_that_make_no_sense_are_refused(given):
    with pytest.raises(BadInput, match="rhythm_from takes two strengths"):
        agent(rhythm_from=given)


def test_in_training_the_rhythm_is_that_of_an_augmented_clip(pair):
    made = agent().train()
    torch.manual_seed(0)
    assert not torch.equal(made(*pair).streams[0], made(*pair).streams[0])
