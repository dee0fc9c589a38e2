"""A sound at another tempo, or in another key (Signalsmith Stretch, by python-stretch)."""

import numpy as np

from powermuse.types import BadInput

SLOWEST, FASTEST = 0.5, 2.0
"""Of what a sound may be played at: beyond it every stretcher smears."""
_TONAL_HZ = 8_000.0
"""Above it a transposition leaves noise where it is."""
_SAME = 1e-6


def retimed(wav_CN: np.ndarray, sample_rate_hz: int, speed: float, semitones: int = 0) -> np.ndarray:
    """[C, round(N / speed)]: `speed` above 1 is faster; pitches move by semitones alone. Raises BadInput beyond half
    and double speed."""
    if not SLOWEST <= speed <= FASTEST:
        raise BadInput(f"a sound can be played at {SLOWEST:g} to {FASTEST:g} times its speed, not {speed:.2f}")
    samples = round(wav_CN.shape[1] / speed)
    if abs(speed - 1.0) < _SAME and semitones == 0:
        return wav_CN[:, :samples]
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch(0)
    stretch.preset(len(wav_CN), float(sample_rate_hz))
    stretch.setTransposeSemitones(float(semitones), _TONAL_HZ / sample_rate_hz)
    stretch.setTimeFactor(speed)
    found = np.asarray(stretch.process(np.ascontiguousarray(wav_CN, np.float32)))[:, :samples]
    return np.ascontiguousarray(np.pad(found, ((0, 0), (0, samples - found.shape[1]))), np.float32)
