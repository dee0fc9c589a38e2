"""Which beats begin bars: by odds alone, and by what sounds from beat to beat."""

import numpy as np
import pytest

from bars_of_rock import FRAMES, groove
from powermuse.audio import downbeats
from powermuse.audio.barnet import Beats
from powermuse.audio.clock import FRAME_RATE_HZ
from powermuse.audio.downbeats import Downs

PERIOD = 60.0 * FRAME_RATE_HZ / 112.5
"""40 frames."""
NOBODY_KNOWS = np.full(FRAMES, -3.0)


def odds(*places: int, frames: int = FRAMES) -> np.ndarray:
    """Good odds at some beats, poor ones elsewhere."""
    found_T = np.full(frames, -4.0)
    found_T[[round(place * PERIOD) for place in places]] = 4.0
    return found_T


def test_without_a_clip_the_odds_decide():
    found = downbeats.likeliest(Downs(odds(1, 4, 7, 10, 13, 16, 19, 22), None), Beats(0.0, PERIOD))
    assert (found.beats, found.first) == (3, pytest.approx(PERIOD))


@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_where_no_odds_are_the_clip_decides(late):
    found = downbeats.likeliest(Downs(NOBODY_KNOWS, groove(112.5, late)), Beats(0.0, PERIOD))
    assert (found.beats, found.first) == (4, pytest.approx(late * PERIOD))


@pytest.mark.parametrize(("count", "metre"), [(6, 3), (8, 4), (12, 4)])
def test_a_loop_is_whole_bars_and_begins_with_one(count, metre):
    frames = round(count * PERIOD)
    one_beat_in = Downs(odds(1, 5, frames=frames), groove(112.5, 1.0, frames=frames))
    found = downbeats.of_loop(one_beat_in, Beats(0.0, PERIOD), count)
    assert (found.beats, found.first) == (metre, 0.0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_bars_that_a_clip_of_few_beats_does_not_have_speak_for_nothing(count):
    """Else a clip of one beat would be as likely as one of many whose odds are poor."""
    few = Downs(np.full(round(count * PERIOD), -4.0), None)
    assert downbeats.odds(few, Beats(0.0, PERIOD)) == pytest.approx(-4.0)


def test_no_bar_begins_at_the_very_end_of_a_clip():
    """Of a loop of two beats, heard a frame late, the third beat lies within the clip."""
    frames = round(2 * PERIOD) + 1
    ends_with_one = odds(frames=frames)
    ends_with_one[frames - 2] = 4.0
    assert downbeats.likeliest(Downs(ends_with_one, None), Beats(-1.0, PERIOD)).first < PERIOD
