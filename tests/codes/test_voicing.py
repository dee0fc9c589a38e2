"""The voicing code: how the latents are spread while a chord holds, not when."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from powermuse.codes import voicing

TOGETHER = 4
QUANTILES = (0.1, 0.4, 0.7, 0.9, 1.0)
CHORDS = torch.tensor([[5] * 10 + [7] * 30 + [5] * 20])
"""Three chords, the third the same as the first: borders at frames 40 and 160 of 240."""


def spans(code_BRT: Tensor) -> list[Tensor]:
    """The quantiles of each of the three chords, [5, D]; it has to be the same in every frame of one."""
    found = []
    for begin, end in ((0, 40), (40, 160), (160, 240)):
        span_BRT = code_BRT[..., begin:end]
        assert torch.equal(span_BRT, span_BRT[..., :1].expand_as(span_BRT))
        found.append(span_BRT[0, :-1, 0].view(len(QUANTILES), -1))
    return found


def test_quantiles_are_held_while_a_chord_holds_and_change_at_its_border():
    """A ramp in each channel, the second one falling: what a quantile is can be counted."""
    ramp_BDT = torch.arange(240.0)[None, None] * torch.tensor([1.0, -1.0])[:, None]
    for (first, last), found in zip(
        ((0, 39), (40, 159), (160, 239)), spans(voicing.code(ramp_BDT, CHORDS, 4)), strict=True
    ):
        places = [round(q * (last - first)) for q in QUANTILES]
        assert found[:, 0].tolist() == [first + place for place in places]
        assert found[:, 1].tolist() == [-last + place for place in places]


def test_a_loud_frame_stays_with_its_chord_and_its_channel():
    z_BDT = torch.zeros(1, 3, 240)
    z_BDT[:, 1, 40:160] = 8.0
    assert [[bool(channel.any()) for channel in found.T] for found in spans(voicing.code(z_BDT, CHORDS, 4))] == [
        [False, False, False], [False, True, False], [False, False, False],
    ]  # fmt: skip


def test_the_order_of_the_frames_of_a_chord_is_dropped_to_the_bit():
    generator = torch.Generator().manual_seed(0)
    z_BDT = 6.0 * torch.randn(1, 16, 240, generator=generator)
    z_BDT[:, ::3] = z_BDT[:, ::3].round()  # equal ones, and zeros of either sign
    order = torch.cat([a + torch.randperm(b - a, generator=generator) for a, b in ((0, 40), (40, 160), (160, 240))])
    before = voicing.code(z_BDT, CHORDS, TOGETHER)
    assert torch.equal(before, voicing.code(z_BDT[..., order], CHORDS, TOGETHER))
    across = torch.randperm(240, generator=generator)
    assert not torch.equal(before, voicing.code(z_BDT[..., across], CHORDS, TOGETHER))


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 239, 600])
def test_it_is_what_sorting_every_chord_by_itself_gives(frames):
    """The plain way: a loop over clips and chords. Two clips, whose chords change in other places."""
    generator = torch.Generator().manual_seed(frames)
    z_BDT = 6.0 * torch.randn(2, 5, frames, generator=generator)
    states_BT = torch.randint(0, 3, (2, -(-frames // TOGETHER)), generator=generator)
    wanted = torch.empty(2, len(QUANTILES), 5, frames)
    for b in range(2):
        states = states_BT[b].tolist()
        borders = [0, *(TOGETHER * i for i in range(1, len(states)) if states[i] != states[i - 1]), frames]
        for begin, end in pairwise(borders):
            for d in range(5):
                ordered = sorted(z_BDT[b, d, begin:end].tolist())
                for k, q in enumerate(QUANTILES):
                    wanted[b, k, d, begin:end] = ordered[round(q * (len(ordered) - 1))]
    code_BRT = voicing.code(z_BDT, states_BT, TOGETHER)
    assert code_BRT.shape == (2, voicing.rows(5), frames)
    assert torch.equal(code_BRT[:, :-1], wanted.flatten(1, 2))


def test_the_last_channel_tells_what_is_known_from_what_is_left_open():
    z_BDT = torch.randn(2, 16, 240)
    known, unknown = voicing.code(z_BDT, CHORDS.expand(2, -1), TOGETHER), voicing.unknown(z_BDT)
    assert (known[:, -1] == 1).all()
    assert unknown.shape == known.shape and not unknown.any()


def test_silence_is_a_voicing_that_is_known():
    code_BRT = voicing.code(torch.zeros(1, 16, 240), CHORDS, TOGETHER)
    assert not code_BRT[:, :-1].any() and (code_BRT[:, -1] == 1).all()
