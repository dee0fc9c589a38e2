"""Layers of a frozen causal decoder that training decodes through at every step: the same numbers as EnCodec's own
layers in less time, and nothing kept for the gradient of weights that never change."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrozenConvolution(nn.Module):
    """Causal convolution, [B, I, T] -> [B, O, T]: reflected on the left, weight [O, I, K] and bias [O] frozen."""

    def __init__(self, weight_OIK: Tensor, bias_O: Tensor, dilation: int) -> None:
        super().__init__()
        self.weight, self.bias, self.dilation = nn.Buffer(weight_OIK), nn.Buffer(bias_O), dilation

    def forward(self, x_BIT: Tensor) -> Tensor:
        """A clip shorter than the kernel is reflected as if silence followed it, as EnCodec does."""
        frames, past = x_BIT.shape[-1], (self.weight.shape[-1] - 1) * self.dilation
        if past == 0:
            return torch.baddbmm(self.bias[:, None], self.weight[..., 0].expand(len(x_BIT), -1, -1), x_BIT)
        if frames <= past:
            x_BIT = F.pad(x_BIT, (0, past - frames + 1))
        out: Tensor = _Reflected.apply(x_BIT, self.weight, self.bias, self.dilation)  # type: ignore[no-untyped-call]
        return out[..., :frames]


class FrozenTransposedConvolution(nn.Module):
    """Causal transposed convolution of twice its stride, [B, I, T] -> [B, O, T * S]; weight [I, O, 2 S], bias [O]."""

    def __init__(self, weight_IOK: Tensor, bias_O: Tensor) -> None:
        super().__init__()
        self.stride = weight_IOK.shape[-1] // 2
        self.rows, self.bias = nn.Buffer(weight_IOK.flatten(1).T.contiguous()), nn.Buffer(bias_O)

    def forward(self, x_BIT: Tensor) -> Tensor:
        """What each frame says of its own S samples and of the S after, added up; what reaches past the end is cut."""
        out: Tensor = _Spread.apply(x_BIT, self.rows, self.bias, self.stride)  # type: ignore[no-untyped-call]
        return out


class _Reflected(torch.autograd.Function):
    """Convolution of what was reflected on the left by all but one tap; keeps the weight alone."""

    @staticmethod
    def forward(ctx: Any, x_BIT: Tensor, weight_OIK: Tensor, bias_O: Tensor, dilation: int) -> Tensor:
        past = (weight_OIK.shape[-1] - 1) * dilation
        ctx.save_for_backward(weight_OIK)
        ctx.past, ctx.dilation = past, dilation
        padded_BIT = torch.cat([x_BIT[..., 1 : past + 1].flip(-1), x_BIT], dim=-1)
        if len(weight_OIK) > 1:
            return F.conv1d(padded_BIT, weight_OIK, bias_O, dilation=dilation)
        taps_BKT = torch.matmul(weight_OIK[0].T, padded_BIT)
        out_BOT = bias_O[:, None].expand(len(x_BIT), 1, x_BIT.shape[-1]).contiguous()
        for k, at in enumerate(range(0, past + 1, dilation)):
            out_BOT[:, 0] += taps_BKT[:, k, at : at + x_BIT.shape[-1]]
        return out_BOT

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (weight_OIK,), past, dilation = ctx.saved_tensors, ctx.past, ctx.dilation
        batch, outputs, frames = gradients[0].shape
        if outputs > 1:
            # Of what was convolved only the shape matters to its own gradient.
            nowhere = weight_OIK.new_empty(1).expand(batch, weight_OIK.shape[1], frames + past)
            to_padded_BIT = torch.ops.aten.convolution_backward(
                gradients[0], nowhere, weight_OIK, None, [1], [0], [dilation], False, [0], 1, [True, False, False]
            )[0]
        else:
            to_taps_BKT = weight_OIK.new_zeros(batch, weight_OIK.shape[-1], frames + past)
            for k, at in enumerate(range(0, past + 1, dilation)):
                to_taps_BKT[:, k, at : at + frames] = gradients[0][:, 0]
            to_padded_BIT = torch.matmul(weight_OIK[0], to_taps_BKT)
        to_x_BIT = to_padded_BIT[..., past:].contiguous()
        to_x_BIT[..., 1 : past + 1] += to_padded_BIT[..., :past].flip(-1)
        return to_x_BIT, None, None, None


class _Spread(torch.autograd.Function):
    """One matrix product, then the second half of each frame's samples added to the first half of the next one's."""

    @staticmethod
    def forward(ctx: Any, x_BIT: Tensor, rows_RI: Tensor, bias_O: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(rows_RI)
        ctx.stride = stride
        own, after = torch.matmul(rows_RI, x_BIT).unflatten(1, (len(bias_O), 2, stride)).unbind(2)
        own[..., 1:] += after[..., :-1]
        return (own.mT + bias_O[:, None, None]).flatten(2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (rows_RI,), stride = ctx.saved_tensors, ctx.stride
        own = gradients[0].unflatten(-1, (-1, stride)).mT
        to_rows = own.new_empty(*own.shape[:2], 2, *own.shape[2:])
        to_rows[:, :, 0] = own
        to_rows[:, :, 1, :, :-1], to_rows[:, :, 1, :, -1] = own[..., 1:], 0.0
        return torch.matmul(rows_RI.T, to_rows.flatten(1, 3)), None, None, None
