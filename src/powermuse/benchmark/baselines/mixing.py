"""Sums of clips and of their parts."""

import numpy as np
import torch

from powermuse.audio import clips, stems
from powermuse.audio.features import SAMPLE_RATE_HZ


def plain_mix(groove_N: np.ndarray, harmony_N: np.ndarray) -> np.ndarray:
    """Both at the same RMS, added; where one is silent, the other."""
    return _levelled(groove_N) + _levelled(harmony_N)


def percussive_harmonic_swap(groove_N: np.ndarray, harmony_N: np.ndarray) -> np.ndarray:
    """The percussive part of the groove (margin 8) and the harmonic part of the harmony (margin 2), at the same RMS."""
    both = torch.from_numpy(np.stack([groove_N, harmony_N]))
    parts = stems.split(both, SAMPLE_RATE_HZ)
    return _levelled(parts.percussive[0].numpy()) + _levelled(parts.harmonic[1].numpy())


def _levelled(wav_N: np.ndarray) -> np.ndarray:
    return wav_N / max(clips.rms(wav_N), 1e-9) if clips.level_db(wav_N) > -100.0 else np.zeros_like(wav_N)
