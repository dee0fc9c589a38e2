"""What a flow learns from: the errors of draft, velocity and notes, each known by hand."""

import pytest
import torch

from powermuse.losses import flow as losses
from powermuse.types import BadInput, Noised

D, T, NOTES = 8, 33, 88
BOTH = 2 * NOTES


def test_the_velocity_error_is_that_of_the_velocity():
    truth, noise = torch.randn(3, D, T), torch.randn(3, D, T)
    time_B = torch.tensor([0.1, 0.5, 0.7])
    at = time_B[:, None, None]
    on_the_way = (1 - at) * noise + at * truth
    clean = truth + 0.3 * torch.randn(3, D, T)
    velocity, wanted = (clean - on_the_way) / (1 - at), truth - noise
    error = losses.velocity_error(clean, truth, Noised(truth, noise, time_B))
    torch.testing.assert_close(error, ((velocity - wanted) / 4.0).square().mean())


def test_errors_are_0_on_the_truth_and_bits_of_an_octave_on_a_guess():
    truth_BDT = torch.randn(2, D, T)
    assert losses.draft_error(truth_BDT, truth_BDT) == 0
    assert losses.velocity_error(truth_BDT, truth_BDT, Noised(truth_BDT, torch.randn(2, D, T), torch.rand(2))) == 0
    silent = torch.zeros(2, NOTES, T)
    # One bit for each of twelve notes, and five for whether it is struck.
    assert float(losses.notes_error(torch.zeros(2, BOTH, 11), silent)) == pytest.approx(12 * 6, rel=1e-4)
    assert float(losses.notes_error(torch.full((2, BOTH, 11), -30.0), silent)) < 1e-6


def test_clips_whose_notes_nobody_knows_teach_no_notes():
    torch.manual_seed(0)
    logits, notes = torch.randn(3, BOTH, 11, requires_grad=True), (torch.rand(3, NOTES, T) < 0.1).float()
    some = notes.clone()
    some[1] = -1.0
    error = losses.notes_error(logits, some)
    torch.testing.assert_close(error, losses.notes_error(logits[[0, 2]], notes[[0, 2]]))
    (slope,) = torch.autograd.grad(error, logits)
    assert not slope[1].any() and slope[0].any() and slope[2].any()
    nothing = losses.notes_error(logits, torch.full((3, NOTES, T), -1.0))
    assert nothing == 0 and not torch.autograd.grad(nothing, logits)[0].any()


def test_terms_that_want_what_is_not_there_are_refused():
    z = torch.zeros(1, D, T)
    with pytest.raises(BadInput, match=r"flow\.truth wants composer=flow"):
        losses.velocity_error(z, z, None)
    with pytest.raises(BadInput, match=r"notes\.truth wants"):
        losses.notes_error(None, torch.zeros(1, NOTES, T))
    with pytest.raises(BadInput, match=r"crop_frames \(32\) to be a multiple"):
        losses.notes_error(torch.zeros(1, BOTH, 11), torch.zeros(1, NOTES, 32))


def test_near_the_end_the_velocity_does_not_explode():
    truth_BDT, clean_BDT = torch.zeros(1, D, T), torch.ones(1, D, T)
    at_the_end = losses.velocity_error(clean_BDT, truth_BDT, Noised(truth_BDT, truth_BDT, torch.ones(1)))
    assert float(at_the_end) == pytest.approx((1 / 4.0) ** 2 / 0.2**2)


def test_what_sounds_and_what_is_struck_are_told_apart():
    """Of a roll that holds a note and strikes it in one token of two, at logits that say so, nothing is amiss."""
    roll_BQT = torch.zeros(1, NOTES, 6)
    roll_BQT[0, 30] = torch.tensor([2.0, 1, 1, 1, 1, 1])
    logits_BQN = torch.full((1, BOTH, 2), -30.0)
    logits_BQN[0, 30] = 30.0
    logits_BQN[0, NOTES + 30, 0] = 30.0
    assert float(losses.notes_error(logits_BQN, roll_BQT)) < 1e-6
    missed = logits_BQN.clone()
    missed[0, NOTES + 30, 0] = -30.0
    silent = logits_BQN.clone()
    silent[0, 30, 0] = -30.0
    bits = 12 * 30 / 0.6931 / NOTES / 2
    assert float(losses.notes_error(silent, roll_BQT)) == pytest.approx(bits, rel=1e-3)
    assert float(losses.notes_error(missed, roll_BQT)) == pytest.approx(5 * bits, rel=1e-3)


def test_the_error_of_edges_sees_strokes_and_not_an_offset():
    truth_BDT = torch.zeros(1, 2, 10)
    truth_BDT[..., 5:] = 4.0
    assert float(losses.edges_error(truth_BDT + 3.0, truth_BDT)) == pytest.approx(0.0)
    # One step of a standard deviation among nine changes.
    assert float(losses.edges_error(torch.zeros(1, 2, 10), truth_BDT)) == pytest.approx(1 / 9)
    assert float(losses.edges_error(torch.zeros(1, 2, 1), truth_BDT[..., :1])) == 0.0


def test_the_error_of_strokes_sees_what_is_struck_between_them_and_neither_level_nor_what_is_not_heard():
    truth_BDT = torch.zeros(1, 4, 60)
    truth_BDT[..., 10::20] = 14.0
    assert float(losses.strokes_error(truth_BDT, truth_BDT)) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.strokes_error(truth_BDT + 3.0, truth_BDT)) == pytest.approx(0.0, abs=1e-5)
    between, faint = truth_BDT.clone(), truth_BDT.clone()
    between[..., 20::20] = 10.0
    faint[..., 20::20] = 0.5  # 45 dB below
    assert float(losses.strokes_error(between, truth_BDT)) > 0.1
    assert float(losses.strokes_error(faint, truth_BDT)) < 0.02
    assert float(losses.strokes_error(torch.zeros(1, 4, 60), truth_BDT)) == pytest.approx(1.0)
    assert float(losses.strokes_error(truth_BDT[..., :2], truth_BDT[..., :2])) == 0.0


def test_the_error_of_strokes_makes_what_is_struck_between_them_fainter():
    truth_BDT = torch.zeros(1, 4, 60)
    truth_BDT[..., 10::20] = 14.0
    draft_BDT = truth_BDT.clone()
    draft_BDT[..., 20::20] = 10.0
    draft_BDT.requires_grad_()
    losses.strokes_error(draft_BDT, truth_BDT).backward()
    assert (draft_BDT.grad[..., 20::20] > 0).all()
