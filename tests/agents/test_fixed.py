"""The five fixed divisions by values known by hand."""

import dataclasses

import pytest
import torch

from powermuse.agents.fixed import Config, FixedAgent
from powermuse.types import BadInput

FADE = torch.tensor([0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05])


@pytest.fixture
def propose(clip):
    """Proposal of a kind for clips of ones, so that the streams are the masks, or for the latents given."""

    def make(kind, latent_dim=10, frames=600, groove=None, **options):
        ones = clip(latent_dim=latent_dim, frames=frames)._replace(z_BDT=torch.ones(1, latent_dim, frames))
        agent = FixedAgent(Config(kind, **options), latent_dim)
        return agent(ones if groove is None else ones._replace(z_BDT=groove), ones)

    return make


def test_temporal_gives_the_groove_the_first_150_frames_and_then_takes_turns(propose):
    groove, harmony = propose("temporal").streams
    for channel in range(10):
        assert torch.equal(groove[0, channel, :140], torch.ones(140))
        torch.testing.assert_close(groove[0, channel, 140:150], FADE)
        assert torch.equal(groove[0, channel, 150:290], torch.zeros(140))
        torch.testing.assert_close(groove[0, channel, 290:300], FADE.flip(0))
        assert torch.equal(groove[0, channel, 300:440], torch.ones(140))
    torch.testing.assert_close(groove + harmony, torch.ones(1, 10, 600))


def test_temporal_segments_and_fades_have_the_lengths_asked_for(propose):
    groove, _ = propose("temporal", frames=8, segment_frames=4, fade_frames=2).streams
    torch.testing.assert_close(groove[0, 0], torch.tensor([1.0, 1.0, 0.75, 0.25, 0.0, 0.0, 0.25, 0.75]))


@pytest.mark.parametrize(("latent_dim", "low"), [(10, 3), (128, 38)])
def test_frequency_keeps_30_percent_low_channels_for_the_groove_and_a_fifth_of_the_rest(propose, latent_dim, low):
    groove, harmony = propose("frequency", latent_dim, frames=4).streams
    assert torch.equal(groove[0, :low], torch.ones(low, 4))
    assert torch.equal(groove[0, low:], torch.full((latent_dim - low, 4), 0.2))
    assert torch.equal(harmony[0, :low], torch.full((low, 4), 0.2))
    assert torch.equal(harmony[0, low:], torch.ones(latent_dim - low, 4))


def test_spectral_gives_each_clip_half_of_the_channels_whole(propose):
    groove, harmony = propose("spectral", latent_dim=128, frames=5).streams
    assert torch.equal(groove + harmony, torch.ones(1, 128, 5))
    assert sorted(groove[0].sum(dim=1).tolist()) == [0.0] * 64 + [5.0] * 64


def test_spectral_halves_are_decided_by_the_seed_alone(propose):
    def half(seed):
        return propose("spectral", latent_dim=128, frames=1, seed=seed).streams[0]

    torch.manual_seed(1)
    first = half(3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, half(3))
    assert torch.equal(state, torch.get_rng_state())
    # 2 of the 2.4e37 halves of 128 channels being equal by chance: never.
    assert not torch.equal(first, half(4))


def test_energy_gives_the_groove_its_frames_above_the_70th_percentile(propose):
    loudness = torch.tensor([3.0, 10.0, 1.0, 8.0, 2.0, 7.0, 9.0, 4.0, 6.0, 5.0])
    groove, harmony = propose("energy", groove=loudness.expand(1, 10, 10), frames=10).masks
    loudest_three = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    assert torch.equal(groove[0], loudest_three.expand(10, 10))
    assert torch.equal(harmony, 1.0 - groove)


def test_energy_judges_each_clip_by_itself(clip):
    groove = clip(1, batch=2)
    groove = groove._replace(z_BDT=groove.z_BDT * torch.tensor([100.0, 0.01])[:, None, None])
    masks = FixedAgent(Config("energy"), 16)(groove, clip(2, batch=2)).masks
    assert masks[0].mean(dim=(1, 2)).tolist() == pytest.approx([7 / 24, 7 / 24])


def test_hybrid_is_temporal_times_frequency(propose):
    groove, harmony = (stream[0] for stream in propose("hybrid").streams)
    low, high = 2, 3  # either side of the border between the channels
    expected = {0: (1.0, 0.2, 0.0, 0.0), 200: (0.0, 0.0, 0.2, 1.0), 140: (0.95, 0.19, 0.01, 0.05)}
    for frame, values in expected.items():
        found = [float(x) for x in (groove[low, frame], groove[high, frame], harmony[low, frame], harmony[high, frame])]
        assert found == pytest.approx(values), frame


def test_groove_lets_the_groove_alone_through(clip):
    agent = FixedAgent(Config("groove"), 16)
    groove, harmony = clip(1), clip(2)
    proposal = agent(groove, harmony)
    assert agent.stream_dims == (16,) and proposal.masks is None
    assert torch.equal(proposal.streams[0], groove.z_BDT) and torch.equal(proposal.residual_BDT, groove.z_BDT)


@pytest.mark.parametrize("kind", ["temporal", "frequency", "spectral", "energy", "hybrid"])
def test_streams_are_the_clips_times_the_masks_and_the_residual_is_their_mean(clip, kind):
    groove, harmony = clip(1, frames=400), clip(2, frames=400)
    proposal = FixedAgent(Config(kind), 16)(groove, harmony)
    torch.testing.assert_close(proposal.streams[0], groove.z_BDT * proposal.masks[0])
    torch.testing.assert_close(proposal.streams[1], harmony.z_BDT * proposal.masks[1])
    torch.testing.assert_close(proposal.residual_BDT, sum(proposal.streams) / 2.0)


def test_nothing_of_the_groove_passes_where_its_mask_is_0(clip):
    groove = clip(1, frames=400)
    groove.z_BDT.requires_grad_()
    proposal = FixedAgent(Config("temporal"), 16)(groove, clip(2, frames=400))
    (slope,) = torch.autograd.grad(proposal.residual_BDT.sum(), groove.z_BDT)
    assert torch.equal(slope[..., 150:290], torch.zeros(1, 16, 140))
    assert torch.equal(slope[..., :140], torch.full((1, 16, 140), 0.5))


def test_the_statistics_are_those_of_the_masks(propose):
    stats = propose("temporal", frames=300).stats
    shared = 2 * float((FADE * (1 - FADE)).sum()) / 300  # two fades in 300 frames
    # With m_h = 1 - m_g and means of a half, -4 cov is 4 mean(m_g^2) - 1 = 1 - 4 mean(m_g m_h).
    assert {name: float(value) for name, value in stats.items()} == pytest.approx(
        {
            "balance.groove": 0.5,
            "balance.harmony": 0.5,
            "overlap": shared,
            "complementarity": 1.0 - shared,
            "separation": 1.0 - 4.0 * shared,
            "content_share": 1.0,
            "balance.clips": 0.0,
            "balance.channels": 0.0,
        },
        abs=1e-6,
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"fade_frames": 0},
        {"fade_frames": 150},
        {"low_share": 1.3},
        {"low_share": -0.1},
        {"other_side": -0.2},
        {"other_side": 1.2},
        {"percentile": 170.0},
    ],
    ids=str,
)
def test_options_that_make_no_mask_are_refused_by_name(bad):
    (name,) = bad
    with pytest.raises(BadInput, match=name):
        FixedAgent(dataclasses.replace(Config(), **bad), 16)
