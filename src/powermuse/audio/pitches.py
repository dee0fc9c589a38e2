"""How strongly each semitone sounds over time: what chord reading and harmony look at.

A constant-Q-like spectrum of three bins a semitone, tuned to the clip, whitened over an octave, explained by the
harmonic series of notes with non-negative strengths (NNLS chroma: Mauch & Dixon, ISMIR 2010). Drums are held down by a
running median over time. Strengths have no unit: they are relative to the clip's own surroundings of each bin.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from powermuse.audio.clock import SAMPLE_RATE_HZ
from powermuse.audio.spectra import power_spectrum

LOW_PITCH, HIGH_PITCH = 28, 100
"""MIDI numbers of the notes: E1 (41 Hz) up to, and without, E7."""
HOP_SAMPLES = 1280
FRAME_RATE_HZ = SAMPLE_RATE_HZ / HOP_SAMPLES
"""18.75 frames a second."""
_N_FFT = 6400
_BINS_A_SEMITONE = 3
_MEDIAN_FRAMES = 7
_OVERTONES = 12
_OVERTONE_DECAY = 0.95
_ITERATIONS = 30
_SILENT = 1e-4


class Chromas(NamedTuple):
    """Chroma of the bass and of all that lies above it, [12, T] each, C first, >= 0."""

    bass_PT: np.ndarray
    treble_PT: np.ndarray


def validate(wav_N: np.ndarray) -> None:
    """Raises ValueError unless `wav_N` is one finite mono clip of at least a frame."""
    if wav_N.ndim != 1 or len(wav_N) < HOP_SAMPLES or not np.isfinite(wav_N).all():
        raise ValueError(f"a finite mono clip of at least {HOP_SAMPLES} samples is wanted, not shape {wav_N.shape}")


def strengths(wav_N: np.ndarray) -> np.ndarray:
    """Strength of each note [72, T] >= 0 of a mono clip at 24 kHz, 18.75 frames a second; silence gives zeros."""
    validate(wav_N)
    log_LT = _log_spectrum(wav_N)
    loud_T = np.sqrt(np.square(log_LT).mean(axis=0)) > _SILENT
    return _explain(_whiten(_without_strokes(log_LT))) * loud_T


def chromas(strength_QT: np.ndarray) -> Chromas:
    """Note strengths folded to pitch classes: bass (41 to about 160 Hz) and treble (110 Hz to 2 kHz), soft edges."""
    pitch_Q = np.arange(LOW_PITCH, HIGH_PITCH)
    bass_Q = _ramp(pitch_Q, 28, 32) * _ramp(-pitch_Q, -54, -46)
    treble_Q = _ramp(pitch_Q, 44, 52) * _ramp(-pitch_Q, -96, -84)
    fold_PQ = (pitch_Q[None] % 12 == np.arange(12)[:, None]).astype(np.float64)
    return Chromas((fold_PQ * bass_Q) @ strength_QT, (fold_PQ * treble_Q) @ strength_QT)


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((x - low) / (high - low), 0.0, 1.0)


def _log_spectrum(wav_N: np.ndarray) -> np.ndarray:
    """Magnitude [216, T] at thirds of a semitone, centred on the tuning of the clip."""
    wav = torch.from_numpy(np.ascontiguousarray(wav_N, np.float32))[None]
    magnitude_FT = power_spectrum(wav, _N_FFT, HOP_SAMPLES)[0, : _N_FFT // 5].sqrt()
    finest_LT = (_log_bins(0.0) @ magnitude_FT).numpy()
    tuning = _tuning(finest_LT.mean(axis=1))
    return (_log_bins(round(tuning * 20) / 20) @ magnitude_FT).numpy().astype(np.float64)


def _tuning(mean_L: np.ndarray) -> float:
    """Deviation from A4 = 440 Hz in semitones, [-0.5, 0.5): the phase of the period of three bins."""
    phase = np.exp(-2j * math.pi * np.arange(len(mean_L)) / _BINS_A_SEMITONE)
    return -float(np.angle((mean_L * phase).sum())) / (2 * math.pi)


@lru_cache(maxsize=32)
def _log_bins(tuning: float) -> torch.Tensor:
    """[216, F]: triangles at thirds of a semitone, as wide as a bin of the spectrum where those are wider."""
    hz_F = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE_HZ)[: _N_FFT // 5]
    count = (HIGH_PITCH - LOW_PITCH) * _BINS_A_SEMITONE
    pitch_L = LOW_PITCH + (np.arange(count)) / _BINS_A_SEMITONE + tuning
    hz_L = 440.0 * 2 ** ((pitch_L - 69) / 12)
    width_L = np.maximum(hz_L * (2 ** (1 / 36) - 1), SAMPLE_RATE_HZ / _N_FFT)
    return torch.from_numpy(np.maximum(0.0, 1 - np.abs(hz_F - hz_L[:, None]) / width_L[:, None]).astype(np.float32))


def _without_strokes(log_LT: np.ndarray) -> np.ndarray:
    """Running median over 0.37 s: what is shorter, drums, goes."""
    half = _MEDIAN_FRAMES // 2
    padded = torch.from_numpy(np.pad(log_LT, ((0, 0), (half, half)), mode="edge"))
    return padded.unfold(1, _MEDIAN_FRAMES, 1).median(dim=-1).values.numpy()


def _whiten(log_LT: np.ndarray) -> np.ndarray:
    """Each bin over its surroundings of an octave, to the power .7, after the surroundings' mean is taken off."""
    octave = 12 * _BINS_A_SEMITONE
    around_LL = _surroundings(len(log_LT), octave + 1)
    mean_LT, power_LT = around_LL @ log_LT, around_LL @ log_LT**2
    spread_LT = np.sqrt(np.maximum(power_LT - mean_LT**2, 0.0))
    return np.maximum(log_LT - mean_LT, 0.0) / np.maximum(spread_LT, 1e-6) ** 0.7


@lru_cache(maxsize=4)
def _surroundings(rows: int, width: int) -> np.ndarray:
    """[L, L]: Hamming-weighted mean over neighbouring rows; beyond the ends the rows that are there count alone."""
    window = np.hamming(width)
    distance = np.arange(rows)[:, None] - np.arange(rows)[None] + width // 2
    weights = np.where((distance >= 0) & (distance < width), window[np.clip(distance, 0, width - 1)], 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _explain(log_LT: np.ndarray) -> np.ndarray:
    """Non-negative note strengths [72, T] by multiplicative updates (Lee & Seung 2001) on the squared error."""
    notes_LQ = _dictionary()
    gram_QQ, wanted_QT = notes_LQ.T @ notes_LQ, notes_LQ.T @ log_LT
    strength_QT = wanted_QT / gram_QQ.sum(axis=1, keepdims=True)
    for _ in range(_ITERATIONS):
        strength_QT *= wanted_QT / (gram_QQ @ strength_QT + 1e-9)
    return strength_QT


@lru_cache(maxsize=1)
def _dictionary() -> np.ndarray:
    """[216, 72]: the overtones of each note, each .95 of the one below: after whitening they are that strong."""
    notes, rows = HIGH_PITCH - LOW_PITCH, (HIGH_PITCH - LOW_PITCH) * _BINS_A_SEMITONE
    place_L = np.arange(rows)[:, None]
    total = np.zeros((rows, notes))
    for overtone in range(1, _OVERTONES + 1):
        at_Q = _BINS_A_SEMITONE * (np.arange(notes) + 12 * math.log2(overtone))
        total += _OVERTONE_DECAY ** (overtone - 1) * np.maximum(0.0, 1 - np.abs(place_L - at_Q) / 1.5)
    return total
