"""Onsets and beats: the detector on planted strokes, the F-measure against mir_eval and along a slide."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from powermuse.metrics import events

RATE_HZ, FRAMES = 75.0, 1200
times = st.lists(st.floats(0.0, 4.0), max_size=40).map(lambda x: np.sort(np.array(x)))


def _envelope(strokes_s: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """A triangle of three frames at each moment."""
    clock = np.arange(FRAMES) / RATE_HZ
    return (heights[:, None] * np.maximum(0.0, 1.0 - np.abs(clock - strokes_s[:, None]) * RATE_HZ / 2)).sum(axis=0)


def test_planted_strokes_are_found_where_they_are():
    random = np.random.default_rng(0)
    strokes_s = np.cumsum(random.uniform(0.12, 0.6, 30))
    found = events.onsets(_envelope(strokes_s, random.uniform(0.1, 1.0, 30)), RATE_HZ)
    assert len(found) == 30
    assert found == pytest.approx(strokes_s, abs=0.5 / RATE_HZ)


def test_a_stroke_beside_one_a_hundred_times_as_strong_is_not_an_onset():
    assert events.onsets(_envelope(np.array([1.0, 2.0]), np.array([1.0, 0.01])), RATE_HZ) == pytest.approx([1.0])


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_steady_sound_has_no_onset(level):
    assert len(events.onsets(np.full(FRAMES, level), RATE_HZ)) == 0


@given(times, times)
def test_it_is_mir_evals(reference, estimated):
    onset = pytest.importorskip("mir_eval").onset
    with pytest.warns() if not (len(reference) and len(estimated)) else _silence():
        theirs = onset.f_measure(reference, estimated, window=0.05)[0]
    assert events.f_measure(reference, estimated) == pytest.approx(theirs)


@given(times, times)
def test_beats_are_mir_evals(reference, estimated):
    beat = pytest.importorskip("mir_eval").beat
    if len(reference) and len(estimated):
        assert events.beat_f_measure(reference, estimated) == pytest.approx(beat.f_measure(reference, estimated))


def test_each_onset_is_matched_once():
    assert events.f_measure(np.array([1.0]), np.array([0.98, 1.02])) == pytest.approx(2 / 3)
    # The greedy nearest choice (1.00 to 1.03) would leave 1.07 alone.
    assert events.f_measure(np.array([1.0, 1.07]), np.array([0.96, 1.03])) == 1.0


def test_it_slides_from_chance_to_1_and_its_corrected_form_from_0():
    random = np.random.default_rng(1)
    reference, other = (np.sort(random.uniform(0, 16, 60)) for _ in range(2))
    curve = _envelope(reference, np.ones(60))
    plain, adjusted = [], []
    for share in range(0, 61, 12):
        mixed = np.sort(np.concatenate([reference[:share], other[share:]]))
        plain.append(events.f_measure(reference, mixed))
        adjusted.append(events.adjusted(reference, mixed, curve, RATE_HZ))
    assert all(later > earlier for values in (plain, adjusted) for earlier, later in pairwise(values))
    assert plain[-1] == adjusted[-1] == 1.0
    # Twenty shifts and 60 onsets: sd of the corrected chance value about .05.
    assert plain[0] > 0.2 and adjusted[0] == pytest.approx(0.0, abs=0.2)


def test_a_loop_whose_shifts_are_itself_is_not_corrected():
    curve = np.tile(np.r_[1.0, np.zeros(9)], 120)
    strokes_s = np.arange(0, 16, 10 / 75)
    assert events.adjusted(strokes_s, strokes_s, np.ones(FRAMES), RATE_HZ) is not None
    assert events.adjusted(strokes_s, strokes_s, curve, 1000.0) is None


def test_times_out_of_order_and_envelopes_below_0_are_refused():
    with pytest.raises(ValueError, match="in order"):
        events.f_measure(np.array([2.0, 1.0]), np.array([1.0]))
    with pytest.raises(ValueError, match=">= 0"):
        events.onsets(np.array([0.0, -1.0]), RATE_HZ)


def _silence():
    from contextlib import nullcontext

    return nullcontext()
