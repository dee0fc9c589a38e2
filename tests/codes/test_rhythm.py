"""The rhythm code: what it keeps, and what it drops to the bit."""

import torch
from torch import Tensor

from powermuse.codes import rhythm

BANDS, STEPS, FRAMES = 3, 5, 300


def strokes(low: int = 30, high: int = 10) -> Tensor:
    """Kicks in the lowest of eight bands every `low` frames, hats in the highest every `high`."""
    onsets_BKT = torch.zeros(1, 8, FRAMES)
    onsets_BKT[:, 0, ::low] = 1.0
    onsets_BKT[:, 7, ::high] = 0.4
    return onsets_BKT


def level(db: float = -20.0) -> Tensor:
    return torch.full((1, FRAMES), db)


def code(onsets_BKT: Tensor, level_BT: Tensor | None = None) -> Tensor:
    return rhythm.code(onsets_BKT, level() if level_BT is None else level_BT, BANDS, STEPS)


def test_a_stroke_is_at_its_own_frame_and_nothing_elsewhere():
    found = code(strokes())[0, :BANDS]
    struck = found.amax(dim=0) > 0
    assert torch.equal(struck.nonzero().flatten(), torch.arange(0, FRAMES, 10))


def test_kick_and_hat_are_in_different_bands_whatever_their_strength():
    found = code(strokes())[0]
    only_hat = found[:BANDS, 10]
    kick_too = found[:BANDS, 30]
    assert only_hat[0] == 0
    assert kick_too[0] > 0
    assert only_hat[BANDS - 1] > 0


def test_every_band_has_its_share_of_the_onsets():
    onsets_BKT = torch.rand(2, 8, FRAMES) * torch.linspace(0.05, 2.0, 8)[:, None]
    folded = rhythm._adaptive(onsets_BKT, BANDS).sum(dim=-1)
    torch.testing.assert_close(folded, folded.mean(dim=1, keepdim=True).expand(-1, BANDS), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(folded.sum(dim=1), onsets_BKT.sum(dim=(1, 2)), rtol=1e-4, atol=1e-4)


def test_the_gain_of_the_clip_does_not_matter():
    quiet, loud = code(0.01 * strokes(), level(-50.0)), code(3.0 * strokes(), level(-6.0))
    assert torch.equal(quiet, loud)


def test_what_is_finer_than_its_steps_is_dropped():
    finer = strokes() * (1.0 + 0.004 * torch.rand(1, 8, FRAMES))
    assert torch.equal(code(strokes()), code(finer))
    assert set((code(torch.rand(1, 8, FRAMES)) * STEPS).unique().tolist()) <= {float(i) for i in range(STEPS + 1)}


def test_a_stroke_of_half_the_strength_reads_weaker():
    onsets_BKT = strokes()
    onsets_BKT[:, 0, 30] = 0.3
    found = code(onsets_BKT)[0, 0]
    assert 0 < found[30] < found[60]


def test_a_stop_of_the_music_shows_in_the_level():
    level_BT = level()
    level_BT[:, 100:200] = -60.0
    found = code(strokes(), level_BT)[0, BANDS]
    assert (found[100:200] == 0).all()
    assert (found[:100] == 1).all()


def test_silence_has_no_rhythm():
    assert (code(torch.zeros(1, 8, FRAMES), level(-100.0)) == 0).all()
