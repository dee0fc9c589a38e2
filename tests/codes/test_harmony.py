"""The harmony code: chords and their notes, without when and how they are struck."""

import numpy as np
import pytest
import torch
from torch import Tensor

from powermuse.audio import pitches
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


@pytest.mark.parametrize("what", ["drums", "noise"])
def test_what_has_no_tone_has_no_chord(what):
    chance = np.random.default_rng(0)
    loud_N = np.exp(-(np.arange(8 * 24_000) % 12_000) / 900) if what == "drums" else np.ones(8 * 24_000)
    strength_QT = pitches.strengths((0.1 * chance.standard_normal(8 * 24_000) * loud_N).astype(np.float32))
    chroma_PT = np.concatenate(pitches.chromas(strength_QT))
    code = harmony.told(
        chroma_BPT := torch.from_numpy(chroma_PT).float()[None].repeat_interleave(4, -1), harmony.states(chroma_BPT)
    )[0]
    assert (code[-1] == 1).float().mean() > 0.8


def test_a_rest_between_chords_is_no_chord():
    read = harmony.code(torch.cat([chroma((C_MAJOR, 150)), torch.zeros(1, 24, 150), chroma((C_MAJOR, 150))], dim=-1))[0]
    assert (read[-1, 160:290] == 1).all() and not read[-1, :140].any() and not read[-1, 310:].any()


def test_clear_chords_of_half_a_second_are_all_read():
    four = [(0, 4, 7), (9, 0, 4), (5, 9, 0), (7, 11, 2)] * 4
    states = harmony.read(chroma(*((notes, 40) for notes in four))[..., ::4])[0]
    wanted = ["C:maj", "A:min", "F:maj", "G:maj"] * 4
    assert [*map(chords.meaning, named(states[5::10]))] == [*map(chords.meaning, wanted)]


# Diminished and suspended chords are rare, and read only where more than their bare notes speaks for them.
@pytest.mark.parametrize("shape", ["maj", "min", "7", "maj7", "min7"])
def test_every_common_quality_on_every_root_has_its_own_state(shape):
    for root in range(12):
        notes = tuple((root + step) % 12 for step in chords.QUALITIES[shape])
        states = harmony.read(chroma((notes, 100))[..., ::4])[0]
        assert chords._states()[int(states[10])] == f"{chords.PITCH_NAMES[root]}:{shape}"


def named(states_T: Tensor) -> list[str]:
    return [chords._states()[int(s)] for s in states_T]


def test_chords_that_follow_one_another_are_all_read():
    chance = np.random.default_rng(0)
    spans = [(tuple((int(root) + s) % 12 for s in (0, 4, 7)), 120) for root in chance.integers(0, 12, 5)]
    states = harmony.read(chroma(*spans)[..., ::4])[0]
    assert named(states[15::30]) == [f"{chords.PITCH_NAMES[notes[0]]}:maj" for notes, _ in spans]


@pytest.mark.parametrize(("scale", "expected"), [((0, 2, 4, 5, 7, 9, 11), "A:min"), ((9, 11, 1, 2, 4, 6, 8), "A:maj")])
def test_a_third_that_cannot_be_told_is_that_of_the_scale(scale, expected):
    """A and E with as much C as C sharp, among the notes of C major and of A major."""
    doubtful = chroma((A_MINOR, 200))
    doubtful[:, 12 + 1] = doubtful[:, 12]
    around = torch.full((1, 24, 800), 0.05)
    around[:, [12 + note for note in scale]] = 0.7
    states = harmony.read(torch.cat([doubtful, around], dim=-1)[..., ::4])[0]
    assert chords.meaning(named(states[25:26])[0]) == chords.meaning(expected)


@pytest.mark.parametrize(("frames", "expected"), [(16, {"C:maj"}), (40, {"C:maj"}), (120, {"C:maj", "A:min"})])
def test_half_a_second_amid_another_chord_is_no_chord_of_its_own(frames, expected):
    """By the second about it; without that it would be one from .48 s on."""
    states = harmony.read(chroma((C_MAJOR, 200), (A_MINOR, frames), (C_MAJOR, 200))[..., ::4])[0]
    assert set(named(states)) == expected


def test_the_nearest_state_to_a_code_is_its_own_and_to_a_mix_that_of_the_larger_share():
    states_BT = torch.arange(85)[None]
    codes_BRT = harmony.told(torch.zeros(1, 24, 4 * 85), states_BT)
    assert torch.equal(harmony.nearest(codes_BRT), states_BT.repeat_interleave(4, dim=-1))
    mixed = 0.6 * codes_BRT + 0.4 * codes_BRT.roll(4 * 31, dims=-1)
    assert torch.equal(harmony.nearest(mixed), states_BT.repeat_interleave(4, dim=-1))


def test_which_notes_belong_to_the_chord_and_of_none_nothing_is_said():
    code_BRT = harmony.told(torch.zeros(1, 24, 8), torch.tensor([[0, 84]]))  # C major, then no chord
    found_PT = harmony.belonging(code_BRT)[0]
    assert (found_PT[:, :4] == torch.tensor([1, -1, -1, -1, 1, -1, -1, 1, -1, -1, -1, -1.0])[:, None]).all()
    assert not found_PT[:, 4:].any()
    mean_PT = harmony.belonging(0.5 * (code_BRT[..., :4] + code_BRT[..., 4:]))[0]
    torch.testing.assert_close(mean_PT, 0.5 * found_PT[:, :4])


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
