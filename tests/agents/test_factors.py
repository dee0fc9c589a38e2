"""The factors agent: nothing passes but the codes."""

from itertools import pairwise

import pytest
import torch

from powermuse import registry
from powermuse.agents.factors import FactorsAgent
from powermuse.codes import harmony as chords
from powermuse.codes import voicing
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


def shuffled_within_chords(clip: Clip) -> Clip:
    """The same latents in another order: four frames after four, each chord's among themselves. (Of the frames every
    fourth is looked at by the colour.)"""
    generator = torch.Generator().manual_seed(0)
    states_T = chords.states(clip.chroma_BPT)[0]
    borders = [0, *(1 + (states_T.diff() != 0).nonzero()[:, 0]).tolist(), len(states_T)]
    order = [a + torch.randperm(b - a, generator=generator) for a, b in pairwise(borders)]
    places = (4 * torch.cat(order)[:, None] + torch.arange(4)).flatten()
    assert not torch.equal(places, places.sort().values)
    return clip._replace(z_BDT=clip.z_BDT[..., places])


def test_of_the_groove_only_onsets_and_level_pass(pair, clip):
    groove, harmony = pair
    other = clip(3, frames=FRAMES)
    changed = groove._replace(z_BDT=other.z_BDT, chroma_BPT=other.chroma_BPT, beats_BT=None)
    for before, after in zip(streams(agent(), groove, harmony), streams(agent(), changed, harmony), strict=True):
        assert torch.equal(before, after)


def test_of_the_harmony_neither_onsets_nor_level_nor_the_order_of_its_latents_within_a_chord_pass(pair, clip):
    groove, harmony = pair
    other = clip(3, frames=FRAMES)
    changed = shuffled_within_chords(harmony)._replace(onsets_BKT=other.onsets_BKT, level_BT=other.level_BT)
    for before, after in zip(streams(agent(), groove, harmony), streams(agent(), groove, changed), strict=True):
        assert torch.equal(before, after)


def test_without_a_voicing_the_order_of_all_its_latents_is_dropped_and_what_lies_between_them(pair, clip):
    groove, harmony = pair
    other = clip(3, frames=FRAMES)
    order = torch.randperm(FRAMES // 4)
    looked_at = harmony.z_BDT[..., ::4][..., order]
    moved = torch.full_like(harmony.z_BDT, 99.0)
    moved[..., ::4] = looked_at
    changed = harmony._replace(z_BDT=moved, onsets_BKT=other.onsets_BKT, level_BT=other.level_BT, beats_BT=None)
    made = agent(voicing=False)
    for before, after in zip(streams(made, groove, harmony), streams(made, groove, changed), strict=True):
        assert torch.equal(before, after)


def test_each_factor_moves_with_the_clip_that_it_comes_from_and_with_no_other(pair, clip):
    groove, harmony = pair
    other = clip(3, frames=FRAMES)
    before = streams(agent(), groove, harmony)
    new_groove, new_harmony = streams(agent(), other, harmony), streams(agent(), groove, other)
    moved = [not torch.equal(a, b) for a, b in zip(before, new_groove, strict=True)]
    assert moved == [True, False, False, False]
    moved = [not torch.equal(a, b) for a, b in zip(before, new_harmony, strict=True)]
    assert moved == [False, True, True, True]


def test_factors_may_be_exchanged(pair):
    groove, harmony = pair
    turned = agent(rhythm_from=[0.0, 1.0], harmony_from=[1.0, 0.0], colour_from=[1.0, 0.0])
    for a, b in zip(streams(turned, groove, harmony), streams(agent(), harmony, groove), strict=True):
        assert torch.equal(a, b)


def test_a_factor_of_both_lies_between_them(pair):
    groove, harmony = pair
    both = streams(agent(colour_from=[1.0, 3.0], rhythm_from=[1.0, 1.0]), groove, harmony)
    own, other = streams(agent(), groove, harmony), streams(agent(), harmony, groove)
    torch.testing.assert_close(both[3], 0.25 * other[3] + 0.75 * own[3])
    # Two clips of noise, as strong as each other but for chance.
    torch.testing.assert_close(both[0], torch.maximum(own[0], other[0]), atol=0.01, rtol=0.0)


def test_half_a_strength_is_half_a_rhythm(pair):
    half = streams(agent(rhythm_from=[0.5, 0.0]), *pair)[0]
    torch.testing.assert_close(half, 0.5 * streams(agent(), *pair)[0])


OF_A, OF_B, OF_BOTH = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]


@pytest.mark.parametrize(("harmony_from", "colour_from"), [(OF_B, OF_B), (OF_A, OF_A), ([0.0, 0.3], [0.0, 2.0])])
def test_where_one_clip_alone_gives_chords_and_colour_their_voicing_is_known(pair, harmony_from, colour_from):
    giver = pair[0] if harmony_from == OF_A else pair[1]
    found = streams(agent(harmony_from=harmony_from, colour_from=colour_from), *pair)[2]
    assert torch.equal(found, voicing.code(giver.z_BDT, chords.states(giver.chroma_BPT), 4))
    assert (found[:, -1] == 1).all()


@pytest.mark.parametrize(
    ("harmony_from", "colour_from"), [(OF_BOTH, OF_B), (OF_B, OF_BOTH), (OF_BOTH, OF_BOTH), (OF_A, OF_B), (OF_B, OF_A)]
)
def test_where_chords_and_colour_are_not_of_one_clip_the_voicing_is_left_open(pair, harmony_from, colour_from):
    found = streams(agent(harmony_from=harmony_from, colour_from=colour_from), *pair)
    assert len(found) == 4 and found[2].shape == (1, voicing.rows(16), FRAMES) and not found[2].any()


def test_no_gradient_leads_from_the_latents_of_a_or_the_onsets_of_b_to_any_stream(pair):
    groove, harmony = (clip.map(lambda x: x.clone().requires_grad_()) for clip in pair)
    for stream in agent()(groove, harmony).streams:
        hidden = [groove.z_BDT, groove.chroma_BPT, harmony.onsets_BKT, harmony.level_BT]
        slopes = torch.autograd.grad(stream.sum(), hidden, retain_graph=True, allow_unused=True)
        assert slopes == (None, None, None, None)


def test_in_training_a_voicing_is_left_open_now_and_then_a_clip_at_a_time(clip):
    groove, harmony = clip(1, batch=1000, frames=8), clip(2, batch=1000, frames=8)
    torch.manual_seed(0)
    found = agent(voicing_drop=0.3).train()(groove, harmony).streams[2]
    known_B = found[:, -1].amax(dim=-1) == 1
    assert not found[~known_B].any()
    assert torch.equal(found[known_B], agent()(groove, harmony).streams[2][known_B])
    assert abs(int(known_B.sum()) - 700) < 73  # five standard deviations
    for share, told in ((0.0, True), (1.0, False)):
        assert bool(agent(voicing_drop=share).train()(groove, harmony).streams[2].any()) is told


def test_without_a_voicing_there_are_three_streams_the_same_as_with_it(pair):
    plain, voiced = streams(agent(voicing=False), *pair), streams(agent(), *pair)
    assert len(plain) == len(agent(voicing=False).stream_dims) == 3
    assert all(torch.equal(plain[i], voiced[k]) for i, k in ((0, 0), (1, 1), (2, 3)))


@pytest.mark.parametrize("with_voicing", [True, False])
def test_every_stream_belongs_to_a_factor(with_voicing):
    made = agent(voicing=with_voicing)
    rhythm, harmony, colour = made.factors or ((0,), (1,), (2,))
    assert sorted({*rhythm, *harmony, *colour}) == list(range(len(made.stream_dims)))
    assert made.stream_dims[rhythm[0]] == 4 and made.stream_dims[colour[0]] == 3 * 16
    assert (2 in harmony and 2 in colour) is with_voicing


@pytest.mark.parametrize("given", [[1.0], [0.0, 0.0], [1.0, -0.5], [1.0, 1.0, 1.0]])
def test_strengths_that_make_no_sense_are_refused(given):
    with pytest.raises(BadInput, match="rhythm_from takes two strengths"):
        agent(rhythm_from=given)


def test_in_training_the_rhythm_is_that_of_an_augmented_clip(pair):
    made = agent().train()
    torch.manual_seed(0)
    assert not torch.equal(made(*pair).streams[0], made(*pair).streams[0])


@pytest.mark.parametrize("options", [{"voicing_quantiles": [0.0, 0.5, 1.0]}, {"colour_quantiles": [0.5]}], ids=str)
def test_voicing_and_colour_have_a_level_for_each_of_their_quantiles(options, pair):
    made = agent(**options)
    found = streams(made, *pair)
    assert tuple(stream.shape[1] for stream in found) == made.stream_dims
    levels = {"voicing_quantiles": 5, "colour_quantiles": 3} | {name: len(q) for name, q in options.items()}
    assert found[2].shape[1] == 16 * levels["voicing_quantiles"] + 1
    assert found[3].shape[1] == 16 * levels["colour_quantiles"]


@pytest.mark.parametrize("options", [{"voicing_quantiles": []}, {"colour_quantiles": [0.5, 1.1]}], ids=str)
def test_quantiles_that_are_none_are_refused(options):
    with pytest.raises(BadInput, match=next(iter(options))):
        agent(**options)


@pytest.mark.parametrize(("option", "value"), [("voicing_drop", 5.0), ("voicing_drop", -0.1), ("jitter", 1e30)])
def test_chances_and_spreads_that_make_no_sense_are_refused(option, value):
    with pytest.raises(BadInput, match=f"{option} must be from 0"):
        agent(**{option: value})
