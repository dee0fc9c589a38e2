"""The harmony code: chords and their notes, without when and how they are struck."""

import numpy as np
import pytest
import torch
from torch import Tensor

from powermuse.codes import harmony
from powermuse.metrics import chords

FRAMES = 600
C_MAJOR, A_MINOR = (0, 4, 7), (9, 0, 4)


def chroma(*spans: tuple[tuple[int, ...], int], faint: float = 0.05) -> Tensor:
    """[1, 24, T]: each chord for so many frames, its first note in the bass."""
    pieces = []
    for notes, frames in spans:
        piece = torch.full((1, 24, frames), faint)
        piece[:, notes[0]] = 0.8
        piece[:, [12 + note for note in notes]] = 1.0
        pieces.append(piece)
    return torch.cat(pieces, dim=-1)


def test_chords_are_named_and_their_border_is_hard():
    code = harmony.code(chroma((C_MAJOR, 300), (A_MINOR, 300)))[0]
    assert code.shape == (harmony.ROWS, FRAMES)
    assert code[:12, 150].nonzero().flatten().tolist() == [0]
    assert code[12:24, 150].nonzero().flatten().tolist() == [0, 4, 7]
    assert code[:12, 450].nonzero().flatten().tolist() == [9]
    assert code[12:24, 450].nonzero().flatten().tolist() == [0, 4, 9]
    changes = (code.diff(dim=-1) != 0).any(dim=0).nonzero().flatten()
    assert len(changes) == 1 and abs(int(changes) - 299) <= 4


def test_how_a_chord_is_struck_is_dropped_to_the_bit():
    held = chroma((C_MAJOR, FRAMES))
    struck = held.clone()
    struck[..., ::40] = held[..., ::40].roll(1, dims=-1)  # the same frames in another order
    assert torch.equal(harmony.code(held), harmony.code(struck))


def test_when_within_a_chord_something_sounds_is_dropped():
    generator = torch.Generator().manual_seed(0)
    noisy = (
        chroma((C_MAJOR, FRAMES)) + 0.1 * torch.rand(1, 24, FRAMES // 4, generator=generator).repeat_interleave(4, -1)
    ).clamp(0, 1)
    order = torch.randperm(FRAMES // 4, generator=generator)
    shuffled = noisy.unflatten(-1, (-1, 4))[:, :, order].flatten(2)
    torch.testing.assert_close(harmony.code(noisy), harmony.code(shuffled))


def test_silence_is_no_chord():
    code = harmony.code(torch.zeros(1, 24, FRAMES))[0]
    assert (code[-1] == 1).all()
    assert (code[:-1] == 0).all()


# Diminished and suspended chords are rare, and read only where more than their bare notes speaks for them.
@pytest.mark.parametrize("shape", ["maj", "min", "7", "maj7", "min7"])
def test_every_common_quality_on_every_root_has_its_own_state(shape):
    for root in range(12):
        notes = tuple((root + step) % 12 for step in chords.QUALITIES[shape])
        states = harmony.read(chroma((notes, 100))[..., ::4])[0]
        assert chords._states()[int(states[10])] == f"{chords.PITCH_NAMES[root]}:{shape}"


def test_it_reads_what_the_reader_of_the_benchmark_reads():
    """The same likelihoods and path, but for a clock twice as fine."""
    chance = np.random.default_rng(0)
    spans = [(tuple((int(root) + s) % 12 for s in (0, 4, 7)), 120) for root in chance.integers(0, 12, 5)]
    states = harmony.read(chroma(*spans)[..., ::4])[0].numpy()
    names = [chords._states()[s] for s in states[15::30]]
    assert names == [f"{chords.PITCH_NAMES[notes[0]]}:maj" for notes, _ in spans]


def test_the_nearest_state_to_a_code_is_its_own_and_to_a_mix_that_of_the_larger_share():
    states_BT = torch.arange(85)[None]
    codes_BRT = harmony.told(torch.zeros(1, 24, 4 * 85), states_BT)
    assert torch.equal(harmony.nearest(codes_BRT), states_BT.repeat_interleave(4, dim=-1))
    mixed = 0.6 * codes_BRT + 0.4 * codes_BRT.roll(4 * 31, dims=-1)
    assert torch.equal(harmony.nearest(mixed), states_BT.repeat_interleave(4, dim=-1))


def test_a_clip_in_a_batch_is_read_as_it_is_alone():
    clips = torch.cat([chroma((C_MAJOR, 300), (A_MINOR, 300)), chroma((A_MINOR, 600)), torch.zeros(1, 24, 600)])
    together = harmony.code(clips)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], harmony.code(clips[i : i + 1]))


@pytest.mark.parametrize("frames", [1, 3, 5, 599])
def test_any_length_has_a_code(frames):
    assert harmony.code(chroma((C_MAJOR, frames))).shape == (1, harmony.ROWS, frames)


def test_what_is_first_read_in_inference_mode_does_not_stand_in_the_way_of_training():
    for kept in (harmony._templates, harmony._meanings):
        kept.cache_clear()
    with torch.inference_mode():
        harmony.code(chroma((C_MAJOR, 60)))
    code = harmony.code(chroma((C_MAJOR, 60)).requires_grad_())
    assert not code.is_inference()
    code.sum().backward()


def test_detail_decides_how_the_chroma_within_a_chord_is_told():
    """A chord whose third sounds in its second half alone: not at all, as a mean, by quarters of a second."""
    chroma_BPT = chroma(((0, 4, 7), 120))
    chroma_BPT[:, [4, 16], :60] = 0.0
    states_BT = torch.zeros(1, 30, dtype=torch.long)  # C major throughout
    names, whole, quarters = (harmony.told(chroma_BPT, states_BT, how) for how in ("names", "chords", "quarters"))
    held = slice(24, 48)
    for found in (names, whole, quarters):
        assert torch.equal(found[:, :24], whole[:, :24]) and torch.equal(found[:, 48:], whole[:, 48:])
    assert not names[:, held].any()
    assert (whole[:, held].diff(dim=-1) == 0).all() and 0.4 < float(whole[0, 24 + 16, 0]) < 0.6
    third_T = quarters[0, 24 + 16]
    assert third_T[:60].max() < 0.1 and third_T[60:].min() > 0.9


def test_chords_can_be_held_for_longer_by_what_holds_longest():
    states = torch.tensor([[3] * 30 + [7] * 10 + [3] * 16 + [9] * 37 + [4] * 19])
    held = harmony.held_for(states, 56 / 18.75)
    assert held.shape == states.shape
    assert held.tolist() == [[3] * 56 + [9] * 56]
    assert torch.equal(harmony.held_for(states, 0.0), states)


def test_chords_that_hold_long_enough_stay_where_they_are_and_the_end_of_a_loop_is_no_chord():
    four = torch.tensor([[0] * 75 + [1] * 75 + [2] * 75 + [3] * 75 + [0] * 5])
    for seconds in (1.5, 3.9):
        assert harmony.held_for(four, seconds).tolist() == [[0] * 75 + [1] * 75 + [2] * 75 + [3] * 80]
    halved = harmony.held_for(four, 5.0)[0]
    assert halved.unique_consecutive(return_counts=True)[1].tolist() == [150, 155]
    assert len(harmony.held_for(four, 60.0).unique()) == 1
