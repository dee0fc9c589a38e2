"""The masking agent: its size, its masks, and who hears whom."""

import pytest
import torch
from torch import nn

from powermuse.agents.masking import Config, CrossAttention, MaskingAgent
from powermuse.types import BadInput

SMALL = {"hidden": 16, "heads": 2}


def _agent(hard: bool = False, dropout: float = 0.0) -> MaskingAgent:
    torch.manual_seed(0)
    return MaskingAgent(Config(**SMALL, hard=hard, dropout=dropout), 16)


def test_with_its_defaults_it_has_1083904_weights():
    assert sum(p.numel() for p in MaskingAgent(Config(), 128).parameters()) == 1_083_904


def test_hard_masks_are_0_or_1_and_complementary(clip):
    groove, harmony = _agent(hard=True)(clip(1, batch=4, frames=200), clip(2, batch=4, frames=200)).masks
    assert set(groove.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(groove + harmony, torch.ones_like(groove))


def test_a_hard_mask_goes_to_the_stronger_soft_claim(clip):
    clips = clip(1), clip(2)
    hard, soft = _agent(hard=True)(*clips).masks, _agent(hard=False)(*clips).masks
    assert torch.equal(hard[0].round() == 1.0, soft[0] >= soft[1])


def test_hard_masks_pass_the_gradient_of_soft_ones_to_both_heads(clip):
    clips = clip(1), clip(2)
    weights = torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(5))
    slopes = {}
    for hard in (False, True):
        agent = _agent(hard)
        groove, harmony = agent(*clips).masks
        (weights[0] * groove + weights[1] * harmony).sum().backward()
        slopes[hard] = [p.grad for head in agent.heads for p in head.parameters()]
    for straight_through, soft in zip(slopes[True], slopes[False], strict=True):
        assert float(soft.abs().max()) > 0
        torch.testing.assert_close(straight_through, soft)


@pytest.mark.parametrize("hard", [False, True])
def test_masked_clips_keep_the_rms_they_had(clip, hard):
    loudness = torch.tensor([0.1, 1.0, 30.0])[:, None, None]
    groove, harmony = (clip(seed, batch=3) for seed in (1, 2))
    groove = groove._replace(z_BDT=groove.z_BDT * loudness)
    streams = _agent(hard)(groove, harmony).streams
    for stream, source in zip(streams, (groove, harmony), strict=True):
        torch.testing.assert_close(stream.square().mean((1, 2)), source.z_BDT.square().mean((1, 2)), rtol=1e-3, atol=0)


def test_streams_and_penalties_come_from_the_masks_that_are_reported(clip):
    # In training with dropout every look gives other masks: a second forward would betray itself.
    groove, harmony = clip(1), clip(2)
    proposal = _agent(dropout=0.5).train()(groove, harmony)
    for stream, source, mask in zip(proposal.streams, (groove, harmony), proposal.masks, strict=True):
        gain = stream / (source.z_BDT * mask)
        torch.testing.assert_close(gain, gain.mean().expand_as(gain))
    m_g, m_h = (mask.detach().numpy() for mask in proposal.masks)
    found = {name: float(value.detach()) for name, value in proposal.penalties.items()}
    own = ("mask.overlap", "mask.coverage", "mask.diversity", "mask.balance")
    assert {name: found[name] for name in own} == pytest.approx(
        {
            "mask.overlap": (m_g * m_h).mean(),
            "mask.coverage": ((m_g + m_h - 1) ** 2).mean(),
            "mask.diversity": sum(max(0.0, 0.05 - m.var(axis=-1).mean()) for m in (m_g, m_h)),
            "mask.balance": (m_g.mean() - 0.5) ** 2 + (m_h.mean() - 0.5) ** 2,
        },
        abs=1e-6,
    )
    assert float(proposal.stats["overlap"].detach()) == pytest.approx(found["mask.overlap"])


def test_a_split_is_one_mask_and_its_complement_balanced_in_every_clip_and_channel(clip):
    agent = MaskingAgent(Config(hidden=16, heads=2, dropout=0.0, form="split"), 16).train()
    groove, harmony = clip(1, frames=400), clip(2, frames=400)
    with torch.no_grad():
        for _ in range(3):
            mask, other = agent(groove, harmony).masks
    assert torch.equal(mask + other, torch.ones_like(mask))
    assert float((mask.mean(dim=(1, 2)) - 0.5).abs().max()) < 0.05
    assert float((mask.mean(dim=(0, 2)) - 0.5).abs().max()) < 0.1
    # A bias that would give a channel of the prototype away changes nothing here.
    with torch.no_grad():
        agent.heads[0][-1].bias[:8] += 10.0
        pushed, _ = agent(groove, harmony).masks
    torch.testing.assert_close(pushed, mask, atol=1e-3, rtol=0)


def test_the_onset_penalty_is_one_minus_the_gap_of_each_side(clip):
    from powermuse.losses import masks

    groove, harmony = clip(1), clip(2)
    proposal = _agent()(groove, harmony)
    for side, mask, source in zip(("groove", "harmony"), proposal.masks, (groove, harmony), strict=True):
        wanted = 1.0 - float(masks.onset_gap(mask, source.onsets_BKT).detach())
        assert float(proposal.penalties[f"mask.onsets.{side}"].detach()) == pytest.approx(wanted)


def test_hard_masks_overlap_nowhere_and_cover_everything(clip):
    proposal = _agent(hard=True)(clip(1), clip(2))
    assert float(proposal.penalties["mask.overlap"].detach()) == 0.0
    assert float(proposal.penalties["mask.coverage"].detach()) == 0.0
    assert float(proposal.stats["complementarity"].detach()) == 1.0


@pytest.mark.parametrize("listener", [0, 1], ids=["groove hears harmony", "harmony hears groove"])
def test_the_last_frame_of_one_clip_moves_the_first_frame_of_the_others_mask(clip, listener):
    # 24 frames apart: beyond what two convolutions of width 3 reach, so only attention can do it.
    agent = _agent()
    latents = [clip(1).z_BDT, clip(2).z_BDT]
    other = latents[1 - listener].requires_grad_()

    def reach():
        return torch.autograd.grad(agent.masks(*latents)[listener][..., 0].sum(), other, allow_unused=True)[0]

    assert float(reach()[..., -1].abs().max()) > 0
    nn.init.zeros_(agent.look.out.weight)
    assert float(reach().abs().max()) == 0.0


def test_another_partner_gives_the_groove_another_mask(clip):
    agent = _agent()
    with torch.no_grad():
        first, second = (agent(clip(1), clip(seed)).masks[0] for seed in (2, 3))
    assert float((first - second).abs().max()) > 1e-3


def test_cross_attention_is_torchs_multi_head_attention():
    torch.manual_seed(0)
    ours, theirs = CrossAttention(16, 4, 0.0), nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x, y = torch.randn(2, 7, 16), torch.randn(2, 5, 16)
    torch.testing.assert_close(ours(x, y), theirs(x, y, y, need_weights=False)[0])


@pytest.mark.parametrize(
    "bad",
    [{"hidden": 18, "heads": 4}, {"hidden": 15, "heads": 3}, {"heads": 0}, {"hidden": 0}, {"dropout": 1.5}],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(bad):
    with pytest.raises(BadInput, match="agent masking"):
        MaskingAgent(Config(**bad), 16)
