"""A score to notes, notes to MIDI and back."""

import dataclasses
import io

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powermuse.audio.align import Bars
from powermuse.composing import notes
from powermuse.composing.notes import Note
from powermuse.data import rolls
from powermuse.data.render import midi

TOKEN_S, C4 = 0.04, 60


def score(*told: tuple[int, str], tokens: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """What sounds and what is struck, of pitches with a letter a token: x struck, - sounding, . silent."""
    sounds_QN, struck_QN = np.zeros((88, tokens), bool), np.zeros((88, tokens), bool)
    for pitch, letters in told:
        for token, letter in enumerate(letters):
            sounds_QN[pitch - rolls.LOW_PITCH, token] = letter in "x-"
            struck_QN[pitch - rolls.LOW_PITCH, token] = letter == "x"
    return sounds_QN, struck_QN


def spans(letters: str) -> list[tuple[int, int]]:
    """First token and the token after the last of each note that the letters of one pitch are."""
    made = notes.found(*score((C4, letters)), np.ones(12), TOKEN_S, 12 * TOKEN_S)
    return [(int(n.start_s / TOKEN_S), int(n.end_s / TOKEN_S + 0.01)) for n in made]


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [
        ("..x--.......", [(2, 5)]),
        ("..x--x-x....", [(2, 5), (5, 7), (7, 8)]),
        ("---..x......", [(0, 3), (5, 6)]),
        ("..x.........", [(2, 3)]),
        ("..x---------", [(2, 12)]),
        ("xx..........", [(0, 1), (1, 2)]),
        ("............", []),
    ],
)
def test_a_note_begins_where_it_is_struck_or_held_from_before_and_ends_where_it_fades_or_is_struck_again(
    letters, wanted
):
    assert spans(letters) == wanted


def test_a_note_sounds_as_long_as_it_was_told_or_until_it_is_struck_again():
    """Times of a score are those of whole tokens: on the mean a note is told neither early nor late."""
    first, second = notes.found(*score((C4, "..x--x-.....")), np.ones(12), TOKEN_S, 1.0)
    assert first.end_s == pytest.approx(second.start_s) and second.end_s == pytest.approx(7 * TOKEN_S)


def test_a_note_has_its_time_its_pitch_and_the_velocity_of_its_stroke():
    strength_N = np.zeros(12)
    strength_N[2:4] = 1.0, 0.5
    low, mid, high = notes.found(*score((21, "...x-"), (C4, "..x--"), (108, "....x")), strength_N, TOKEN_S, 1.0)
    assert low == (pytest.approx(0.14), pytest.approx(0.2), 21, 84)
    assert mid == (pytest.approx(0.1), pytest.approx(0.2), 60, 120)
    assert high == (pytest.approx(0.18), pytest.approx(0.2), 108, 48)


def test_a_token_is_as_strong_as_the_stroke_that_is_heard_in_it_or_beside_it():
    struck_N = np.zeros(50, bool)
    struck_N[[10, 20, 30, 40]] = True
    wav_N = 1e-3 * np.random.default_rng(1).standard_normal(48_000)
    for token, gain in ((10, 0.5), (20, 0.02), (30, 0.1)):  # at 40 nothing is heard
        begin = round((token + 0.5) * TOKEN_S * 24_000)
        wav_N[begin : begin + 480] += gain * np.random.default_rng(token).standard_normal(480)
    found_N = notes.strengths(wav_N, struck_N, TOKEN_S)
    assert found_N.shape == (50,) and found_N[10] == 1.0 and found_N[9] == found_N[11] == 1.0
    assert 0.95 > found_N[30] > found_N[20] + 0.1 > found_N[40] + 0.2
    assert not notes.strengths(np.zeros(48_000), np.zeros(50, bool), TOKEN_S).any()


def test_the_first_strokes_of_a_loop_are_not_struck_at_its_end_too():
    held, early, own = Note(0.02, 1.0, 60, 90), Note(1.94, 2.0, 60, 90), Note(1.95, 2.0, 62, 90)
    assert notes.once([held, early, own], 2.0) == [held, own]
    assert notes.once([Note(0.5, 1.0, 60, 90), early], 2.0) == [Note(0.5, 1.0, 60, 90), early]


def test_the_last_note_ends_with_the_piece():
    (only,) = notes.found(*score((C4, "..x---------")), np.ones(12), TOKEN_S, 0.453)
    assert only.end_s == 0.453


def test_a_blend_is_played_from_its_score_and_its_rhythm(blend):
    assert notes.played(blend) is None
    scored = dataclasses.replace(blend, score=score((C4, "..x-----"), tokens=150))
    (only,) = notes.played(scored) or []
    assert only[:3] == (pytest.approx(0.1), pytest.approx(0.32), 60)
    silent = dataclasses.replace(scored, wav_CN=np.zeros_like(scored.wav_CN))
    assert [n.velocity for n in notes.played(silent) or []] == [48]
    early = dataclasses.replace(blend, score=score((C4, "x-x-------xx"), tokens=12), loop_s=0.48)
    early = dataclasses.replace(early, wav_CN=blend.wav_CN[:, : round(0.48 * blend.sample_rate_hz)])
    assert [round(n.start_s, 2) for n in notes.played(early) or []] == [0.02, 0.1]
    assert len(notes.played(dataclasses.replace(early, loop_s=None)) or []) == 4


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


def test_in_bars_the_file_has_their_tempo_and_metre_and_the_same_times():
    content = notes.midi([Note(0.5, 1.25, 60, 100)], 4.0, Bars(90.0, 3))
    assert midi.read(content).tempi == [(0, pytest.approx(90.0, abs=1e-3))]
    file = mido.MidiFile(file=io.BytesIO(content))
    (metre,) = [message for message in file.tracks[0] if message.type == "time_signature"]
    assert (metre.numerator, metre.denominator) == (3, 4)
    assert file.length == pytest.approx(4.0, abs=2e-3)
    played = [message for message in file if message.type.startswith("note")]
    assert np.cumsum([m.time for m in played]) == pytest.approx([0.5, 1.25], abs=2e-3)


@given(seed=st.integers(0, 2**31), tokens=st.integers(1, 40), token_s=st.floats(0.01, 0.1), share=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back_to_the_millisecond(seed, tokens, token_s, share):
    random = np.random.default_rng(seed)
    sounds_QN = random.random((88, tokens)) < share
    struck_QN = sounds_QN & (random.random((88, tokens)) < 0.3)
    made = notes.found(sounds_QN, struck_QN, random.random(tokens), token_s, tokens * token_s)
    song = midi.read(notes.midi(made, tokens * token_s))
    read = sorted((n.pitch, n.start, n.end, n.velocity) for channel in song.channels for n in channel.notes)
    assert read == [(n.pitch, round(1000 * n.start_s), round(1000 * n.end_s), n.velocity) for n in made]
    assert all(0.0 <= n.start_s < n.end_s <= tokens * token_s + 1e-9 for n in made)
