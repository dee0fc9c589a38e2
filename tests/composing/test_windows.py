"""What windows tell is joined as if one had told it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from powermuse import recipe
from powermuse.composing import windows
from powermuse.composing.windows import Joined
from powermuse.metrics import chords
from powermuse.recipe import FlowRecipe
from powermuse.types import Brief, Clip, Composition, Proposal
from powermuse.weights import LoadedModel

FRAMES, POOL = 900, 3
RECIPE = "{name: none, agent: {name: factors}, composer: flow, flow: {pool: 3}}"


class Telling(nn.Module):
    """Tells what the groove's latents hold: 4 channels of rhythm, 49 of chords, 176 of notes."""

    def forward(self, groove: Clip, harmony: Clip, brief: Brief | None) -> tuple[Proposal, Composition]:
        rhythm, chord, notes = groove.z_BDT.split((4, 49, 176), dim=1)
        of_tokens = torch.nn.functional.avg_pool1d(notes, POOL, ceil_mode=True)
        return Proposal((rhythm, chord), None, {}, {}), Composition(groove.z_BDT, (), (), of_tokens)


def composed(z_BDT: Tensor, window: int) -> Joined:
    other_BKT = torch.zeros(1, 1, z_BDT.shape[-1])
    clip = Clip(z_BDT, other_BKT, other_BKT, other_BKT[0])
    loaded = LoadedModel(Telling(), recipe.parse(RECIPE, "here"), "", "")  # type: ignore[arg-type]
    return windows.compose(loaded, clip, clip, None, window, lambda *_: None)


def piece(frames: int = FRAMES) -> Tensor:
    """C major, then A minor with a seventh from frame 400 on; note 39 from frame 501 to 620, struck at first; a rising
    rhythm."""
    z_BDT = torch.zeros(1, 229, frames)
    z_BDT[:, :4] = torch.linspace(0, 1, frames)
    for root, notes, time in ((0, [0, 4, 7], slice(0, 400)), (9, [9, 0, 4, 7], slice(400, frames))):
        z_BDT[:, 4 + root, time] = 1.0
        z_BDT[:, [16 + note for note in notes], time] = 1.0
    z_BDT[:, 53:] = -4.0
    z_BDT[:, 53 + 39, 501:621] = 3.0
    z_BDT[:, 53 + 88 + 39, 501:504] = 3.0
    return z_BDT


@pytest.mark.parametrize("window", [FRAMES, 600, 300, 100, 101, 7])
def test_rhythm_and_chords_do_not_depend_on_the_windows(window):
    made = composed(piece(), window)
    assert made.rhythm_RT is not None
    np.testing.assert_allclose(made.rhythm_RT, piece()[0, :4].numpy(), atol=1e-6)
    found = made.chords(1 / 75)
    assert found is not None and found.labels == ("C:maj", "A:min7")
    np.testing.assert_allclose(found.intervals_s, [[0, 400 / 75], [400 / 75, 12]])
    chords.validate(found)


@pytest.mark.parametrize("frames", [FRAMES, FRAMES - 1, FRAMES - 2])
def test_notes_of_windows_on_whole_tokens_are_those_of_one_window(frames):
    whole, parts = (composed(piece(frames), window).notes(POOL) for window in (frames, 300))
    assert whole is not None and parts is not None and whole.shape == (88, 300)
    np.testing.assert_allclose(whole[39, [166, 167, 206, 207]], 1 / (1 + np.exp([4, -3, -3, 4])), rtol=1e-5)
    np.testing.assert_allclose(parts[:, :200], whole[:, :200], atol=1e-6)
    assert ((parts > 0.5) == (whole > 0.5)).all()
    for window in (frames, 300):
        found = composed(piece(frames), window).score(FlowRecipe(pool=POOL))
        assert found is not None and found.struck_BQN.nonzero().tolist() == [[0, 39, 167]]
        assert found.sounds_BQN[0, 39].nonzero()[:, 0].tolist() == list(range(167, 207))


@pytest.mark.parametrize("window", [100, 101, 500])
@pytest.mark.parametrize("frames", [FRAMES, FRAMES - 1, FRAMES - 2])
def test_notes_and_score_do_not_depend_on_the_windows(window, frames):
    made = composed(piece(frames), window)
    sounds_QN, found = made.notes(POOL), made.score(FlowRecipe(pool=POOL))
    assert sounds_QN is not None and sounds_QN.shape == (88, 300) and found is not None
    assert np.flatnonzero(sounds_QN[39] > 0.5).tolist() == list(range(167, 207))
    assert (np.delete(sounds_QN, 39, axis=0) < 0.02).all()
    assert found.struck_BQN.nonzero().tolist() == [[0, 39, 167]]
    assert found.sounds_BQN[0, 39].nonzero()[:, 0].tolist() == list(range(167, 207))


def test_a_token_is_the_mean_of_its_frames_and_the_last_one_of_those_that_there_are():
    made = Joined({"notes": torch.tensor([0.1, 0.1, 0.7, 0.3, 0.0]).expand(1, 176, 5)}, {}, []).notes(3)
    assert made is not None and made.shape == (88, 2)
    np.testing.assert_allclose(made[5], [0.3, 0.1], rtol=1e-6)  # the last frame fills its token


def test_what_nobody_told_is_none():
    made = Joined({"blend": torch.zeros(1, 2, 3)}, {}, [])
    assert made.masks is made.rhythm_RT is made.chords(1.0) is made.notes(3) is None
    assert made.score(FlowRecipe()) is None


def test_the_roll_is_the_score_by_frames_and_none_without_a_note():
    roll_BQT = composed(piece(), FRAMES).roll(FlowRecipe(pool=POOL))
    assert roll_BQT is not None and roll_BQT.shape == (1, 88, FRAMES)
    assert roll_BQT[0].nonzero()[:, 0].unique().tolist() == [39]
    assert roll_BQT[0, 39, 501:506].tolist() == [2, 1, 1, 1, 1] and roll_BQT[0, 39, 621:].sum() == 0
    silent_BDT = piece()
    silent_BDT[:, 53:] = -4.0
    assert composed(silent_BDT, FRAMES).roll(FlowRecipe(pool=POOL)) is None


def test_a_loop_begins_with_what_is_played_after_its_end():
    """Of notes and rhythm: the first stroke of a clip is seen only where something comes before it."""
    layers = {name: torch.zeros(1, 2, 10) for name in ("blend", "notes", "rhythm")}
    for layer in layers.values():
        layer[0, 0, 8], layer[0, 1, 3] = 1.0, 0.5
    looped = Joined(layers, {}, [4, 9]).looped(8)
    for name in ("notes", "rhythm"):
        assert looped.layers[name][0].tolist() == [[1.0, *[0.0] * 7], [0.0, 0.0, 0.0, 0.5, *[0.0] * 4]]
    assert looped.layers["blend"][0, 0].tolist() == [0.0] * 8
    assert looped.seams_frames == [4]
    assert layers["notes"][0, 0, 0] == 0.0, "what was composed stays as it was"


@pytest.mark.parametrize(("frames", "ends"), [(1, 1), (7, 1), (8, 2)])
def test_what_is_left_of_a_frame_at_the_end_is_no_chord(frames, ends):
    """C major, and so many frames of another chord."""
    z_BDT = piece(400 + frames)
    told = Joined({"blend": z_BDT, "chords": z_BDT[:, 4:53]}, {}, []).chords(1 / 75)
    assert len(told.labels) == ends and told.labels[0] == "C:maj"
    assert told.intervals_s[-1, 1] == pytest.approx((400 + frames) / 75)
