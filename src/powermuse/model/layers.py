"""Blocks that the stages are made of. Sequences are [B, T, W], W the width."""

import math
from functools import lru_cache
from typing import Any

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


class Dropout(nn.Module):
    """Dropout that draws the places it zeroes instead of a number for every place: on a CPU half the time.

    Places are drawn with replacement, as many as a Poisson variable of mean -n ln(1 - p) says; the hits of each place
    are then independent Poisson variables, 0 with probability 1 - p (Kingman 1993, Poisson Processes, section 2.4):
    the same distribution as a coin for each. Elsewhere than on a CPU it is torch's own.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """`x` with each element 0 with probability p, the others over 1 - p; in evaluation `x`."""
        if not self.training or self.p == 0.0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        out: Tensor = _Holes.apply(x, self.p)  # type: ignore[no-untyped-call]
        return out


class FeedForward(nn.Sequential):
    """Linear, GELU, dropout, Linear. In float32 on a CPU the backward pass makes its inside again and keeps its input
    alone: without that it would be half of what a cascade of six layers keeps (148 of 325 MB at 16 s)."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, inner), nn.GELU(), Dropout(dropout), nn.Linear(inner, width))
        self.p = dropout

    def forward(self, x_BTW: Tensor) -> Tensor:
        """[B, T, W] -> [B, T, W]."""
        lean = x_BTW.device.type == "cpu" and x_BTW.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        # Who watches the parts, to name one that goes wrong, wants them called; the numbers are the same to the bit.
        if not lean or any(part._forward_hooks for part in self):
            plain: Tensor = self[3](self[2](self[1](self[0](x_BTW))))
            return plain
        inward, outward = self[0], self[3]
        p = self.p if self.training else 0.0
        out: Tensor = _FeedForward.apply(  # type: ignore[no-untyped-call]
            x_BTW, inward.weight, inward.bias, outward.weight, outward.bias, p
        )
        return out


class _Holes(torch.autograd.Function):
    """x / (1 - p), 0 at places drawn from torch's global random state."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        places = _places(x.numel(), p)
        ctx.save_for_backward(places)
        ctx.p = p
        return _with_holes(x.clone(), p, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _with_holes(gradients[0].clone(), ctx.p, *ctx.saved_tensors), None


class _FeedForward(torch.autograd.Function):
    """outward @ holes(gelu(inward @ x)), with biases, that keeps x and the places of the holes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, inward_IW: Tensor, bias_I: Tensor, outward_WI: Tensor, bias_W: Tensor, p: float
    ) -> Tensor:
        inner = F.linear(x, inward_IW, bias_I)
        places = _places(inner.numel(), p)
        ctx.save_for_backward(x, inward_IW, bias_I, outward_WI, places)
        ctx.p = p
        return F.linear(_with_holes(F.gelu(inner), p, places), outward_WI, bias_W)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, inward_IW, bias_I, outward_WI, places = ctx.saved_tensors
        x_NW, out_NW = x.flatten(0, -2), gradients[0].flatten(0, -2)
        inner_NI = F.linear(x_NW, inward_IW, bias_I)
        to_outward_WI = out_NW.T @ _with_holes(F.gelu(inner_NI), ctx.p, places)
        to_inner_NI = torch.ops.aten.gelu_backward(_with_holes(out_NW @ outward_WI, ctx.p, places), inner_NI)
        to_x = (to_inner_NI @ inward_IW).view_as(x)
        return to_x, to_inner_NI.T @ x_NW, to_inner_NI.sum(dim=0), to_outward_WI, out_NW.sum(dim=0), None


def _places(elements: int, p: float) -> Tensor:
    """Indices of the elements that dropout zeroes, some of them more than once; kept in 32 bits where they fit."""
    if p == 0.0:
        return torch.empty(0, dtype=torch.int32)
    hits = torch.poisson(torch.tensor(-elements * math.log1p(-p), dtype=torch.float64))
    places = torch.randint(elements, (int(hits),))
    return places.int() if elements <= torch.iinfo(torch.int32).max else places


def _with_holes(fresh: Tensor, p: float, places: Tensor) -> Tensor:
    """`fresh`, which nobody else holds, over 1 - p and with 0 at `places`."""
    if p == 0.0:
        return fresh
    fresh = fresh.contiguous().mul_(1.0 / (1.0 - p))
    fresh.view(-1).index_fill_(0, places.long(), 0.0)
    return fresh


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
        # Strided: copies of the heads bring the kernel nothing, and cost a copy of what comes out as well.
        q, k, v = self.inward(x_BTW).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        out: Tensor = self.outward(seen.transpose(1, 2).flatten(2))
        return out


class TransformerBlock(nn.Module):
    """Post-norm block: x = norm(x + attention(x)), x = norm(x + ffn(x)), GELU."""

    def __init__(self, width: int, heads: int, ffn_width: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, attention_dropout)
        self.ffn = FeedForward(width, ffn_width, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = Dropout(dropout)

    def forward(self, x_BTW: Tensor) -> Tensor:
        """[B, T, W] -> [B, T, W]."""
        x_BTW = self.norms[0](x_BTW + self.dropout(self.attention(x_BTW)))
        out: Tensor = self.norms[1](x_BTW + self.dropout(self.ffn(x_BTW)))
        return out
