"""Probabilities to notes, notes to MIDI and back."""

import dataclasses
import io

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powermuse.composing import notes
from powermuse.composing.notes import Note
from powermuse.data import rolls
from powermuse.data.render import midi

TOKEN_S, C4 = 0.04, 60


def probable(curves: dict[int, list[float]], tokens: int = 12) -> np.ndarray:
    """[88, tokens], 0 but for the curves of some pitches, which begin at token 2."""
    found = np.zeros((88, tokens))
    for pitch, curve in curves.items():
        found[pitch - rolls.LOW_PITCH, 2 : 2 + len(curve)] = curve
    return found


def found(curves: dict[int, list[float]], struck: tuple[int, ...] = (), tokens: int = 12) -> list[Note]:
    return notes.found(probable(curves, tokens), np.isin(np.arange(tokens), struck), TOKEN_S, tokens * TOKEN_S)


def spans(curve: list[float], struck: tuple[int, ...] = ()) -> list[tuple[int, int]]:
    """First token and the token after the last of each note that a curve of one pitch is."""
    return [(round(n.start_s / TOKEN_S), round(n.end_s / TOKEN_S)) for n in found({C4: curve}, struck)]


def test_a_note_has_its_time_its_pitch_and_the_velocity_of_its_highest_probability():
    high, low = found({C4: [0.9, 1.0, 0.7], 21: [0.6, 0.6]})[::-1]
    assert high == (pytest.approx(0.08), pytest.approx(0.2), 60, 127)
    assert low == (pytest.approx(0.08), pytest.approx(0.16), 21, 76)
    assert found({108: [0.8]}) == [(pytest.approx(0.08), pytest.approx(0.12), 108, 102)]


@pytest.mark.parametrize(
    ("curve", "wanted"),
    [
        ([0.45, 0.45, 0.45], []),
        ([0.45, 0.6, 0.6], [(3, 5)]),
        ([0.6, 0.6, 0.45, 0.45], [(2, 6)]),
        ([0.6, 0.6, 0.35, 0.6, 0.6], [(2, 4), (5, 7)]),
        ([0.6, 0.6, 0.35, 0.45, 0.45], [(2, 4)]),
        ([0.7], []),
        ([0.85], [(2, 3)]),
        ([0.6] * 10, [(2, 12)]),
        ([], []),
    ],
)
def test_a_note_begins_above_a_half_ends_below_two_fifths_and_is_long_or_clear(curve, wanted):
    assert spans(curve) == wanted


@pytest.mark.parametrize(
    ("curve", "struck", "wanted"),
    [
        ([0.9] * 8, (6,), [(2, 6), (6, 10)]),
        ([0.9] * 8, (0, 2, 3, 10, 11), [(2, 10)]),
        ([0.9] * 8, (4, 6), [(2, 4), (4, 6), (6, 10)]),
        ([0.9, 0.9, 0.9, 0.9, 0.45, 0.9], (6,), [(2, 8)]),
        ([0.6] * 5, (6,), [(2, 6)]),
    ],
    ids=["a stroke", "where nothing is held", "two", "where it hardly sounds", "just before its end"],
)
def test_a_held_note_is_struck_again_by_a_full_stroke(curve, struck, wanted):
    assert spans(curve, struck) == wanted


def test_strokes_are_full_peaks_of_any_band_and_not_of_the_level():
    rhythm_RT = np.zeros((4, 30))
    rhythm_RT[0, [4, 12]] = 1.0, 0.6
    rhythm_RT[2, 19:22] = 0.8, 1.0, 1.0
    rhythm_RT[1, 23] = 1.0  # the token after the one before
    rhythm_RT[3, 26] = 1.0
    assert np.flatnonzero(notes.strokes(rhythm_RT, 3)).tolist() == [1, 6]
    assert np.array_equal(notes.strokes(0.3 * rhythm_RT, 3), notes.strokes(rhythm_RT, 3))
    assert notes.strokes(rhythm_RT[:, :29], 3).shape == (10,)
    assert not notes.strokes(np.zeros((4, 30)), 3).any()


def test_the_last_note_ends_with_the_piece():
    (only,) = notes.found(probable({C4: [0.9] * 10}), np.zeros(12, bool), TOKEN_S, 0.453)
    assert only.end_s == 0.453


def test_a_blend_is_played_from_its_probabilities_and_its_rhythm(blend):
    assert notes.played(blend) is None
    held = dataclasses.replace(blend, notes_QN=probable({C4: [0.9] * 8}, 150), rhythm_RT=np.zeros((4, 450)))
    struck_RT = np.zeros((4, 450))
    struck_RT[1, 18] = 1.0
    assert notes.played(dataclasses.replace(held, rhythm_RT=None)) == notes.played(held)
    assert notes.played(held) == [(pytest.approx(0.08), pytest.approx(0.4), 60, 114)]
    assert [n.start_s for n in notes.played(dataclasses.replace(held, rhythm_RT=struck_RT)) or []] == [
        pytest.approx(0.08), pytest.approx(0.24)
    ]  # fmt: skip


def test_a_tick_of_the_file_is_a_millisecond_at_120_and_it_lasts_as_long_as_the_piece():
    content = notes.midi([Note(0.1234, 0.5, 60, 100), Note(1.0, 1.0001, 62, 1)], 2.5)
    file = mido.MidiFile(file=io.BytesIO(content))
    assert file.length == pytest.approx(2.5)
    played = [message for message in file if message.type.startswith("note")]
    assert [(m.type, m.note, m.velocity) for m in played] == [
        ("note_on", 60, 100), ("note_off", 60, 0), ("note_on", 62, 1), ("note_off", 62, 0)
    ]  # fmt: skip
    assert np.cumsum([m.time for m in played]) == pytest.approx([0.123, 0.5, 1.0, 1.001])
    assert midi.read(content).tempi == [(0, 120.0)]
    assert mido.MidiFile(file=io.BytesIO(notes.midi([], 2.5))).length == pytest.approx(2.5)


@given(seed=st.integers(0, 2**31), tokens=st.integers(1, 40), token_s=st.floats(0.01, 0.1), share=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back_to_the_millisecond(seed, tokens, token_s, share):
    random = np.random.default_rng(seed)
    probable_QN = random.random((88, tokens)) ** random.choice([0.3, 1.0, 3.0])
    made = notes.found(probable_QN, random.random(tokens) < share, token_s, tokens * token_s)
    song = midi.read(notes.midi(made, tokens * token_s))
    read = sorted((n.pitch, n.start, n.end, n.velocity) for channel in song.channels for n in channel.notes)
    assert read == [(n.pitch, round(1000 * n.start_s), round(1000 * n.end_s), n.velocity) for n in made]
    assert all(0.0 <= n.start_s < n.end_s <= tokens * token_s + 1e-9 for n in made)
