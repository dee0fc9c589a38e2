"""Frozen convolutions: the numbers and gradients of the plain ones, and nothing kept for weights."""

import pytest
import torch
import torch.nn.functional as F

from powermuse.frozen import FrozenConvolution, FrozenTransposedConvolution


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (7, 1), (3, 2)])
def test_a_convolution_reflects_its_past_and_has_the_gradient_of_torch(outputs, kernel, dilation):
    weight, bias, x = drawn(outputs, 4, kernel), drawn(outputs), drawn(2, 4, 11)
    plain_x, lean_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    plain = F.conv1d(F.pad(plain_x, ((kernel - 1) * dilation, 0), "reflect"), weight, bias, dilation=dilation)
    lean = FrozenConvolution(weight, bias, dilation)(lean_x)
    torch.testing.assert_close(lean, plain)
    weighed = drawn(*plain.shape)
    (plain * weighed).sum().backward()
    (lean * weighed).sum().backward()
    torch.testing.assert_close(lean_x.grad, plain_x.grad)


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_a_transposed_convolution_is_torch_s_without_what_reaches_past_the_end(stride):
    weight, bias, x = drawn(4, 3, 2 * stride), drawn(3), drawn(2, 4, 6)
    plain_x, lean_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    plain = F.conv_transpose1d(plain_x, weight, bias, stride)[..., : 6 * stride]
    lean = FrozenTransposedConvolution(weight, bias)(lean_x)
    torch.testing.assert_close(lean, plain)
    weighed = drawn(*plain.shape)
    (plain * weighed).sum().backward()
    (lean * weighed).sum().backward()
    torch.testing.assert_close(lean_x.grad, plain_x.grad)


def test_nothing_but_weights_is_kept_for_the_backward_pass():
    kept = []
    layers = FrozenConvolution(drawn(3, 4, 3), drawn(3), 1), FrozenTransposedConvolution(drawn(3, 2, 4), drawn(2))
    weights = {buffer.data_ptr() for layer in layers for buffer in layer.buffers()}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.data_ptr()), lambda x: x):
        layers[1](layers[0](drawn(2, 4, 11).requires_grad_()))
    assert kept and set(kept) <= weights
