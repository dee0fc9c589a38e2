"""Blocks that the stages are made of. Sequences are [B, T, W], W the width."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@lru_cache(maxsize=32)
def sinusoids(frames: int, width: int) -> Tensor:
    """Positions [T, W]: sines on even channels, cosines on odd (Vaswani et al. 2017, section 3.5)."""
    with torch.inference_mode(False):  # kept for every later caller, who may want a gradient
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        angle = torch.arange(frames)[:, None] * rate
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


class SelfAttention(nn.Module):
    """Multi-head self-attention through scaled_dot_product_attention, 4 W^2 + 4 W weights."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}")
        self.heads, self.dropout = heads, dropout
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        nn.init.xavier_uniform_(self.inward.weight)
        nn.init.zeros_(self.inward.bias)
        nn.init.zeros_(self.outward.bias)

    def forward(self, x_BTW: Tensor) -> Tensor:
        """[B, T, W] -> [B, T, W]."""
        q, k, v = self.inward(x_BTW).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        out: Tensor = self.outward(seen.transpose(1, 2).flatten(2))
        return out


class TransformerBlock(nn.Module):
    """Post-norm block: x = norm(x + attention(x)), x = norm(x + ffn(x)), GELU."""

    def __init__(self, width: int, heads: int, ffn_width: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, attention_dropout)
        self.ffn = nn.Sequential(
            nn.Linear(width, ffn_width), nn.GELU(), nn.Dropout(dropout), nn.Linear(ffn_width, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTW: Tensor) -> Tensor:
        """[B, T, W] -> [B, T, W]."""
        x_BTW = self.norms[0](x_BTW + self.dropout(self.attention(x_BTW)))
        out: Tensor = self.norms[1](x_BTW + self.dropout(self.ffn(x_BTW)))
        return out
