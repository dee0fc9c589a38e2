"""The compositional agent: its size, its components, its penalties."""

import pytest
import torch

from powermuse import registry
from powermuse.agents import rms
from powermuse.agents.compositional import COMPONENTS, source_balance
from powermuse.types import BadInput, Clip


def clip(z: torch.Tensor) -> Clip:
    batch, _, frames = z.shape
    return Clip(z, torch.zeros(batch, 8, frames), torch.zeros(batch, 24, frames), torch.zeros(batch, frames))


def weights(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_it_has_the_weights_of_the_reference():
    agent = registry.build("agents", "compositional", {}, latent_dim=128)
    assert weights(agent) == 14_515_078
    assert weights(agent.extractors[0]) == weights(agent.extractors[1]) == 722_048


@pytest.fixture
def agent() -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"width": 8, "composer_width": 16, "composer_layers": 1, "heads": 2}
    return registry.build("agents", "compositional", options, latent_dim=12).eval()


def test_the_pattern_has_the_rms_of_the_groove_from_the_start(agent):
    groove, harmony = clip(5.7 * torch.randn(2, 12, 60)), clip(torch.randn(2, 12, 60))
    pattern, beside = agent(groove, harmony).streams
    torch.testing.assert_close(rms(pattern), rms(groove.z_BDT), rtol=1e-3, atol=1e-3)
    assert torch.equal(beside, harmony.z_BDT)


def test_selection_weights_sum_to_one_and_are_told_by_component(agent):
    stats = agent(clip(torch.randn(1, 12, 60)), clip(torch.randn(1, 12, 60))).stats
    assert sum(float(stats[f"component.{name}.weight"]) for name in COMPONENTS) == pytest.approx(1.0, abs=1e-5)
    assert 0.0 <= float(stats["component.decided"]) <= 1.0


def test_rhythm_looks_least_far_and_timbre_furthest(agent):
    z = torch.zeros(1, 12, 101, requires_grad=True)
    reach = []
    for branch in agent.extractors[0].branches:
        (gradient,) = torch.autograd.grad(branch(z)[..., 50].sum(), z)
        reach.append(int((gradient.abs().sum(dim=(0, 1)) > 0).sum()))
    assert reach == [7, 15, 35]  # k1 + k2 - 1


def test_source_balance_is_0_at_half_and_a_quarter_at_one_source():
    even = torch.full((1, 6, 4), 1 / 6)
    groove_alone = torch.zeros(1, 6, 4)
    groove_alone[:, 1] = 1.0
    assert float(source_balance(even)) == pytest.approx(0.0, abs=1e-12)
    assert float(source_balance(groove_alone)) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"heads": 0}, "heads must be above 0"),
        ({"composer_width": 0}, "composer_width must be above 0"),
        ({"width": -3}, "width must be above 0"),
        ({"composer_layers": -1}, "composer_layers must not be below 0"),
        ({"dropout": 1.5}, "dropout must be from 0 to below 1"),
    ],
)
def test_options_that_make_no_agent_are_refused(options, said):
    with pytest.raises(BadInput, match=said):
        registry.build("agents", "compositional", options, latent_dim=12)
