"""A groove as features tell it, which several files listen to."""

import numpy as np
import torch

from powermuse.audio.clock import FRAME_RATE_HZ
from powermuse.audio.features import CHROMA_ROWS, ONSET_BANDS, Features

FRAMES = 900
_ROCK = {0: (0.0, 2.0, 2.5), 4: (1.0, 3.0), 7: tuple(np.arange(0.0, 4.0, 0.5))}
"""Strokes of a bar by band: kick, snare, hats."""
_BASS = (0, 7, 0, 5)


def groove(tempo_bpm: float, late_beats: float = 0.0, chord: int = 0, frames: int = FRAMES) -> Features:
    """Bars of a rock beat that begin so late, over a bass that changes with each."""
    onsets_KT = np.zeros((ONSET_BANDS, frames), np.float32)
    chroma_PT = np.full((CHROMA_ROWS, frames), 0.05, np.float32)
    period = 60.0 * FRAME_RATE_HZ / tempo_bpm
    for bar in range(-1, int(frames / period / 4) + 1):
        begin = (4 * bar + late_beats) * period
        for band, beats in _ROCK.items():
            for frame in (round(begin + beat * period) for beat in beats):
                if 0 <= frame < frames:
                    onsets_KT[band, frame] = 0.2
        tone = (chord + _BASS[bar % 4]) % 12
        chroma_PT[[tone, 12 + tone], max(0, round(begin)) : max(0, round(begin + 4 * period))] = 1.0
    onsets_1KT, chroma_1PT = torch.from_numpy(onsets_KT)[None], torch.from_numpy(chroma_PT)[None]
    return Features(onsets_1KT, chroma_1PT, torch.full((1, frames), -20.0))
