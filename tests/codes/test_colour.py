"""The colour code: a spread of levels, no order."""

import torch

from powermuse.codes import colour


def test_quantiles_of_each_channel():
    ramp_BDT = torch.arange(404.0)[None, None].expand(2, 3, 404) * torch.tensor([1.0, 2.0, 3.0])[:, None]
    found = colour.code(ramp_BDT)
    assert found.shape == (2, colour.rows(3))
    torch.testing.assert_close(found[0].view(3, 3)[:, 1], 2.0 * torch.tensor([40.0, 200.0, 360.0]))


def test_the_order_of_the_frames_is_dropped_to_the_bit():
    z_BDT = torch.randn(2, 16, 400).repeat_interleave(4, dim=-1)
    order = torch.randperm(400)
    shuffled = z_BDT.unflatten(-1, (400, 4))[:, :, order].flatten(2)
    assert torch.equal(colour.code(z_BDT), colour.code(shuffled))


def test_one_frame_is_its_own_colour():
    z_BDT = torch.randn(1, 5, 1)
    assert torch.equal(colour.code(z_BDT).view(3, 5), z_BDT[..., 0].expand(3, 5))
