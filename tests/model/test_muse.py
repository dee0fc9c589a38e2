"""Agent and cascade as one model."""

import inspect

import pytest
import torch

from powermuse.agents.fixed import Config, FixedAgent
from powermuse.model.cascade import Cascade
from powermuse.model.muse import Muse
from powermuse.recipe import CascadeRecipe
from powermuse.types import Clip

SMALL = CascadeRecipe(stages=1, layers=1, heads=4, ffn_multiple=1.0, dropout=0.0)


def _clip(seed: int) -> Clip:
    z = 5.7 * torch.randn(1, 16, 20, generator=torch.Generator().manual_seed(seed))
    return Clip(z, torch.zeros(1, 8, 20), torch.zeros(1, 24, 20), torch.zeros(1, 20))


def _muse(kind: str) -> Muse:
    torch.manual_seed(0)
    agent = FixedAgent(Config(kind), 16)
    return Muse(agent, Cascade(agent.stream_dims, 16, SMALL)).eval()


def test_the_cascade_composes_what_the_agent_proposes():
    muse = _muse("frequency")
    proposal, composition = muse(_clip(1), _clip(2))
    assert torch.equal(proposal.streams[0], muse.agent(_clip(1), _clip(2)).streams[0])
    assert torch.equal(composition.blend_BDT, muse.cascade(proposal).blend_BDT)


def test_truth_cannot_reach_the_model_but_as_what_a_flow_learns_from():
    assert list(inspect.signature(Muse.forward).parameters) == ["self", "groove", "harmony", "brief"]
    with pytest.raises(TypeError):  # a cascade takes no such thing
        _muse("groove")(_clip(1), _clip(2), "noised")


@pytest.mark.parametrize(("kind", "heard"), [("groove", False), ("frequency", True)])
def test_a_clip_that_the_agent_keeps_back_has_no_part_in_the_blend(kind, heard):
    groove, harmony = _clip(1), _clip(2)
    harmony.z_BDT.requires_grad_()
    _, composition = _muse(kind)(groove, harmony)
    (slope,) = torch.autograd.grad(composition.blend_BDT.square().sum(), harmony.z_BDT, allow_unused=True)
    assert (slope is not None and float(slope.abs().max()) > 0) is heard
