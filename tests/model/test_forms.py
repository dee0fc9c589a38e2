"""The forms of the cascade: the old third stage explodes, by its mechanism, and the default does not."""

import torch

from powermuse.model.cascade import Cascade
from powermuse.recipe import CascadeRecipe, load
from powermuse.types import Proposal

FRAMES = 60


def old_form() -> CascadeRecipe:
    return load("three_stage").cascade


def widths(recipe: CascadeRecipe) -> list[int]:
    return [stage.norm_in.normalized_shape[0] for stage in Cascade((128, 128), 128, recipe).stages]


def test_the_old_third_stage_is_512_wide():
    assert widths(old_form()) == [256, 384, 512]
    assert widths(CascadeRecipe()) == [256, 384]


def steps(recipe: CascadeRecipe) -> tuple[list[float], list[float]]:
    """Largest scale factor, and gradient norm at what enters the last stage, as the third stage's branch shrinks.

    Latents of RMS 5.7. The blend is scaled up to their level: what the last stage gives is multiplied, and so is
    every gradient that passes through it.
    """
    torch.manual_seed(0)
    cascade = Cascade((128, 128), 128, recipe).eval()
    groove, harmony = (5.7 * torch.randn(2, 128, FRAMES) for _ in range(2))
    scales, norms = [], []
    for shrink in (1.0, 0.5, 0.25):
        with torch.no_grad():
            cascade.stages[-1].out.parametrizations.weight.original.mul_(shrink)
            cascade.stages[-1].out.bias.mul_(shrink)
        streams = tuple(z.clone().requires_grad_() for z in (groove, harmony))
        composition = cascade(Proposal(streams, 0.5 * (streams[0] + streams[1]), {}, {}))
        composition.drafts[-2].retain_grad()
        composition.blend_BDT.square().sum().sqrt().backward()
        scales.append(float(composition.scales[-1].max().detach()))
        norms.append(float(composition.drafts[-2].grad.norm()))
    return scales, norms


def test_the_old_form_explodes_and_the_default_does_not():
    small = {"layers": 1, "ffn_multiple": 1.0, "dropout": 0.0}
    old = CascadeRecipe(
        stages=3, see_all_drafts=True, residual_weights=[1.0, 1.0, 0.1], scale_low=0.0, scale_high=1e9, **small
    )
    old_scales, _ = steps(old)
    new_scales, _ = steps(CascadeRecipe(**small))
    assert max(old_scales) > 5.0
    assert max(new_scales) <= 1.5
