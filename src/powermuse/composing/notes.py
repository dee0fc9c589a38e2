"""The notes of a composition, as it was played from its score or as basic-pitch hears it, and a standard MIDI file.

How well they are those of the truth is measured by `python bench/notes.py MODEL TRIPLETS`.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from powermuse import recipe, weights
from powermuse.audio import files
from powermuse.audio.align import Bars
from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.composing.composer import Blend
from powermuse.data.rolls import LOW_PITCH
from powermuse.metrics.judges import notes_basic_pitch
from powermuse.types import BadInput

_SOFTEST, _LOUDEST = 48, 120
"""Velocities of a note that the rhythm does not stress, and of one at a full stroke."""
_TICKS_A_BEAT, _PLAIN_BPM = 500, 120.0
"""At 120 quarters a minute a tick is a millisecond."""


class Note(NamedTuple):
    """Times in seconds, pitch and velocity of MIDI."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int


def check_told(model: str) -> None:
    """Raises BadInput where a model, by its name or folder, does not tell the notes that it composes, and nothing is
    here to hear them."""
    run = recipe.load(str(weights.find_model(model) / "recipe.yaml"))
    if run.composer != "flow" and not notes_basic_pitch.is_there():
        raise BadInput(f"--midi: {_untold(model)}")


def _untold(model: str) -> str:
    return (
        f"model {model} does not tell the notes that it composes; one with composer=flow does, and basic-pitch would "
        "hear them (the extra powermuse[judges], and pip install --no-deps basic-pitch==0.4.0)"
    )


class Written(NamedTuple):
    """The notes of a blend and who says so."""

    notes: list[Note]
    by: str


def written(blend: Blend) -> Written:
    """The notes of the composer's own score, else those that basic-pitch hears in the blend (Bittner et al., ICASSP
    2022). Raises BadInput where there is neither."""
    if (own := played(blend)) is not None:
        return Written(own, "score")
    if not notes_basic_pitch.is_there():
        raise BadInput(_untold(blend.model.source))
    wav_N = files.resample(blend.wav_CN, blend.sample_rate_hz, SAMPLE_RATE_HZ).mean(axis=0)
    spread = _LOUDEST - _SOFTEST
    heard = (
        Note(event.start_s, event.end_s, event.pitch, _SOFTEST + round(spread * min(event.strength, 1.0)))
        for event in notes_basic_pitch.events(wav_N)
    )
    return Written(sorted(heard, key=lambda note: (note.pitch, note.start_s)), "basic-pitch")


def played(blend: Blend) -> list[Note] | None:
    """The notes of a blend; None where its composer does not tell them."""
    if blend.score is None:
        return None
    sounds_QN, struck_QN = blend.score
    strength_N = np.ones(sounds_QN.shape[1])
    if blend.rhythm_RT is not None:
        strength_N = strengths(blend.rhythm_RT, blend.model.recipe.flow.pool)
    return found(sounds_QN, struck_QN, strength_N, blend.token_s, blend.wav_CN.shape[1] / blend.sample_rate_hz)


def strengths(rhythm_RT: np.ndarray, pool: int) -> np.ndarray:
    """[tokens], 0 to 1: the strongest onset of a rhythm code (its last row is level) in each token of `pool` frames or
    in one beside it."""
    onset_T = rhythm_RT[:-1].max(axis=0)
    token_N = np.pad(onset_T, (0, -len(onset_T) % pool)).reshape(-1, pool).max(axis=1)
    around_N = np.pad(token_N, 1)
    return np.maximum.reduce([around_N[:-2], token_N, around_N[2:]]).clip(0.0, 1.0)


def found(
    sounds_QN: np.ndarray, struck_QN: np.ndarray, strength_N: np.ndarray, token_s: float, duration_s: float
) -> list[Note]:
    """Notes of a score (both [88, tokens], bool), by pitch and then by time: each begins where it is struck, or where
    it sounds from the beginning of the piece, and is as loud as the rhythm is strong there (0 to 1)."""
    begins_QN = sounds_QN & (struck_QN | ~np.pad(sounds_QN, ((0, 0), (1, 0)))[:, :-1])
    ends_QN = sounds_QN & np.pad(~sounds_QN | begins_QN, ((0, 0), (0, 1)), constant_values=True)[:, 1:]
    notes = []
    for (row, first), last in zip(np.argwhere(begins_QN).tolist(), np.nonzero(ends_QN)[1].tolist(), strict=True):
        end_s = min((last + 1) * token_s, duration_s)
        velocity = round(_SOFTEST + (_LOUDEST - _SOFTEST) * float(strength_N[first]))
        notes.append(Note(first * token_s, end_s, LOW_PITCH + row, velocity))
    return notes


def midi(notes: list[Note], duration_s: float, bars: Bars | None = None) -> bytes:
    """A standard MIDI file of one track, as long as the piece: in its bars, where it has such, else at 120 quarters a
    minute."""
    tempo_bpm, beats = (_PLAIN_BPM, 4) if bars is None else bars
    ticks_a_second = tempo_bpm * _TICKS_A_BEAT / 60.0

    def tick(time_s: float) -> int:
        return round(time_s * ticks_a_second)

    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo_bpm)),
            mido.MetaMessage("time_signature", numerator=beats, denominator=4),
        ]
    )
    now = 0
    for at, begins, pitch, velocity in _events(notes, tick):
        track.append(mido.Message("note_on" if begins else "note_off", note=pitch, velocity=velocity, time=at - now))
        now = at
    track.append(mido.MetaMessage("end_of_track", time=max(0, tick(duration_s) - now)))
    content = io.BytesIO()
    mido.MidiFile(type=0, ticks_per_beat=_TICKS_A_BEAT, tracks=[track]).save(file=content)
    return content.getvalue()


def _events(notes: list[Note], tick: Callable[[float], int]) -> list[tuple[int, bool, int, int]]:
    """Tick, whether it begins, pitch, velocity, in the order of time; what ends at a tick ends before what begins."""
    begins = [(tick(note.start_s), True, note.pitch, note.velocity) for note in notes]
    ends = [(max(tick(note.end_s), tick(note.start_s) + 1), False, note.pitch, 0) for note in notes]
    return sorted(begins + ends)


def midi_path(out: str) -> Path:
    """Where the MIDI file of a blend goes: beside it, with its name."""
    return Path(out).with_suffix(".mid")
