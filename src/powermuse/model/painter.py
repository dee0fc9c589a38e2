"""A picture of latents over channels and time, painted from a palette: what is learnt of one channel holds for all.

Each token is `pool` frames. A palette gives every channel a few levels that it may have; the painter answers, for each
channel and frame, a share of each level and something new, by convolutions over channels and tokens that are scaled and
shifted, token by token, by what a wider view has found.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from powermuse.recipe import FlowRecipe

_KERNEL = 3
_DILATIONS = (1, 2, 4)
"""In time, of one layer after another: three see .4 s to either side at 40 ms a token."""


class Painter(nn.Module):
    """Planes [B, P, D, N], the first `levels` of them the palette, and hidden tokens [B, N, W], to [B, pool, D, N]."""

    def __init__(
        self, planes: int, levels: int, latent_dim: int, recipe: FlowRecipe, layers: int, share: float = 0.0
    ) -> None:
        """`share`: what of each level it begins with."""
        super().__init__()
        channels = recipe.paint_channels
        self.levels, self.pool = levels, recipe.pool
        self.inward = nn.Conv2d(planes, channels, 1)
        self.place = nn.Parameter(0.1 * torch.randn(channels, latent_dim, 1))
        self.strokes = nn.ModuleList(
            _Stroke(channels, recipe.width, _DILATIONS[i % len(_DILATIONS)]) for i in range(layers)
        )
        self.outward = nn.Conv2d(channels, recipe.pool * (1 + levels), 1)
        nn.init.normal_(self.outward.weight, std=1e-3)
        assert self.outward.bias is not None
        nn.init.constant_(self.outward.bias, share)
        nn.init.zeros_(self.outward.bias[: recipe.pool])

    def forward(self, planes_BPDN: Tensor, hidden_BNW: Tensor) -> Tensor:
        """What is to be added to what it paints over."""
        h_BCDN = self.inward(planes_BPDN) + self.place
        for stroke in self.strokes:
            h_BCDN = stroke(h_BCDN, hidden_BNW)
        found_BLPDN = self.outward(F.silu(h_BCDN)).unflatten(1, (1 + self.levels, self.pool))
        palette_BL1DN = planes_BPDN[:, : self.levels, None]
        painted: Tensor = found_BLPDN[:, 0] + (found_BLPDN[:, 1:] * palette_BL1DN).sum(dim=1)
        return painted


class _Stroke(nn.Module):
    """Two convolutions beside a way past them; between them each token scales and shifts."""

    def __init__(self, channels: int, width: int, dilation: int) -> None:
        super().__init__()
        pad = _KERNEL // 2
        self.first = nn.Conv2d(channels, channels, _KERNEL, padding=pad)
        self.second = nn.Conv2d(channels, channels, _KERNEL, padding=(pad, pad * dilation), dilation=(1, dilation))
        self.mood = nn.Linear(width, 2 * channels)
        nn.init.normal_(self.second.weight, std=0.02)

    def forward(self, h_BCDN: Tensor, hidden_BNW: Tensor) -> Tensor:
        scale_BCN, shift_BCN = self.mood(hidden_BNW).transpose(1, 2).chunk(2, dim=1)
        moved_BCDN = self.first(F.silu(h_BCDN)) * (1.0 + scale_BCN[:, :, None]) + shift_BCN[:, :, None]
        out: Tensor = h_BCDN + self.second(F.silu(moved_BCDN))
        return out


def planes(x_BNE: Tensor, latent_dim: int) -> Tensor:
    """Tokens [B, N, D pool] as [B, pool, D, N]."""
    return x_BNE.unflatten(-1, (latent_dim, -1)).permute(0, 3, 2, 1)


def from_planes(x_BPDN: Tensor) -> Tensor:
    """`planes` undone: [B, N, D pool]."""
    return x_BPDN.permute(0, 3, 2, 1).flatten(2)
