"""Sound for a page that carries everything in itself: equal loudness, mp3 as data URIs, small spectrograms.

mp3 at a constant rate is what every browser plays and seeks exactly, and what soundfile writes the same each time.
"""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
import torch

from powermuse.audio import files
from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.audio.spectra import mel_filters, power_spectrum

SoundFormat = Literal["mp3", "flac"]
LOUDNESS_LUFS = -23.0
_PEAK = 0.98
_BLOCK_S, _STEP_S = 0.4, 0.1
_GATE_LUFS, _GATE_BELOW = -70.0, -10.0
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_HIGHPASS_HZ, _HIGHPASS_Q = 38.13547087602444, 0.5003270373238773
_MP3_RATE = 0.5  # of soundfile's compression level: 80 kbit/s at 24 kHz mono
_COLUMNS, _MELS = 400, 80
_DB_LOW, _DB_HIGH, _DB_STEP = -85.0, -15.0, 3.5  # few shades make small pictures


class Player(NamedTuple):
    """What a browser needs of one sound."""

    sound: str
    """Data URI."""
    picture: str
    """Data URI of the spectrogram, PNG."""
    seconds: float


def load(paths: Sequence[Path], sound_format: SoundFormat) -> list[Player]:
    """Players of sounds that are compared with each other: all at one loudness, as near to -23 LUFS as none clips."""
    wavs = [files.read(path, SAMPLE_RATE_HZ)[0] for path in paths]
    return [
        Player(_sound_uri(wav_N, sound_format), _picture_uri(spectrogram_db(wav_N)), len(wav_N) / SAMPLE_RATE_HZ)
        for wav_N in equally_loud(wavs)
    ]


def equally_loud(wavs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The sounds at one loudness; silence stays silence."""
    levels = [loudness_lufs(wav_N) for wav_N in wavs]
    wanted = LOUDNESS_LUFS
    for wav_N, level in zip(wavs, levels, strict=True):
        if math.isfinite(level):
            wanted = min(wanted, level + 20 * math.log10(_PEAK / float(np.abs(wav_N).max())))
    gains = [10 ** ((wanted - level) / 20) if math.isfinite(level) else 1.0 for level in levels]
    return [(wav_N * gain).astype(np.float32) for wav_N, gain in zip(wavs, gains, strict=True)]


def loudness_lufs(wav_N: np.ndarray) -> float:
    """Integrated loudness of a mono clip at 24 kHz (ITU-R BS.1770-4); -inf where no block of 400 ms is audible."""
    block, step = round(_BLOCK_S * SAMPLE_RATE_HZ), round(_STEP_S * SAMPLE_RATE_HZ)
    heard_N = _k_weighted(np.pad(wav_N.astype(np.float64), (0, max(0, block - len(wav_N)))))
    power_T = np.lib.stride_tricks.sliding_window_view(np.square(heard_N), block)[::step].mean(axis=1)
    loud_T = power_T[_lufs(power_T) > _GATE_LUFS]
    if not len(loud_T):
        return -math.inf
    return float(_lufs(loud_T[_lufs(loud_T) > _lufs(loud_T.mean()) + _GATE_BELOW].mean()))


def _lufs(power: np.ndarray) -> np.ndarray:
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-20))


def _k_weighted(wav_N: np.ndarray) -> np.ndarray:
    """The two filters of the recommendation, by their magnitudes: phase carries no energy."""
    padded = len(wav_N) + SAMPLE_RATE_HZ
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(padded))
    gain_F = np.abs(_response(_shelf(), z) * _response(_highpass(), z))
    return np.fft.irfft(np.fft.rfft(wav_N, padded) * gain_F, padded)[: len(wav_N)]


def _response(filter_: tuple[Sequence[float], Sequence[float]], z: np.ndarray) -> np.ndarray:
    above, below = (sum(c * z**k for k, c in enumerate(side)) for side in filter_)
    return np.asarray(above / below)


def _shelf() -> tuple[Sequence[float], Sequence[float]]:
    """High shelf, as derived from the recommendation's coefficients at 48 kHz (De Man 2014)."""
    k = math.tan(math.pi * _SHELF_HZ / SAMPLE_RATE_HZ)
    high = 10 ** (_SHELF_DB / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / _SHELF_Q + k * k
    above = ((high + band * k / _SHELF_Q + k * k), 2 * (k * k - high), (high - band * k / _SHELF_Q + k * k))
    return [b / a0 for b in above], [1.0, 2 * (k * k - 1) / a0, (1 - k / _SHELF_Q + k * k) / a0]


def _highpass() -> tuple[Sequence[float], Sequence[float]]:
    k = math.tan(math.pi * _HIGHPASS_HZ / SAMPLE_RATE_HZ)
    a0 = 1 + k / _HIGHPASS_Q + k * k
    return [1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / a0, (1 - k / _HIGHPASS_Q + k * k) / a0]


def spectrogram_db(wav_N: np.ndarray) -> np.ndarray:
    """Mel spectrogram [80, at most 400 and a few] in dB, low bands first."""
    hop = max(320, -(-len(wav_N) // _COLUMNS))
    power_FT = power_spectrum(torch.from_numpy(np.ascontiguousarray(wav_N))[None], 2048, hop)[0]
    filters = mel_filters(SAMPLE_RATE_HZ, 2048, _MELS)
    mel_MT = (filters / filters.sum(1, keepdim=True)) @ power_FT
    return np.asarray(10 * torch.log10(mel_MT.clamp_min(1e-10)))


def _picture_uri(db_MT: np.ndarray) -> str:
    from matplotlib.image import imsave

    shades = np.round(np.clip(db_MT, _DB_LOW, _DB_HIGH) / _DB_STEP) * _DB_STEP
    content = io.BytesIO()
    imsave(
        content, shades, format="png", cmap="magma", vmin=_DB_LOW, vmax=_DB_HIGH, origin="lower",
        metadata={"Software": ""},  # matplotlib's version would change the bytes
    )  # fmt: skip
    return _data_uri("image/png", content.getvalue())


def _sound_uri(wav_N: np.ndarray, sound_format: SoundFormat) -> str:
    content = io.BytesIO()
    if sound_format == "flac":
        soundfile.write(content, wav_N, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
        return _data_uri("audio/flac", content.getvalue())
    soundfile.write(
        content, wav_N, SAMPLE_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="CONSTANT",
        compression_level=_MP3_RATE,
    )  # fmt: skip
    return _data_uri("audio/mpeg", content.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
