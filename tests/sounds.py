"""Seeded synthetic music for the tests, mono [1, N] at 24 kHz, and small data sets made of it."""

from pathlib import Path

import numpy as np
import soundfile

from powermuse.data.prepare import Plan, prepare

RATE_HZ = 24_000
SONGS = {"ada.wav": 49.0, "bix.wav": 33.0, "cab.wav": 48.0, "duke.wav": 34.0}
"""Files and seconds of the small library: 3, 2, 3 and 2 clips of 16 s; bix and duke are kept to validate."""


def drums(seconds: float, seed: int = 0, level_db: float = -20.0) -> np.ndarray:
    """Noise bursts of 30 ms on an uneven pattern of sixteenths at 100 to 140 beats a minute."""
    random = np.random.default_rng([seed, 1])
    samples = round(seconds * RATE_HZ)
    step = int(RATE_HZ * 15 / random.integers(100, 141))
    pattern = np.r_[1.0, random.choice([0.0, 0.4, 1.0], 15, p=[0.5, 0.25, 0.25])]
    wav = np.zeros(samples + RATE_HZ)
    decay = np.exp(-np.arange(RATE_HZ // 10) / (0.03 * RATE_HZ))
    for i, at in enumerate(range(0, samples, step)):
        wav[at : at + len(decay)] += pattern[i % 16] * decay * random.standard_normal(len(decay))
    return _at_level(wav[:samples], level_db)


def rock(seconds: float, tempo_bpm: float, late_beats: float = 0.0) -> np.ndarray:
    """A kick on one and twice after, a snare on two and four, hats on eighths; the first bar begins so late."""
    random = np.random.default_rng(0)
    time_s = np.arange(RATE_HZ // 4) / RATE_HZ
    kick = np.sin(2 * np.pi * (50.0 * time_s + 2.1 * (1 - np.exp(-time_s / 0.03)))) * np.exp(-time_s / 0.08)
    noise, body = random.standard_normal(len(time_s)), np.sin(2 * np.pi * 190.0 * time_s)
    snare = (0.5 * noise + 0.4 * body) * np.exp(-time_s / 0.05)
    hat = 0.15 * np.diff(random.standard_normal(len(time_s) + 1)) * np.exp(-time_s / 0.02)
    samples, beat = round(seconds * RATE_HZ), 60.0 / tempo_bpm * RATE_HZ
    wav = np.zeros(samples + RATE_HZ)
    for bar in range(-1, int(samples / beat / 4) + 1):
        for stroke, places in ((kick, (0.0, 1.75, 2.5)), (snare, (1.0, 3.0)), (hat, np.arange(0.0, 4.0, 0.5))):
            for at in (round((4 * bar + late_beats + place) * beat) for place in places):
                if 0 <= at < samples:
                    wav[at : at + len(stroke)] += stroke
    return _at_level(wav[:samples], -20.0)


def chords(seconds: float, seed: int = 0, level_db: float = -20.0) -> np.ndarray:
    """Triads of 2 s with four harmonics and soft edges."""
    random = np.random.default_rng([seed, 2])
    samples = round(seconds * RATE_HZ)
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    edges = np.minimum(1.0, np.minimum(time_s, 2.0 - time_s) / 0.05)
    parts = []
    for _ in range(-(-samples // len(time_s))):
        root = 110.0 * 2.0 ** (random.integers(0, 12) / 12)
        notes = [root * ratio * h for ratio in (1.0, 1.2599, 1.4983) for h in (1, 2, 3, 4)]
        parts.append(edges * sum(np.sin(2 * np.pi * hz * time_s) * root / hz for hz in notes))
    return _at_level(np.concatenate(parts)[:samples], level_db)


def song(seconds: float, seed: int = 0, level_db: float = -20.0) -> np.ndarray:
    """Drums and chords together."""
    return _at_level((drums(seconds, seed) + chords(seconds, seed))[0], level_db)


def write(path: Path, wav_CN: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    """A 16-bit wav file, its folder made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wav_CN.T, rate_hz, subtype="PCM_16")
    return path


def library(folder: Path) -> Path:
    """The small library: every file of SONGS, each a song of its own."""
    for seed, (name, seconds) in enumerate(SONGS.items()):
        write(folder / name, song(seconds, seed, level_db=-18.0 - seed))
    return folder


def dataset(base: Path, codec: str) -> Path:
    """The small library prepared with a codec below `base`, once for the whole session."""
    music, out = base / "library", base / f"dataset-{codec}"
    if not music.exists():
        library(music)
    if not out.exists():
        prepare(Plan((str(music),), str(out), codec, workers=1))
    return out


def _at_level(wav_N: np.ndarray, level_db: float) -> np.ndarray:
    rms = np.sqrt(np.mean(wav_N**2))
    return (wav_N * (10 ** (level_db / 20) / rms)).clip(-0.999, 0.999).astype(np.float32)[None]


def beat(seconds: float, tempo_bpm: float, level_db: float = -20.0) -> np.ndarray:
    """A drum beat in bars of four: bass drum on one and three, snare on two and four, hi-hat on every half beat."""
    random = np.random.default_rng(0)
    time_s = np.arange(round(0.2 * RATE_HZ)) / RATE_HZ
    kick = np.sin(2 * np.pi * 55.0 * time_s) * np.exp(-time_s / 0.06)
    snare = 0.4 * random.standard_normal(len(time_s)) * np.exp(-time_s / 0.05)
    hat = 0.15 * np.diff(random.standard_normal(len(time_s) + 1)) * np.exp(-time_s / 0.015)
    half_s = 30.0 / tempo_bpm
    wav = np.zeros(round(seconds * RATE_HZ) + len(time_s))
    for half in range(int(seconds / half_s + 1e-6)):
        at = round(half * half_s * RATE_HZ)
        wav[at : at + len(time_s)] += hat + (0.0 if half % 2 else (kick, snare)[half // 2 % 2])
    return _at_level(wav[: round(seconds * RATE_HZ)], level_db)


def strummed(
    seconds: float, tempo_bpm: float, roots: tuple[int, ...] = (0, 9, 5, 7), level_db: float = -20.0
) -> np.ndarray:
    """Chords struck on every beat over a bass on every bar, another chord each bar of four: semitones above C."""
    beat_s, samples = 60.0 / tempo_bpm, round(seconds * RATE_HZ)
    wav = np.zeros(samples + 8 * RATE_HZ)
    for number in range(int(seconds / beat_s + 1e-6)):
        root = roots[number // 4 % len(roots)]
        third = 3 if root in (2, 4, 9) else 4
        length = np.arange(round(beat_s * RATE_HZ)) / RATE_HZ
        notes = [48 + root, 48 + root + third, 48 + root + 7, *([36 + root] if number % 4 == 0 else [])]
        stroke = sum(_plucked(440.0 * 2.0 ** ((note - 69) / 12), length) for note in notes)
        at = round(number * beat_s * RATE_HZ)
        wav[at : at + len(length)] += stroke * (1.5 if number % 4 == 0 else 1.0)
    return _at_level(wav[:samples], level_db)


def _plucked(hz: float, time_s: np.ndarray) -> np.ndarray:
    tone = sum(np.sin(2 * np.pi * hz * h * time_s) / h for h in (1, 2, 3, 4))
    return np.asarray(tone * np.exp(-time_s / 0.3) * np.minimum(1.0, time_s / 0.003))
