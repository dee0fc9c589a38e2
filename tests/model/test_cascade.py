"""The cascade: sizes, residuals, scale factors, noise, spectral norm."""

import pytest
import torch
from torch import Tensor, nn

from powermuse.model.cascade import Cascade
from powermuse.model.layers import sinusoids
from powermuse.recipe import CascadeRecipe
from powermuse.types import BadInput, Proposal

D, T = 16, 40
SMALL = {"layers": 1, "heads": 4, "ffn_multiple": 1.0, "dropout": 0.0}


def _random(seed: int, batch: int = 1, rms: float = 5.7, frames: int = T) -> Tensor:
    z = torch.randn(batch, D, frames, generator=torch.Generator().manual_seed(seed))
    return z * rms / z.square().mean(dim=(1, 2), keepdim=True).sqrt()


def _proposal(*streams: Tensor, residual: Tensor | None = None) -> Proposal:
    return Proposal(streams, residual, {}, {})


def _mixed(groove: Tensor, harmony: Tensor) -> Proposal:
    return _proposal(groove, harmony, residual=0.5 * (groove + harmony))


def _cascade(streams: int = 2, *, silent_heads: bool = False, **settings) -> Cascade:
    torch.manual_seed(0)
    cascade = Cascade((D,) * streams, D, CascadeRecipe(**{**SMALL, **settings})).eval()
    if silent_heads:  # plain layers: a weight of zero under spectral norm is 0 / 0
        for stage in cascade.stages:
            stage.out = nn.Linear(stage.out.in_features, D)
            nn.init.zeros_(stage.out.weight)
            nn.init.zeros_(stage.out.bias)
    return cascade


class _Spy(nn.Module):
    """Keeps what a stage is given and answers with a constant."""

    def __init__(self, answer: float = 0.0) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x_BWT: Tensor) -> Tensor:
        self.seen = x_BWT
        return torch.full((len(x_BWT), D, x_BWT.shape[-1]), self.answer)


def _spied(cascade: Cascade, *answers: float) -> list[_Spy]:
    spies = [_Spy(answer) for answer in answers]
    cascade.stages = nn.ModuleList(spies)
    return spies


@pytest.mark.parametrize(
    ("streams", "settings", "weights"),
    [
        ((128, 128), {}, [4_772_480, 10_697_600]),
        ((128,), {"stages": 1, "layers": 4}, [810_112]),
    ],
    ids=["two stages", "single stage"],
)
def test_each_stage_has_the_weights_that_the_specification_counts(streams, settings, weights):
    cascade = Cascade(streams, 128, CascadeRecipe(**settings))
    assert [sum(p.numel() for p in stage.parameters()) for stage in cascade.stages] == weights


@pytest.mark.parametrize(("layers", "weights"), [(6, 15_470_080), (4, 10_341_632)])
def test_a_cascade_has_the_weights_that_the_specification_counts(layers, weights):
    cascade = Cascade((128, 128), 128, CascadeRecipe(layers=layers))
    assert sum(p.numel() for p in cascade.parameters()) == weights


def test_stage_0_sees_groove_and_harmony_and_later_stages_the_draft_between_them():
    groove, harmony = _random(1), _random(2)
    cascade = _cascade(stages=3, rms_scaling=False)
    spies = _spied(cascade, 1.0, 2.0, 3.0)
    drafts = cascade(_mixed(groove, harmony)).drafts
    assert torch.equal(spies[0].seen, torch.cat([groove, harmony], dim=1))
    assert torch.equal(spies[1].seen, torch.cat([groove, drafts[0], harmony], dim=1))
    assert torch.equal(spies[2].seen, torch.cat([groove, drafts[1], harmony], dim=1))


def test_a_silent_stage_0_gives_the_mean_of_groove_and_harmony():
    groove, harmony = _random(1), _random(2)
    blend = _cascade(stages=1, rms_scaling=False, silent_heads=True)(_mixed(groove, harmony)).blend_BDT
    torch.testing.assert_close(blend, 0.5 * (groove + harmony))


def test_a_silent_stage_1_gives_the_mean_of_groove_draft_and_harmony():
    groove, harmony = _random(1), _random(2)
    cascade = _cascade(rms_scaling=False, silent_heads=True)
    nn.init.constant_(cascade.stages[0].out.bias, 4.0)  # a draft that differs from the residual
    composition = cascade(_mixed(groove, harmony))
    torch.testing.assert_close(composition.drafts[0], 0.5 * (groove + harmony) + 4.0)
    torch.testing.assert_close(composition.blend_BDT, (groove + composition.drafts[0] + harmony) / 3.0)
    assert torch.equal(composition.scales[0], torch.ones(1)) and torch.equal(composition.scales[1], torch.ones(1))


def test_what_a_stage_composes_is_added_to_its_residual():
    groove, harmony = _random(1), _random(2)
    cascade = _cascade(stages=1, rms_scaling=False)
    composed = cascade.stages[0](torch.cat([groove, harmony], dim=1))
    blend = cascade(_mixed(groove, harmony)).blend_BDT
    torch.testing.assert_close(blend - 0.5 * (groove + harmony), composed, rtol=1e-4, atol=1e-5)


def test_a_stage_is_positions_norm_layers_norm_and_head_in_this_order():
    stage = _cascade(stages=1).stages[0]
    for norm in (stage.norm_in, stage.norm_out):  # weights that tell the two apart
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x_BWT = torch.cat([_random(1), _random(2)], dim=1)
    by_hand = stage.norm_in(x_BWT.mT + sinusoids(T, 2 * D))
    by_hand = stage.out(stage.norm_out(stage.blocks[0](by_hand))).mT
    torch.testing.assert_close(stage(x_BWT), by_hand)


def test_the_scale_factor_restores_the_joint_rms():
    # sqrt((3^2 + 4^2) / 2) over a residual of RMS 3: by hand 1.17851, within the bounds.
    groove, harmony, residual = _random(1, rms=3.0), _random(2, rms=4.0), _random(3, rms=3.0)
    cascade = _cascade(stages=1, silent_heads=True)
    composition = cascade(_proposal(groove, harmony, residual=residual))
    assert composition.scales[0].item() == pytest.approx(1.178511, abs=1e-5)
    assert composition.blend_BDT.square().mean().item() == pytest.approx(12.5, rel=1e-4)


def test_the_scale_factor_is_clamped_for_each_clip_by_itself():
    stream = _random(1, batch=3, rms=6.0)
    residual = stream / torch.tensor([10.0, 1.25, 0.1])[:, None, None]
    composition = _cascade(stages=1, silent_heads=True)(_proposal(stream, stream, residual=residual))
    assert composition.scales[0].tolist() == pytest.approx([1.5, 1.25, 0.7], abs=1e-5)
    torch.testing.assert_close(composition.blend_BDT, residual * torch.tensor([1.5, 1.25, 0.7])[:, None, None])


def test_the_bounds_of_the_scale_factor_are_those_of_the_recipe():
    stream = _random(1, batch=2)
    residual = stream / torch.tensor([10.0, 0.1])[:, None, None]
    cascade = _cascade(stages=1, silent_heads=True, scale_low=0.5, scale_high=3.0)
    assert cascade(_proposal(stream, stream, residual=residual)).scales[0].tolist() == pytest.approx([3.0, 0.5])


def test_silence_stays_finite_with_its_gradient():
    silence = torch.zeros(2, D, T, requires_grad=True)
    cascade = _cascade(silent_heads=True)
    cascade(_mixed(silence, silence)).blend_BDT.square().sum().backward()
    assert silence.grad.isfinite().all()


def test_without_a_residual_nothing_of_the_streams_is_added_and_nothing_is_scaled():
    cascade = _cascade(silent_heads=True)
    nn.init.constant_(cascade.stages[0].out.bias, 2.0)
    nn.init.constant_(cascade.stages[1].out.bias, -3.0)
    composition = cascade(_proposal(_random(1), _random(2)))
    assert torch.equal(composition.drafts[0], torch.full((1, D, T), 2.0))
    assert torch.equal(composition.blend_BDT, torch.full((1, D, T), -3.0))
    assert [scale.tolist() for scale in composition.scales] == [[1.0], [1.0]]


def test_one_stream_is_its_own_residual():
    groove = _random(1)
    cascade = _cascade(1, stages=1, silent_heads=True)
    torch.testing.assert_close(cascade(_proposal(groove, residual=groove)).blend_BDT, groove)


def _share_of_noise(seen: Tensor, clean: Tensor) -> float:
    return float((seen - clean).std() / clean.std())


def test_in_training_the_groove_is_noisy_in_stage_0_and_both_clips_in_stage_1():
    # 8,000 values a stream: the measured share of noise is within 0.8 % of the true one at one sigma, 5 % allowed.
    groove, harmony = _random(1, frames=500), _random(2, frames=500, rms=1.0)
    cascade = _cascade(input_noise=0.3).train()
    first, second = _spied(cascade, 0.0, 0.0)
    draft = cascade(_mixed(groove, harmony)).drafts[0]
    seen_groove, seen_harmony = first.seen.split(D, dim=1)
    assert _share_of_noise(seen_groove, groove) == pytest.approx(0.3, rel=0.05)
    assert torch.equal(seen_harmony, harmony)
    seen_groove, seen_draft, seen_harmony = second.seen.split(D, dim=1)
    assert _share_of_noise(seen_groove, groove) == pytest.approx(0.3, rel=0.05)
    assert torch.equal(seen_draft, draft)
    assert _share_of_noise(seen_harmony, harmony) == pytest.approx(0.3, rel=0.05)


def test_noise_is_measured_against_each_clip_and_never_reaches_the_residual():
    groove = _random(1, batch=2, frames=500) * torch.tensor([1.0, 10.0])[:, None, None]
    harmony = _random(2, batch=2, frames=500)
    cascade = _cascade(stages=1, rms_scaling=False, input_noise=0.1).train()
    (spy,) = _spied(cascade, 0.0)
    blend = cascade(_mixed(groove, harmony)).blend_BDT
    for k in range(2):
        assert _share_of_noise(spy.seen[k, :D], groove[k]) == pytest.approx(0.1, rel=0.05)
    torch.testing.assert_close(blend, 0.5 * (groove + harmony))


@pytest.mark.parametrize(("training", "noise"), [(False, 0.3), (True, 0.0)], ids=["evaluation", "no noise asked for"])
def test_otherwise_there_is_no_noise(training, noise):
    groove, harmony = _random(1), _random(2)
    cascade = _cascade(stages=1, input_noise=noise).train(training)
    (spy,) = _spied(cascade, 0.0)
    cascade(_mixed(groove, harmony))
    assert torch.equal(spy.seen, torch.cat([groove, harmony], dim=1))


def test_spectral_norm_brings_the_heads_largest_singular_value_to_1():
    cascade = _cascade(input_noise=0.0).train()
    for stage in cascade.stages:  # far from where the power iteration was started
        nn.init.normal_(stage.out.parametrizations.weight.original, std=3.0)
    proposal = _mixed(_random(1), _random(2))
    for _ in range(60):
        cascade(proposal)
    cascade.eval()
    for stage in cascade.stages:
        assert torch.linalg.svdvals(stage.out.weight.detach())[0].item() == pytest.approx(1.0, abs=0.01)


def test_a_clip_in_a_batch_is_composed_as_it_is_alone():
    groove, harmony = (_random(seed, batch=3) * torch.tensor([0.01, 1.0, 9.0])[:, None, None] for seed in (1, 2))
    cascade = _cascade()
    together = cascade(_mixed(groove, harmony)).blend_BDT
    alone = torch.cat([cascade(_mixed(groove[k : k + 1], harmony[k : k + 1])).blend_BDT for k in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_a_stage_hears_the_order_of_frames():
    groove, harmony = _random(1), _random(2)
    cascade = _cascade(stages=1, rms_scaling=False, silent_heads=False)
    straight = cascade(_proposal(groove, harmony)).blend_BDT
    reversed_back = cascade(_proposal(groove.flip(-1), harmony.flip(-1))).blend_BDT.flip(-1)
    assert float((straight - reversed_back).detach().abs().max()) > 0.01


def test_a_cascade_that_has_composed_without_gradient_can_be_trained():
    cascade = _cascade()
    proposal = _mixed(_random(1, frames=37), _random(2, frames=37))  # a length whose positions are not yet known
    with torch.inference_mode():
        composed = cascade(proposal).blend_BDT
    blend = cascade(proposal).blend_BDT
    blend.square().sum().backward()
    assert torch.equal(blend, composed)
    assert all(float(p.grad.abs().sum()) > 0 for stage in cascade.stages for p in stage.out.parameters())


def test_dropout_of_the_recipe_acts_in_training():
    proposal = _mixed(_random(1), _random(2))
    cascade = _cascade(dropout=0.5, input_noise=0.0).train()
    assert not torch.equal(cascade(proposal).blend_BDT, cascade(proposal).blend_BDT)


@pytest.mark.parametrize(
    "bad",
    [
        {"stages": 0},
        {"layers": 0},
        {"heads": 5},
        {"heads": 0},
        {"ffn_multiple": -1.0},
        {"dropout": 1.5},
        {"scale_low": 2.0, "scale_high": 1.0},
    ],
    ids=str,
)
def test_a_cascade_that_cannot_be_built_is_refused(bad):
    with pytest.raises(BadInput, match="cascade"):
        Cascade((D, D), D, CascadeRecipe(**{**SMALL, **bad}))


def test_heads_must_divide_the_later_stages_too():
    Cascade((12, 12), 6, CascadeRecipe(**{**SMALL, "stages": 1, "heads": 8}))
    with pytest.raises(BadInput, match="8 heads do not divide a stage's width of 30"):
        Cascade((12, 12), 6, CascadeRecipe(**{**SMALL, "stages": 2, "heads": 8}))
