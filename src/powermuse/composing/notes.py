"""The notes of a composition: from probabilities that they sound to notes, and to a standard MIDI file.

A note begins where its probability rises above a half and ends where it falls below .4. Where a held note is struck
again its probability hardly dips, so a full stroke of the rhythm code begins it anew: what that brings is measured by
`python bench/notes.py MODEL TRIPLETS`.
"""

import io
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from powermuse import recipe, weights
from powermuse.composing.composer import Blend
from powermuse.data.rolls import LOW_PITCH
from powermuse.types import BadInput

_BEGINS, _ENDS = 0.5, 0.4
_CLEAR = 0.8
"""A note of one token counts where its probability comes as high."""
_FULL_STROKE = 0.9
"""Of the strongest onset of the piece: a stroke that strikes held notes again."""
_TICKS_A_QUARTER, _TEMPO_US = 500, 500_000
"""At 120 quarters a minute a tick is a millisecond."""


class Note(NamedTuple):
    """Times in seconds, pitch and velocity of MIDI."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int


def check_told(model: str) -> None:
    """Raises BadInput where a model, by its name or folder, does not tell the notes that it composes."""
    run = recipe.load(str(weights.find_model(model) / "recipe.yaml"))
    if run.composer != "flow":
        raise BadInput(f"--midi: model {model} does not tell the notes that it composes; one with composer=flow does")


def played(blend: Blend) -> list[Note] | None:
    """The notes of a blend; None where its composer does not tell them."""
    if blend.notes_QN is None:
        return None
    struck_N = np.zeros(blend.notes_QN.shape[1], dtype=bool)
    if blend.rhythm_RT is not None:
        struck_N = strokes(blend.rhythm_RT, blend.model.recipe.flow.pool)
    return found(blend.notes_QN, struck_N, blend.token_s, blend.wav_CN.shape[1] / blend.sample_rate_hz)


def strokes(rhythm_RT: np.ndarray, pool: int) -> np.ndarray:
    """[tokens]: where one of the onset bands of a rhythm code (its last row is level) has a peak that is a full stroke,
    by tokens of `pool` frames; of two neighbours the first."""
    onset_T = rhythm_RT[:-1].max(axis=0)
    before_T, after_T = np.r_[0.0, onset_T[:-1]], np.r_[onset_T[1:], 0.0]
    full = max(_FULL_STROKE * float(onset_T.max(initial=0.0)), 1e-6)
    peaks = np.flatnonzero((onset_T > before_T) & (onset_T >= after_T) & (onset_T >= full))
    struck_N = np.zeros(-(-len(onset_T) // pool), dtype=bool)
    for token in peaks // pool:
        struck_N[token] = token == 0 or not struck_N[token - 1]
    return struck_N


def found(probable_QN: np.ndarray, struck_N: np.ndarray, token_s: float, duration_s: float) -> list[Note]:
    """Notes from probabilities [88, tokens], by pitch and then by time; those that sound where `struck_N` begin again
    there. A velocity is the highest probability of its note: 127 is certain."""
    sounding_QN = _sounding(probable_QN)
    before_QN = np.pad(sounding_QN, ((0, 0), (2, 0)))  # two tokens earlier, then one
    held_QN = before_QN[:, :-2] & before_QN[:, 1:-1] & (probable_QN > _BEGINS)
    begins_QN = sounding_QN & (~before_QN[:, 1:-1] | (held_QN & struck_N))
    ends_QN = sounding_QN & np.pad(~sounding_QN | begins_QN, ((0, 0), (0, 1)), constant_values=True)[:, 1:]
    notes = []
    for (row, first), last in zip(np.argwhere(begins_QN).tolist(), np.nonzero(ends_QN)[1].tolist(), strict=True):
        peak = float(probable_QN[row, first : last + 1].max())
        if last > first or peak >= _CLEAR:
            end_s = min((last + 1) * token_s, duration_s)
            notes.append(Note(first * token_s, end_s, LOW_PITCH + row, round(127 * peak)))
    return notes


def _sounding(probable_QN: np.ndarray) -> np.ndarray:
    """Whether the last probability that was above the one bound or below the other was above."""
    said_QN = np.where(probable_QN > _BEGINS, 1, np.where(probable_QN < _ENDS, -1, 0))
    last_QN = np.maximum.accumulate(np.where(said_QN != 0, np.arange(said_QN.shape[1]), 0), axis=1)
    sounding_QN: np.ndarray = np.take_along_axis(said_QN, last_QN, axis=1) > 0
    return sounding_QN


def midi(notes: list[Note], duration_s: float) -> bytes:
    """A standard MIDI file of one track: 120 quarters a minute, times to the millisecond, as long as the piece."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_TEMPO_US)])
    now = 0
    for tick, begins, pitch, velocity in _events(notes):
        track.append(mido.Message("note_on" if begins else "note_off", note=pitch, velocity=velocity, time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, _tick(duration_s) - now)))
    content = io.BytesIO()
    mido.MidiFile(type=0, ticks_per_beat=_TICKS_A_QUARTER, tracks=[track]).save(file=content)
    return content.getvalue()


def _events(notes: list[Note]) -> list[tuple[int, bool, int, int]]:
    """Tick, whether it begins, pitch, velocity, in the order of time; what ends at a tick ends before what begins."""
    begins = [(_tick(note.start_s), True, note.pitch, note.velocity) for note in notes]
    ends = [(max(_tick(note.end_s), _tick(note.start_s) + 1), False, note.pitch, 0) for note in notes]
    return sorted(begins + ends)


def _tick(time_s: float) -> int:
    return round(time_s * 1000.0)


def midi_path(out: str) -> Path:
    """Where the MIDI file of a blend goes: beside it, with its name."""
    return Path(out).with_suffix(".mid")
