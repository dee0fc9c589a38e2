"""A triplet as it sounds: each of its scores played, coloured, and brought to the level of the house."""

from typing import NamedTuple

import numpy as np

from powermuse.audio import clips
from powermuse.data.render import augment
from powermuse.data.render.augment import Strength
from powermuse.data.render.score import Score, TripletScore
from powermuse.data.render.synth import Synth


class Performed(NamedTuple):
    """One clip: stems and noise floor sum to the mix, whose RMS is -20 dBFS."""

    score: Score
    stems_PN: np.ndarray
    noise_N: np.ndarray
    mix_N: np.ndarray


def roles(triplet: TripletScore) -> dict[str, Score]:
    """The scores of a triplet by the names of their clips: groove, harmony, truth.0, truth.1 ..."""
    truths = {f"truth.{i}": truth for i, truth in enumerate(triplet.truths)}
    return {"groove": triplet.groove, "harmony": triplet.harmony, **truths}


def perform(score: Score, role: str, key: str, synth: Synth, strength: Strength) -> Performed:
    """One clip of the triplet that `key` names. Harmony and truths share what their instruments sound like."""
    sound = f"{key}/groove" if role == "groove" else f"{key}/harmony"
    stems_PN, noise_N = augment.mix(synth.stems(score), score.parts, f"{key}/{role}", sound, strength)
    together_N = stems_PN.sum(axis=0) + noise_N
    level_db = clips.level_db(together_N)
    if not level_db >= clips.SILENCE_DB:
        raise ValueError(f"triplet {key}: its {role} is silent ({level_db:.0f} dBFS)")
    gain = np.float32(10.0 ** ((clips.LEVEL_DB - level_db) / 20.0))
    return Performed(score, stems_PN * gain, noise_N * gain, together_N * gain)
