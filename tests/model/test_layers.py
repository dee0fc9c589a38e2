"""The blocks against torch's own and against formulas written out."""

import math

import pytest
import torch
from torch import nn

from powermuse.model.layers import Dropout, FeedForward, SelfAttention, TransformerBlock, sinusoids

WIDTH, HEADS, FFN = 24, 3, 40


@pytest.fixture
def x_BTW():
    return torch.randn(2, 9, WIDTH, generator=torch.Generator().manual_seed(0))


def _block(dropout: float = 0.0, attention_dropout: float = 0.0) -> TransformerBlock:
    torch.manual_seed(1)
    block = TransformerBlock(WIDTH, HEADS, FFN, dropout, attention_dropout)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)  # biases and norms too: a zero would hide a swap
    return block


def _same_in_torch(block: TransformerBlock) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, FFN, 0.0, "gelu", batch_first=True, norm_first=False)
    layer.self_attn.in_proj_weight = block.attention.inward.weight
    layer.self_attn.in_proj_bias = block.attention.inward.bias
    layer.self_attn.out_proj.load_state_dict(block.attention.outward.state_dict())
    for ours, theirs in (
        (block.ffn[0], layer.linear1),
        (block.ffn[3], layer.linear2),
        (block.norms[0], layer.norm1),
        (block.norms[1], layer.norm2),
    ):
        theirs.load_state_dict(ours.state_dict())
    return layer


def test_a_block_is_torchs_post_norm_encoder_layer(x_BTW):
    block = _block()
    torch.testing.assert_close(block(x_BTW), _same_in_torch(block)(x_BTW))


def test_a_block_gives_its_input_the_gradient_that_torchs_gives(x_BTW):
    block = _block()
    slopes = []
    for layer in (block, _same_in_torch(block)):
        x = x_BTW.clone().requires_grad_()
        layer(x).pow(3).sum().backward()
        slopes.append(x.grad)
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-4)


def test_attention_is_a_softmax_over_scaled_products_head_by_head(x_BTW):
    attention = _block().attention
    query, key, value = (attention.inward(x_BTW)[..., k * WIDTH : (k + 1) * WIDTH] for k in range(3))
    heads = []
    for h in range(HEADS):
        mine = slice(h * WIDTH // HEADS, (h + 1) * WIDTH // HEADS)
        likeness = query[..., mine] @ key[..., mine].mT / math.sqrt(WIDTH // HEADS)
        share = likeness.exp() / likeness.exp().sum(dim=-1, keepdim=True)
        heads.append(share @ value[..., mine])
    torch.testing.assert_close(attention(x_BTW), attention.outward(torch.cat(heads, dim=-1)))


def test_attention_without_positions_does_not_know_the_order_of_frames(x_BTW):
    attention, order = _block().attention, torch.randperm(9, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(attention(x_BTW[:, order]), attention(x_BTW)[:, order])


def test_attention_has_4_w2_plus_4_w_weights():
    assert sum(p.numel() for p in SelfAttention(256, 8, 0.0).parameters()) == 4 * 256**2 + 4 * 256


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="5 heads do not divide the width 24"):
        SelfAttention(24, 5, 0.0)


@pytest.mark.parametrize("dropouts", [(0.5, 0.0), (0.0, 0.5)], ids=["dropout", "attention dropout"])
def test_dropout_acts_in_training_only(x_BTW, dropouts):
    block = _block(*dropouts)
    assert not torch.equal(block(x_BTW), block(x_BTW))
    block.eval()
    assert torch.equal(block(x_BTW), block(x_BTW))
    torch.testing.assert_close(block(x_BTW), _block()(x_BTW))


def test_positions_are_sines_and_cosines_of_falling_rate():
    positions = sinusoids(50, 8)
    assert positions[0].tolist() == [0.0, 1.0] * 4
    for frame in (1, 7, 49):
        angles = [frame / 10_000 ** (k / 8) for k in (0, 2, 4, 6)]
        by_hand = [f(angle) for angle in angles for f in (math.sin, math.cos)]
        assert positions[frame].tolist() == pytest.approx(by_hand, abs=1e-5)


def test_positions_of_an_odd_width_are_those_of_the_width_asked_for():
    angles = [3 / 10_000 ** (k / 5) for k in (0, 2, 4)]
    by_hand = [f(angle) for angle in angles for f in (math.sin, math.cos)][:5]
    assert sinusoids(4, 5)[3].tolist() == pytest.approx(by_hand, abs=1e-6)


def test_dropout_zeroes_each_element_with_its_probability_and_independently_of_its_neighbour():
    torch.manual_seed(0)
    n, p = 1_000_000, 0.3
    dropped = (Dropout(p).train()(torch.ones(n)) == 0).double()
    sigma = math.sqrt(p * (1 - p) / n)
    assert abs(float(dropped.mean()) - p) < 4 * sigma
    # The number in blocks of 1,000 has a coin's variance, and neighbours do not know of one another.
    assert float(dropped.view(-1, 1000).sum(1).var()) == pytest.approx(1000 * p * (1 - p), rel=0.2)
    assert abs(float(((dropped[1:] - p) * (dropped[:-1] - p)).mean())) < 4 * p * (1 - p) / math.sqrt(n)


def test_dropout_keeps_the_mean_drops_the_gradient_where_it_drops_and_rests_in_evaluation():
    torch.manual_seed(0)
    x = torch.rand(4, 1000, 7).add(0.5).transpose(0, 1).requires_grad_()  # not contiguous
    before = x.detach().clone()
    out = Dropout(0.25).train()(x)
    out.sum().backward()
    kept = out != 0
    torch.testing.assert_close(out[kept], x[kept] / 0.75)
    torch.testing.assert_close(x.grad, kept.float() / 0.75)
    assert torch.equal(x, before), "the input is the caller's"
    resting = Dropout(0.25).eval()
    assert resting(x) is x and Dropout(0.0).train()(x) is x


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_a_feed_forward_that_makes_its_inside_again_has_the_plain_one_s_values_and_gradients(x_BTW, p):
    torch.manual_seed(2)
    ours = FeedForward(WIDTH, FFN, p).train()
    results = []
    seen = []
    for watched in (False, True):
        if watched:
            ours[2].register_forward_hook(lambda *_: seen.append(1))
        ours.zero_grad()
        x = x_BTW.clone().requires_grad_()
        torch.manual_seed(3)
        out = ours(x)
        out.pow(3).sum().backward()
        results.append([out, x.grad, *(w.grad for w in ours.parameters())])
    assert seen == [1], "the parts are called where somebody watches them, and only there"
    for lean, wanted in zip(*results, strict=True):
        assert torch.equal(lean, wanted)


def test_a_feed_forward_keeps_nothing_of_its_inner_width_but_its_weights(x_BTW):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        FeedForward(WIDTH, FFN, 0.3).train()(x_BTW)
    assert x_BTW.shape in kept
    assert not any(shape[-1:] == (FFN,) and len(shape) > 2 for shape in kept)
