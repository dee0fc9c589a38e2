"""How far a blend is from the right answer, where one is known.

Mel distance: mean absolute difference of two log mel spectra (80 bands to 11 kHz, 37.5 frames a second) after both
clips are brought to one level, in bels (1 is 10 dB) above a floor of -60 dB re that level: 0 is the truth, a plain mix
of the sources stands at about 1.
Note F-measure: notes agree where the MIDI pitch is the same and onsets lie within 50 ms, one to one, ends not looked
at (mir_eval.transcription without offsets); in [0, 1]. Of several truths (orchestrations) the nearest counts; the one
under test must not be among them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.audio.spectra import mel_filters, power_spectrum
from powermuse.metrics.events import ONSET_TOLERANCE_S, matches

_N_FFT, _HOP, _MELS, _HIGH_HZ = 1024, 640, 80, 11_000.0
_LEVEL, _FLOOR_DB = 0.1, -60.0
_SILENT = 1e-6


class Notes(NamedTuple):
    """Onset times in seconds and MIDI pitches, [n] each, in any order."""

    onset_s: np.ndarray
    pitch: np.ndarray


def validate(notes: Notes) -> None:
    """Raises ValueError unless times and pitches are finite and equally many."""
    if notes.onset_s.ndim != 1 or notes.onset_s.shape != notes.pitch.shape:
        raise ValueError(f"onsets [n] and pitches [n] are wanted, not {notes.onset_s.shape}, {notes.pitch.shape}")
    if not (np.isfinite(notes.onset_s).all() and np.isfinite(notes.pitch).all()):
        raise ValueError("onsets and pitches must be finite")


def log_mel(wav_N: np.ndarray) -> np.ndarray:
    """[80, T] in bels above the floor, >= 0, of a mono clip at 24 kHz brought to -20 dBFS; silence is 0."""
    loud = float(np.sqrt(np.mean(np.square(wav_N, dtype=np.float64)))) if len(wav_N) else 0.0
    gain = _LEVEL / loud if loud > _SILENT else 0.0
    wav = torch.from_numpy(np.ascontiguousarray(wav_N * gain, np.float32))[None]
    filters = mel_filters(SAMPLE_RATE_HZ, _N_FFT, _MELS, 0.0, _HIGH_HZ)
    # Filters of sum 1 read a sine as loud in a wide band as in a narrow one.
    power_MT = (filters / filters.sum(dim=1, keepdim=True)) @ power_spectrum(wav, _N_FFT, _HOP)[0]
    floor = _LEVEL**2 * 10 ** (_FLOOR_DB / 10)
    return torch.log10(1.0 + power_MT / floor).numpy().astype(np.float64)


def mel_distance(blend_MT: np.ndarray, truth_MT: np.ndarray) -> float:
    """Mean absolute difference of two `log_mel`, in bels."""
    if blend_MT.shape != truth_MT.shape:
        raise ValueError(f"clips of one length are wanted, not {blend_MT.shape} and {truth_MT.shape}")
    return float(np.abs(blend_MT - truth_MT).mean())


def note_f_measure(reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S) -> float:
    """F-measure of the largest one-to-one matching of notes; 0 where either has none."""
    validate(reference)
    validate(estimated)
    total = len(reference.pitch) + len(estimated.pitch)
    if not len(reference.pitch) or not len(estimated.pitch):
        return 0.0
    both = np.intersect1d(reference.pitch, estimated.pitch)
    found = sum(matches(_onsets(reference, pitch), _onsets(estimated, pitch), tolerance_s) for pitch in both)
    return 2.0 * found / total


def evaluate(blend_MT: np.ndarray, truths_MT: Sequence[np.ndarray]) -> float | None:
    """The mel distance to the nearest truth; None where none is known."""
    return min((mel_distance(blend_MT, truth_MT) for truth_MT in truths_MT), default=None)


def _onsets(notes: Notes, pitch: float) -> np.ndarray:
    return np.sort(notes.onset_s[notes.pitch == pitch])
