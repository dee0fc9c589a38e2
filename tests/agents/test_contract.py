"""What every agent in the folder must do. A new agent needs an entry in OPTIONS."""

import ast
import inspect

import pytest
import torch
from torch import Tensor

from powermuse import registry
from powermuse.agents import Agent
from powermuse.types import BadInput, Clip

LATENT_DIM, FRAMES = 16, 24
# Each agent at toy size, in all its kinds.
OPTIONS: dict[str, list[dict]] = {
    "factors": [{}, {"voicing": False}, {"bands": 2, "rhythm_from": [1.0, 0.5], "colour_from": [0.5, 0.5]}],
    "fixed": [
        {"kind": kind, "segment_frames": 6, "fade_frames": 2}
        for kind in ("temporal", "frequency", "spectral", "energy", "hybrid", "groove")
    ],
    "masking": [
        {"hidden": 16, "heads": 2, "hard": hard, "form": form} for form in ("claims", "split") for hard in (False, True)
    ],
    "compositional": [{"width": 8, "composer_width": 16, "composer_layers": 1, "heads": 2}],
}
CASES = [(name, options) for name in registry.names("agents") for options in OPTIONS.get(name, [None])]


def _label(case) -> str:
    name, options = case
    return "-".join([name, *(str(options[key]) for key in ("kind", "form", "hard") if options and key in options)])


@pytest.fixture(params=CASES, ids=_label)
def agent(request) -> Agent:
    name, options = request.param
    if options is None:
        pytest.fail(f"the agent {name} is not tested: give it an entry in OPTIONS of {__file__}")
    torch.manual_seed(0)
    return registry.build("agents", name, options, latent_dim=LATENT_DIM).eval()


@pytest.fixture
def groove(clip) -> Clip:
    return clip(1, batch=3)


@pytest.fixture
def harmony(clip) -> Clip:
    return clip(2, batch=3)


def _tensors(proposal) -> list[Tensor]:
    return [x for x in (*proposal.streams, proposal.residual_BDT, *(proposal.masks or ())) if x is not None]


def test_streams_have_the_channels_that_the_agent_announces_and_the_frames_of_the_clips(agent, groove, harmony):
    proposal = agent(groove, harmony)
    assert [tuple(stream.shape) for stream in proposal.streams] == [(3, d, FRAMES) for d in agent.stream_dims]
    assert proposal.residual_BDT is None or proposal.residual_BDT.shape == (3, LATENT_DIM, FRAMES)


def test_a_clip_in_a_batch_is_treated_as_it_is_alone(agent, groove, harmony):
    together = _tensors(agent(groove, harmony))
    for k in range(3):
        one = slice(k, k + 1)
        alone = _tensors(agent(groove.map(lambda x, one=one: x[one]), harmony.map(lambda x, one=one: x[one])))
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[one], part, rtol=1e-5, atol=1e-5)


def test_masks_lie_between_0_and_1(agent, groove, harmony):
    for mask in agent(groove, harmony).masks or ():
        assert mask.shape == (3, LATENT_DIM, FRAMES)
        assert 0.0 <= float(mask.detach().min()) <= float(mask.detach().max()) <= 1.0


@pytest.mark.parametrize("silent", [False, True], ids=["music", "silence"])
def test_penalties_are_the_announced_ones_and_finite_with_their_gradients(agent, clip, silent):
    agent.train()
    torch.manual_seed(1)
    proposal = agent(clip(1, batch=3, silent=silent), clip(2, batch=3, silent=silent))
    assert set(proposal.penalties) == set(agent.penalty_names)
    for name, penalty in proposal.penalties.items():
        assert penalty.shape == () and penalty.isfinite(), name
        slopes = torch.autograd.grad(penalty, list(agent.parameters()), retain_graph=True, allow_unused=True)
        assert any(slope is not None for slope in slopes), f"{name} teaches nothing"
        assert all(slope.isfinite().all() for slope in slopes if slope is not None), name


@pytest.mark.parametrize("silent", [False, True], ids=["music", "silence"])
def test_what_is_proposed_is_finite_with_its_gradient(agent, clip, silent):
    groove, harmony = (clip(seed, batch=3, silent=silent).map(torch.Tensor.requires_grad_) for seed in (1, 2))
    tensors = _tensors(agent.train()(groove, harmony))
    assert all(x.isfinite().all() for x in tensors)
    wanted = [groove.z_BDT, harmony.z_BDT, *agent.parameters()]
    carrying = [x.square().sum() for x in tensors if x.requires_grad]
    slopes = torch.autograd.grad(torch.stack(carrying).sum(), wanted, allow_unused=True)
    assert all(slope.isfinite().all() for slope in slopes if slope is not None)


def test_stats_are_finite_scalars(agent, groove, harmony):
    for name, value in agent.train()(groove, harmony).stats.items():
        assert value.shape == () and value.isfinite(), name


def test_truth_cannot_reach_an_agent(agent):
    assert list(inspect.signature(agent.forward).parameters) == ["groove", "harmony"]
    assert "truth" not in Clip._fields


def test_the_clips_are_left_as_they_were(agent, groove, harmony):
    before = [x.clone() for x in (*groove, *harmony)]
    agent(groove, harmony)
    for was, now in zip(before, (*groove, *harmony), strict=True):
        assert torch.equal(was, now)


def test_a_clip_of_one_frame_is_composed_or_refused_in_words(agent, clip):
    try:
        proposal = agent(clip(1, frames=1), clip(2, frames=1))
    except BadInput as refusal:
        assert "frame" in str(refusal)
    else:
        assert all(x.shape[-1] == 1 and x.isfinite().all() for x in _tensors(proposal))


def test_in_evaluation_chance_has_no_part(agent, groove, harmony):
    torch.manual_seed(1)
    first = agent(groove, harmony)
    torch.manual_seed(2)
    second = agent(groove, harmony)
    for a, b in zip(_tensors(first), _tensors(second), strict=True):
        assert torch.equal(a, b)
    assert first.penalties == second.penalties and first.stats == second.stats


def test_no_agent_imports_another(agent):
    module = inspect.getmodule(type(agent))
    others = {f"powermuse.agents.{name}" for name in registry.names("agents")} - {module.__name__}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom):
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        else:
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        assert not names & others
