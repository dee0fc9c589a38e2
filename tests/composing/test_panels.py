"""The panels of a picture show what passed: read back from the axes that they are drawn on."""

import dataclasses
import io
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from powermuse.composing import panels, report
from powermuse.composing.composer import Blend
from powermuse.metrics.chords import Chords

SECONDS, FRAMES, TOKENS = 6.0, 450, 150


@pytest.fixture(scope="module")
def coded(blend: Blend) -> Blend:
    """A blend of 6 s as an agent of codes would leave it: strokes, three chords, two notes."""
    rhythm_RT = np.zeros((4, FRAMES))
    rhythm_RT[0, ::75], rhythm_RT[2, 37::75], rhythm_RT[3] = 1.0, 0.6, 0.8
    spans = np.array([[0.0, 2.5], [2.5, 2.6], [2.6, 4.0], [4.0, 6.0]])
    notes_QN = np.full((88, TOKENS), 0.01)
    notes_QN[60 - 21, 50:100], notes_QN[72 - 21, 100:] = 0.9, 0.3
    found = Chords(spans, ("A:min7", "F#:sus4", "N", "A:maj"))
    return dataclasses.replace(blend, masks=None, rhythm_RT=rhythm_RT, chords=found, notes_QN=notes_QN)


def drawn(blend: Blend, height: float) -> Any:
    """The axis of the only panel that is as high."""
    axis = Figure().subplots()
    (panel,) = (panel for panel in panels.of(blend) if panel.height == height)
    panel.draw(axis, blend, SECONDS)
    return axis


def test_there_is_a_panel_for_whatever_passed_and_a_word_where_nothing_did(blend, coded):
    assert len(panels.of(blend)) == 1 and len(panels.of(coded)) == 3
    assert len(panels.of(dataclasses.replace(coded, notes_QN=None))) == 2
    nothing = drawn(dataclasses.replace(blend, masks=None), 1.3)
    assert [text.get_text() for text in nothing.texts] == ["this agent has no masks"]
    (image,) = drawn(blend, 1.3).images
    np.testing.assert_array_equal(image.get_array(), blend.masks[0] - blend.masks[1])
    assert list(image.get_extent()) == [0, SECONDS, 0, 128]


def test_rhythm_is_shown_band_by_band_over_its_time(coded):
    axis = drawn(coded, 0.7)
    (image,) = axis.images
    np.testing.assert_array_equal(image.get_array(), coded.rhythm_RT)
    assert list(image.get_extent()) == [0, SECONDS, 0, 4]
    labels = dict(zip((t.get_text() for t in axis.get_yticklabels()), axis.get_yticks(), strict=True))
    assert labels == {"low": 0.5, "high": 2.5, "level": 3.5}


def test_chords_are_named_where_they_hold_and_where_the_name_fits(coded):
    axis = drawn(coded, 0.35)
    named = [(text.get_text(), text.get_position()[0]) for text in axis.texts]
    assert named == [("Am7", 1.25), ("N", 3.3), ("A", 5.0)]
    (bars,) = axis.collections
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bars.get_paths()]
    np.testing.assert_allclose(spans, coded.chords.intervals_s)
    a_minor, _, none, a_major = (tuple(colour) for colour in bars.get_facecolors())
    assert a_minor == a_major and len(set(none[:3])) == 1


@pytest.mark.parametrize(
    ("label", "name"), [("C:maj", "C"), ("F#:min", "F#m"), ("G:7", "G7"), ("B:dim", "Bdim"), ("N", "N")]
)
def test_labels_are_written_as_above_a_staff(label, name):
    assert panels.short(label) == name


def test_notes_are_a_piano_roll_of_the_range_that_is_meant(coded):
    axis = drawn(coded, 1.7)
    (image,) = axis.images
    low, high = 60 - 21 - 2, 72 - 21 + 2
    np.testing.assert_array_equal(image.get_array(), coded.notes_QN[low : high + 1])
    assert list(image.get_extent()) == [0, SECONDS, low, high + 1]
    labels = {t.get_text(): at for t, at in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)}
    assert labels == {"C4": 60 - 21 + 0.5, "C5": 72 - 21 + 0.5}
    silent = dataclasses.replace(coded, notes_QN=np.zeros((88, TOKENS)))
    assert list(drawn(silent, 1.7).images[0].get_extent()) == [0, SECONDS, 0, 88]
    assert [t.get_text() for t in drawn(silent, 1.7).get_yticklabels()] == [f"C{octave}" for octave in range(1, 9)]


def test_of_a_long_piece_no_stroke_is_lost_between_columns(coded):
    rhythm_RT = np.zeros((4, 45_001))
    rhythm_RT[1, 22_222] = 1.0
    (image,) = drawn(dataclasses.replace(coded, rhythm_RT=rhythm_RT), 0.7).images
    shown = np.asarray(image.get_array())
    assert shown.shape[1] <= 2000 and shown.sum() == shown.max() == 1.0
    assert np.flatnonzero(shown[1])[0] / shown.shape[1] == pytest.approx(22_222 / 45_001, abs=1e-3)


def test_the_picture_of_codes_has_something_on_each_panel(coded):
    image = matplotlib.image.imread(io.BytesIO(report.draw(coded, report.describe(coded))))
    assert image.shape[:2] == (1344, 1080)
    for top in (0.1, 0.28, 0.45, 0.55, 0.61, 0.7, 0.82, 0.93):
        row = image[int(top * 1344) : int((top + 0.02) * 1344), 150:1000, :3]
        assert row.std() > 0.02, f"nothing at {top}"
