"""What makes each rendering sound like another recording: equaliser, level, room and noise floor, from a seed.

An instrument of harmony and truth has one equaliser and one level, so that its colour agrees; their rooms differ
mildly. The groove has its own. Everything is linear, so that the stems of a clip sum to it, and nothing is moved in
time: the sound itself comes through at once, and the room after it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from powermuse.chance import number
from powermuse.data.render.score import Part
from powermuse.data.render.synth import RATE_HZ

LEVELS_DB = {"drums": 0.0, "bass": -3.0, "lead": -4.0, "pad": -9.0}
_OTHER_DB = -6.0
_LOUDNESS_S = 0.1
_TAIL_S = 1.5
"""By how much the transform is longer than a clip: no room rings longer."""
_GRID = 4097


class Strength(NamedTuple):
    """How far from the plain rendering, 1 is the house's way; 0 leaves equal levels and nothing else."""

    equaliser: float = 1.0
    level: float = 1.0
    room: float = 1.0
    noise: float = 1.0


class Band(NamedTuple):
    """One band of an equaliser: kind `low`, `peak` or `high`."""

    kind: str
    hz: float
    gain_db: float
    q: float


def chance(key: str) -> np.random.Generator:
    """Random numbers that only `key` decides."""
    return np.random.default_rng(number(key))


def mix(
    stems_PN: np.ndarray, parts: tuple[Part, ...], key: str, sound: str, strength: Strength
) -> tuple[np.ndarray, np.ndarray]:
    """Stems as they are heard and the noise floor, [P, N] and [N]; their sum is the clip.

    `key` names the triplet and the clip; `sound` those clips of it that share their instruments.
    """
    samples = stems_PN.shape[1]
    size = samples + round(_TAIL_S * RATE_HZ)
    room_F = _room(key, sound, size, strength.room)
    heard = np.empty_like(stems_PN)
    for i, (part, stem_N) in enumerate(zip(parts, stems_PN, strict=True)):
        own = f"{sound}/{'drums' if part.is_drums else 'program'}/{part.program}"
        gain = 10.0 ** (_level_db(part, own, key, strength.level) / 20.0) / max(loudness(stem_N), 1e-6)
        shape_F = _response(equaliser(own, strength.equaliser), size) * room_F * np.float32(gain)
        heard[i] = np.fft.irfft(np.fft.rfft(stem_N, size) * shape_F, size)[:samples]
    return heard, _noise(key, heard.sum(axis=0), strength.noise)


def loudness(stem_N: np.ndarray) -> float:
    """RMS of a stem where it is loud: the 95th percentile over tenths of a second."""
    hop = round(_LOUDNESS_S * RATE_HZ)
    frames = stem_N[: len(stem_N) // hop * hop].reshape(-1, hop)
    return float(np.quantile(np.sqrt(np.mean(np.square(frames), axis=1)), 0.95)) if len(frames) else 0.0


def equaliser(own: str, strength: float) -> list[Band]:
    """A shelf at either end and a peak between them, each up to 6 dB either way."""
    dice = chance(f"{own}/equaliser")
    low_hz, peak_hz, high_hz = (float(hz * 2.0 ** dice.uniform(-1.0, 1.0)) for hz in (160.0, 1000.0, 5000.0))
    gains_db = strength * dice.uniform(-6.0, 6.0, 3)
    q = float(dice.uniform(0.5, 1.5))
    return [
        Band("low", low_hz, gains_db[0], 0.7),
        Band("peak", peak_hz, gains_db[1], q),
        Band("high", high_hz, gains_db[2], 0.7),
    ]


def _level_db(part: Part, own: str, key: str, strength: float) -> float:
    """By the part's role, then by the instrument, then a little by the clip."""
    of_sound, of_clip = chance(f"{own}/level").uniform(-4.0, 4.0), chance(f"{key}/{part.name}/level").uniform(-1.0, 1.0)
    return LEVELS_DB.get(part.name, _OTHER_DB) + strength * float(of_sound + of_clip)


def _response(bands: list[Band], size: int) -> np.ndarray:
    """Complex gain [F] of bands in series at the bins of a transform of `size` samples."""
    # Bands this wide are smooth between points 3 Hz apart: a fiftieth of the work.
    z = np.exp(-1j * np.linspace(0.0, np.pi, _GRID))
    gain = np.ones(_GRID, np.complex128)
    for band in bands:
        (b0, b1, b2), (a0, a1, a2) = biquad(band)
        gain *= (b0 + b1 * z + b2 * z * z) / (a0 + a1 * z + a2 * z * z)
    bins = np.linspace(0, _GRID - 1, size // 2 + 1)
    return np.interp(bins, np.arange(_GRID), gain).astype(np.complex64)


def biquad(band: Band) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Numerator and denominator of a band at 24 kHz (Bristow-Johnson, Audio EQ Cookbook)."""
    a, w = 10.0 ** (band.gain_db / 40.0), 2.0 * np.pi * band.hz / RATE_HZ
    c, alpha = float(np.cos(w)), float(np.sin(w)) / (2.0 * band.q)
    if band.kind == "peak":
        return (1 + alpha * a, -2 * c, 1 - alpha * a), (1 + alpha / a, -2 * c, 1 - alpha / a)
    s, side = 2.0 * float(np.sqrt(a)) * alpha, 1.0 if band.kind == "low" else -1.0
    up, down = a + 1, a - 1
    return (
        (a * (up - side * down * c + s), side * 2 * a * (down - side * up * c), a * (up - side * down * c - s)),
        (up + side * down * c + s, -side * 2 * (down + side * up * c), up + side * down * c - s),
    )


def _room(key: str, sound: str, size: int, strength: float) -> np.ndarray:
    """Complex gain [F] of the sound itself and of a room: noise that dies away, softer in the treble."""
    if strength == 0.0:
        return np.ones(size // 2 + 1, np.complex64)
    shared, own = chance(f"{sound}/room"), chance(f"{key}/room")
    decay_s = float(shared.uniform(0.2, 1.2) * own.uniform(0.85, 1.15))
    wet_db = float(shared.uniform(-26.0, -10.0) + own.uniform(-1.5, 1.5))
    delay = round(float(shared.uniform(0.005, 0.025)) * RATE_HZ)
    time_s = np.arange(round(min(decay_s, _TAIL_S - 0.03) * RATE_HZ)) / RATE_HZ
    tail = shared.standard_normal(len(time_s)) * 10.0 ** (-3.0 * time_s / decay_s)
    tail = np.convolve(tail, [0.25, 0.5, 0.25], "same")
    tail *= strength * 10.0 ** (wet_db / 20.0) / np.sqrt(np.square(tail).sum())
    impulse = np.zeros(size, np.float32)
    impulse[0] = 1.0
    impulse[delay : delay + len(tail)] = tail
    return np.fft.rfft(impulse)


def _noise(key: str, clip_N: np.ndarray, strength: float) -> np.ndarray:
    """A noise floor 50 to 75 dB below the clip, between white and pink."""
    if strength == 0.0:
        return np.zeros_like(clip_N)
    dice = chance(f"{key}/noise")
    tilt, below_db = float(dice.uniform(0.0, 0.5)), float(dice.uniform(50.0, 75.0))
    spectrum_F = dice.standard_normal((2, len(clip_N) // 2 + 1), np.float32) * _tilted(len(clip_N)) ** np.float32(tilt)
    noise_N = np.fft.irfft(spectrum_F[0] + 1j * spectrum_F[1], len(clip_N)).astype(np.float32)
    rms = float(np.sqrt(np.mean(np.square(clip_N, dtype=np.float64))))
    return noise_N * np.float32(strength * rms * 10.0 ** (-below_db / 20.0) / np.sqrt(np.mean(np.square(noise_N))))


@lru_cache(maxsize=4)
def _tilted(samples: int) -> np.ndarray:
    """1 / f of each bin, from 20 Hz upwards."""
    hz_F = np.fft.rfftfreq(samples, 1.0 / RATE_HZ)
    return (20.0 / np.maximum(hz_F, 20.0)).astype(np.float32)
