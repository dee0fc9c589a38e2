"""The notes of a composition, as it was played from its score or as basic-pitch hears it, and a standard MIDI file.

How well they are those of the truth is measured by `python bench/notes.py MODEL TRIPLETS`.
"""

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np
import torch

from powermuse import recipe, weights
from powermuse.audio import files
from powermuse.audio.align import Bars
from powermuse.audio.features import FRAME_RATE_HZ, SAMPLE_RATE_HZ, onset_envelope, onset_strength
from powermuse.composing.composer import Blend
from powermuse.data.rolls import LOW_PITCH
from powermuse.metrics.judges import notes_basic_pitch
from powermuse.types import BadInput

_SOFTEST, _LOUDEST = 48, 120
"""Velocities of a note without a stroke that is heard, and of one at a strong stroke."""
_FULL, _FAINT = 0.9, 1e-3
"""Which quantile of strokes is a strong one, and what is no stroke at all."""
_EARLY_S = 0.09
"""By how much a stroke may come early: two tokens."""
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
    wav_N = _heard(blend)
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
    strength_N = strengths(_heard(blend), np.asarray(struck_QN.any(axis=0)), blend.token_s)
    duration_s = blend.wav_CN.shape[1] / blend.sample_rate_hz
    notes = found(sounds_QN, struck_QN, strength_N, blend.token_s, duration_s)
    return notes if blend.loop_s is None else once(notes, duration_s)


def _heard(blend: Blend) -> np.ndarray:
    """The sound [N] at 24 kHz."""
    wav_N: np.ndarray = files.resample(blend.wav_CN, blend.sample_rate_hz, SAMPLE_RATE_HZ).mean(axis=0)
    return wav_N


def strengths(wav_N: np.ndarray, struck_N: np.ndarray, token_s: float) -> np.ndarray:
    """[tokens], 0 to 1: how strong the onset of a sound at 24 kHz is in each token or in one beside it, against the
    strong ones of those that are struck."""
    onset_T = onset_envelope(onset_strength(torch.from_numpy(wav_N)[None].float()))[0].numpy()
    begin_N = (np.arange(len(struck_N) + 1) * token_s * FRAME_RATE_HZ).round().astype(np.int64).clip(0, len(onset_T))
    token_N = np.array([onset_T[a:b].max(initial=0.0) for a, b in pairwise(begin_N.tolist())])
    around_N = np.pad(token_N, 1)
    near_N = np.maximum.reduce([around_N[:-2], token_N, around_N[2:]])
    full = float(np.quantile(near_N[struck_N], _FULL)) if struck_N.any() else 0.0
    strong_N: np.ndarray = (near_N / max(full, _FAINT)).clip(0.0, 1.0)
    return strong_N


def once(notes: list[Note], duration_s: float) -> list[Note]:
    """The notes of a loop without those that, struck a moment before its end, are its first strokes come early."""
    first = {note.pitch for note in notes if note.start_s < _EARLY_S}
    return [note for note in notes if note.start_s < duration_s - _EARLY_S or note.pitch not in first]


def found(
    sounds_QN: np.ndarray, struck_QN: np.ndarray, strength_N: np.ndarray, token_s: float, duration_s: float
) -> list[Note]:
    """Notes of a score (both [88, tokens], bool), by pitch and then by time: each begins where it is struck, or where
    it sounds from the beginning of the piece, and is as loud as the rhythm is strong there (0 to 1). What is struck
    somewhere in a token is written in its middle, until which the note before it sounds; what nothing follows ends with
    its token, as it was painted."""
    begins_QN = sounds_QN & (struck_QN | ~np.pad(sounds_QN, ((0, 0), (1, 0)))[:, :-1])
    ends_QN = sounds_QN & np.pad(~sounds_QN | begins_QN, ((0, 0), (0, 1)), constant_values=True)[:, 1:]
    notes = []
    for (row, first), last in zip(np.argwhere(begins_QN).tolist(), np.nonzero(ends_QN)[1].tolist(), strict=True):
        start_s = 0.0 if first == 0 and not struck_QN[row, 0] else (first + 0.5) * token_s
        followed = last + 1 < sounds_QN.shape[1] and begins_QN[row, last + 1]
        end_s = min((last + (1.5 if followed else 1.0)) * token_s, duration_s)
        velocity = round(_SOFTEST + (_LOUDEST - _SOFTEST) * float(strength_N[first]))
        if start_s < end_s:
            notes.append(Note(start_s, end_s, LOW_PITCH + row, velocity))
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
