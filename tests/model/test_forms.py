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


def step(recipe: CascadeRecipe) -> tuple[float, float]:
    """Largest scale factor, and norm of the gradient of a squared distance, of one step from one seed on latents of
    RMS 5.7. What the last stage gives is multiplied up to their level, and so is every gradient through it."""
    torch.manual_seed(0)
    cascade = Cascade((128, 128), 128, recipe).eval()
    groove, harmony, wanted = (5.7 * torch.randn(2, 128, FRAMES) for _ in range(3))
    composition = cascade(Proposal((groove, harmony), 0.5 * (groove + harmony), {}, {}))
    (composition.blend_BDT - wanted).square().mean().backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in cascade.parameters() if p.grad is not None])
    return float(composition.scales[-1].max().detach()), float(norm)


SMALL = {"layers": 1, "ffn_multiple": 1.0, "dropout": 0.0}


def old(last_residual: float) -> CascadeRecipe:
    weights = [1.0, 1.0, last_residual]
    return CascadeRecipe(
        stages=3, see_all_drafts=True, residual_weights=weights, scale_low=0.0, scale_high=1e9, **SMALL
    )


def test_the_old_form_explodes_and_the_default_does_not():
    default_scale, default_norm = step(CascadeRecipe(**SMALL))
    (_, first_norm), (_, second_norm), (scale, norm) = (step(old(weight)) for weight in (1.0, 0.3, 0.1))
    assert scale > 5.0 and default_scale <= 1.5
    assert first_norm < second_norm < norm  # the weaker the residual, the larger the gradient
    assert norm > 4.0 * default_norm


def test_bounds_on_the_scale_factor_are_what_holds_the_old_form():
    bounded = CascadeRecipe(**{**vars(old(0.1)), "scale_low": 0.7, "scale_high": 1.5})
    assert step(bounded)[0] == 1.5
    assert step(bounded)[1] < 0.5 * step(old(0.1))[1]
