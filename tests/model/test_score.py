"""From rolls and chances to scores, and what a painter sees of them."""

import dataclasses

import pytest
import torch
from torch import Tensor

from powermuse.model import score
from powermuse.model.score import NOTES, Score, Staves
from powermuse.recipe import FlowRecipe

RECIPE = FlowRecipe(strikes=0.5, holds=0.4)
ROW = 39


def chances(sounds: list[float], strikes: list[float]) -> Tensor:
    """Of one note; all others are silent."""
    found_BQN = torch.zeros(1, 2 * NOTES, len(sounds))
    found_BQN[0, ROW], found_BQN[0, NOTES + ROW] = torch.tensor(sounds), torch.tensor(strikes)
    return found_BQN


def settled(sounds: list[float], strikes: list[float], recipe: FlowRecipe = RECIPE) -> tuple[list[int], list[int]]:
    """In which tokens the note sounds, and in which it is struck."""
    found = score.settled(chances(sounds, strikes), recipe)
    others = [i for i in range(NOTES) if i != ROW]
    assert not found.sounds_BQN[:, others].any() and not found.struck_BQN[:, others].any()
    return tuple(x[0, ROW].nonzero()[:, 0].tolist() for x in found)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("sounds", "strikes", "wanted"),
    [
        ([0, 0.9, 0.9, 0.9, 0.1], [0, 0.9, 0, 0, 0], ([1, 2, 3], [1])),
        ([0, 0.9, 0.9, 0.9, 0.1], [0, 0.3, 0.25, 0, 0], ([1, 2, 3], [1])),  # a stroke on a border
        ([0, 0.9, 0.9, 0.9, 0.1], [0, 0.45, 0, 0, 0], ([], [])),  # sounding, but never struck
        ([0.9, 0.9, 0.3, 0.9, 0.1], [0, 0, 0, 0, 0], ([0, 1], [])),  # held from before the piece; what faded is gone
        ([0.9, 0.9, 0.3, 0.9, 0.1], [0, 0, 0, 0.8, 0], ([0, 1, 3], [3])),
        ([0.9, 0.9, 0.9, 0.9, 0.9], [0.9, 0, 0, 0.9, 0], ([0, 1, 2, 3, 4], [0, 3])),
        ([0.1, 0.1, 0.1, 0.1, 0.1], [0, 0, 0.9, 0, 0], ([2], [2])),  # struck, and gone at once
        ([0, 0.9, 0.9, 0.9, 0.9], [0, 0.9, 0.9, 0, 0], ([1, 2, 3, 4], [1])),  # one stroke, not two
    ],
)
def test_a_note_begins_where_it_is_struck_and_sounds_while_it_holds(sounds, strikes, wanted):
    assert settled(sounds, strikes) == wanted


def test_a_score_and_its_roll_are_the_same():
    found = score.settled(chances([0, 0.9, 0.9, 0.9, 0.1], [0, 0.9, 0, 0.9, 0]), RECIPE)
    roll_BQT = score.to_roll(found, 3, 14)
    assert roll_BQT[0, ROW].tolist() == [0, 0, 0, 2, 1, 1, 1, 1, 1, 2, 1, 1, 0, 0]
    again = score.of_roll(roll_BQT, 3)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(again, found, strict=True))


def test_bounds_are_those_of_the_recipe():
    told = ([0.0, 0.5, 0.3, 0.3], [0.0, 0.45, 0.0, 0.0])
    assert settled(*told) == ([], [])
    assert settled(*told, dataclasses.replace(RECIPE, strikes=0.4)) == ([1], [1])
    assert settled(*told, dataclasses.replace(RECIPE, strikes=0.4, holds=0.2)) == ([1, 2, 3], [1])


def test_a_roll_is_told_by_tokens_the_last_of_which_may_be_short():
    roll_BQT = torch.zeros(1, NOTES, 7)
    roll_BQT[0, 5] = torch.tensor([0.0, 0, 2, 1, 1, 0, 2])
    found = score.of_roll(roll_BQT, 3)
    assert found.sounds_BQN[0, 5].tolist() == [1, 1, 1] and found.struck_BQN[0, 5].tolist() == [1, 0, 1]
    assert found.sounds_BQN.sum() == 3 and found.struck_BQN.sum() == 2


def test_what_is_struck_fades_while_it_sounds():
    sounds_BQN, struck_BQN = torch.zeros(1, NOTES, 8), torch.zeros(1, NOTES, 8)
    sounds_BQN[0, ROW, 0:7], struck_BQN[0, ROW, 2], struck_BQN[0, ROW, 5] = 1.0, 1.0, 1.0
    for found_BQN, fade_s in zip(Staves(128, 3, 8)._fading(Score(sounds_BQN, struck_BQN)), (0.12, 0.6), strict=True):
        once = torch.exp(-0.04 * torch.arange(3.0) / fade_s)
        wanted = torch.cat([torch.zeros(2), once, once[:2], torch.zeros(1)])
        torch.testing.assert_close(found_BQN[0, ROW], wanted)
        assert found_BQN.sum() == found_BQN[0, ROW].sum()


def test_partials_lie_in_the_mel_bands_of_their_frequencies():
    """A4: 440 Hz and its multiples, in the bands whose centres are nearest to them."""
    from powermuse.audio.spectra import mel_filters

    filters_MF = mel_filters(24_000, 1280, 128)
    bins_hz = torch.arange(filters_MF.shape[1]) * 24_000 / 1280
    centres_M = (filters_MF @ bins_hz) / filters_MF.sum(dim=1)
    struck_BQN = torch.zeros(1, NOTES, 1)
    struck_BQN[0, 48] = 1.0
    planes_BPDN, _ = Staves(128, 3, 8)(Score(torch.zeros(1, NOTES, 1), struck_BQN))
    all_D, first_D = planes_BPDN[0, 2:4, :, 0].detach()
    assert not planes_BPDN[0, :2].any(), "it does not sound"
    assert abs(int(first_D.argmax()) - int((centres_M - 440).abs().argmin())) <= 1
    peaks = [i for i in range(1, 127) if all_D[i] > all_D[i - 1] and all_D[i] >= all_D[i + 1]]
    for k, peak in enumerate(peaks[:6], start=1):
        assert float(centres_M[peak]) == pytest.approx(440 * k, rel=0.06)
    assert len(peaks) >= 6
