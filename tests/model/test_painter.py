"""The painter: shapes, that it begins with its shares of the palette, and that one channel teaches all."""

import torch

from powermuse.model import painter
from powermuse.model.painter import Painter
from powermuse.recipe import FlowRecipe

D, N, POOL, LEVELS = 6, 20, 3, 2
RECIPE = FlowRecipe(width=8, pool=POOL, paint_channels=8)


def made(share: float = 0.5) -> Painter:
    torch.manual_seed(0)
    return Painter(LEVELS + POOL, LEVELS, D, RECIPE, layers=2, share=share)


def given(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(batch, LEVELS + POOL, D, N), torch.randn(batch, N, RECIPE.width)


def test_tokens_are_planes_and_back():
    x_BNE = torch.randn(2, N, D * POOL)
    found = painter.planes(x_BNE, D)
    assert found.shape == (2, POOL, D, N)
    # A token holds its frames channel by channel.
    assert torch.equal(found[0, 1, 4], x_BNE[0, :, 4 * POOL + 1])
    assert torch.equal(painter.from_planes(found), x_BNE)


def test_it_begins_with_its_share_of_each_level_in_every_frame():
    planes_BPDN, hidden_BNW = given()
    found = made()(planes_BPDN, hidden_BNW).detach()
    mean_B1DN = planes_BPDN[:, :LEVELS].mean(dim=1, keepdim=True)
    torch.testing.assert_close(found, mean_B1DN.expand(-1, POOL, -1, -1), atol=0.05, rtol=0)
    assert float(made(share=0.0)(planes_BPDN, hidden_BNW).detach().abs().max()) < 0.05


def test_hidden_tokens_act_at_their_time_and_near_it():
    planes_BPDN, hidden_BNW = given()
    model = made()
    torch.nn.init.normal_(model.outward.weight)
    other = hidden_BNW.clone()
    other[:, 2] += 1.0
    moved = (model(planes_BPDN, hidden_BNW) - model(planes_BPDN, other)).detach().abs().amax(dim=(0, 1, 2))
    assert float(moved[2]) > 0.01
    assert float(moved[12:].max()) == 0.0


def test_what_one_channel_is_taught_another_knows():
    """Told to play its second level where a token says so, in the lower half; the upper half follows."""
    model = made()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(200):
        torch.manual_seed(step)
        planes_BPDN, hidden_BNW = given()[0].normal_(), torch.zeros(2, N, RECIPE.width)
        struck_BN = (torch.rand(2, N) < 0.5).float()
        hidden_BNW[..., 0] = struck_BN
        wanted = (planes_BPDN[:, 1] * struck_BN[:, None])[:, None].expand(-1, POOL, -1, -1)
        error = (model(planes_BPDN, hidden_BNW) - wanted).square()
        optimizer.zero_grad()
        error[:, :, : D // 2].mean().backward()
        optimizer.step()
    assert float(error.detach()[:, :, D // 2 :].mean()) < 0.3 * float(wanted.square().mean())
