"""The cascade: stage 0 drafts from the agent's streams, each further stage refines the draft."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from powermuse.model.layers import Dropout, TransformerBlock, sinusoids
from powermuse.recipe import CascadeRecipe
from powermuse.types import BadInput, Composition, Proposal

_EPS = 1e-8


class Stage(nn.Module):
    """Positions, LayerNorm, transformer, LayerNorm, and a Linear under spectral norm: [B, W, T] -> [B, D, T]."""

    def __init__(self, width: int, latent_dim: int, recipe: CascadeRecipe) -> None:
        super().__init__()
        self.dropout = Dropout(recipe.dropout)
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        ffn_width = round(recipe.ffn_multiple * width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, recipe.heads, ffn_width, recipe.dropout, recipe.attention_dropout)
            for _ in range(recipe.layers)
        )
        self.out = spectral_norm(nn.Linear(width, latent_dim))

    def forward(self, x_BWT: Tensor) -> Tensor:
        """What the stage adds to its residual."""
        x_BTW = x_BWT.transpose(1, 2)
        x_BTW = self.norm_in(self.dropout(x_BTW + sinusoids(x_BTW.shape[1], x_BTW.shape[2]).to(x_BTW)))
        for block in self.blocks:
            x_BTW = block(x_BTW)
        out: Tensor = self.out(self.norm_out(x_BTW)).transpose(1, 2)
        return out


class Cascade(nn.Module):
    """Stages over an agent's streams. At the default sizes: 4,772,480 and 10,697,600 weights."""

    def __init__(self, stream_dims: tuple[int, ...], latent_dim: int, recipe: CascadeRecipe) -> None:
        super().__init__()
        _check(recipe)
        self.recipe = recipe
        drafts_seen = [i if recipe.see_all_drafts else min(i, 1) for i in range(recipe.stages)]
        widths = [sum(stream_dims) + n * latent_dim for n in drafts_seen]
        for width in widths:
            if width % recipe.heads:
                raise BadInput(f"cascade: {recipe.heads} heads do not divide a stage's width of {width}")
        self.stages = nn.ModuleList(Stage(width, latent_dim, recipe) for width in widths)

    def forward(self, proposal: Proposal) -> Composition:
        """The blend and what led to it. Streams are ordered groove, harmony; the draft goes between them."""
        streams, residual_BDT = proposal.streams, proposal.residual_BDT
        wanted_rms_B = _joint_rms(streams) if residual_BDT is not None and self.recipe.rms_scaling else None
        drafts: list[Tensor] = []
        scales: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            seen = drafts if self.recipe.see_all_drafts else drafts[-1:]
            out_BDT = stage(torch.cat(self._inputs(streams, seen), dim=1))
            if residual_BDT is not None:
                # 0.5 (groove + harmony) at first, then (groove + draft + harmony) / 3.
                weight = self.recipe.residual_weights[i] if self.recipe.residual_weights else 1.0
                out_BDT = out_BDT + weight * (2.0 * residual_BDT + sum(seen)) / (2.0 + len(seen))
            out_BDT, scale_B = self._scaled(out_BDT, wanted_rms_B)
            drafts.append(out_BDT)
            scales.append(scale_B)
        return Composition(drafts[-1], tuple(drafts), tuple(scales))

    def _inputs(self, streams: tuple[Tensor, ...], drafts: list[Tensor]) -> list[Tensor]:
        if not drafts:
            return [self._noisy(streams[0]), *streams[1:]]
        return [self._noisy(streams[0]), *drafts, *(self._noisy(x) for x in streams[1:])]

    def _noisy(self, x_BDT: Tensor) -> Tensor:
        """The stream with noise relative to its own standard deviation, so that it cannot be copied to the digit."""
        if not self.training or self.recipe.input_noise == 0.0:
            return x_BDT
        return x_BDT + self.recipe.input_noise * x_BDT.detach().std(dim=(1, 2), keepdim=True) * torch.randn_like(x_BDT)

    def _scaled(self, out_BDT: Tensor, wanted_rms_B: Tensor | None) -> tuple[Tensor, Tensor]:
        if wanted_rms_B is None:
            return out_BDT, out_BDT.new_ones(len(out_BDT))
        scale_B = (wanted_rms_B / _rms(out_BDT)).clamp(self.recipe.scale_low, self.recipe.scale_high)
        return out_BDT * scale_B[:, None, None], scale_B


def _check(recipe: CascadeRecipe) -> None:
    """Raises BadInput for sizes that make no cascade."""
    for name in ("stages", "layers", "heads", "ffn_multiple"):
        if getattr(recipe, name) <= 0:
            raise BadInput(f"cascade: {name} must be above 0, not {getattr(recipe, name)}")
    for name in ("dropout", "attention_dropout"):
        if not 0.0 <= getattr(recipe, name) < 1.0:
            raise BadInput(f"cascade: {name} must be from 0 to below 1, not {getattr(recipe, name)}")
    if recipe.residual_weights and len(recipe.residual_weights) != recipe.stages:
        raise BadInput(f"cascade: {len(recipe.residual_weights)} residual_weights for {recipe.stages} stages")
    if not 0.0 <= recipe.scale_low <= recipe.scale_high:
        raise BadInput(f"cascade: scale_low {recipe.scale_low} is not below scale_high {recipe.scale_high}")


def _rms(z_BDT: Tensor) -> Tensor:
    return (z_BDT.square().mean(dim=(1, 2)) + _EPS).sqrt()


def _joint_rms(streams: tuple[Tensor, ...]) -> Tensor:
    """sqrt((rms_g^2 + rms_h^2) / 2) over however many streams there are, [B]."""
    return torch.stack([_rms(x).square() for x in streams]).mean(dim=0).sqrt()
