"""Cutting, levelling, looping and overlap-adding. Works on numpy and torch alike where it only slices."""

import math

import numpy as np
import torch
from torch import Tensor

from powermuse.types import BadInput

LEVEL_DB = -20.0
"""RMS level in dBFS to which every clip is brought before it is encoded."""
SILENCE_DB = -60.0
"""A clip whose RMS lies below this is silent."""
_OFFSET = 0.1
_FADE_S = 0.002
_LOOKAHEAD_S = 0.005


def rms(wav: np.ndarray) -> float:
    """Root mean square over all samples."""
    return float(np.sqrt(np.mean(np.square(wav, dtype=np.float64)))) if wav.size else 0.0


def level_db(wav: np.ndarray) -> float:
    """RMS level in dBFS (a full-scale sine is -3.01), at least -200."""
    return 20.0 * math.log10(max(rms(wav), 1e-10))


def without_offset(wav_CN: np.ndarray) -> np.ndarray:
    """A clip [C, N] about zero: nobody hears a constant, but it counts as level. Where it is less than a tenth of what
    is heard the clip stays as it is, to the bit."""
    offset_C1 = wav_CN.mean(axis=1, keepdims=True, dtype=np.float64).astype(wav_CN.dtype)
    centred_CN = wav_CN - offset_C1
    return centred_CN if float(np.abs(offset_C1).max()) > _OFFSET * rms(centred_CN) else wav_CN


def normalise_level(wav: np.ndarray, to_db: float = LEVEL_DB) -> tuple[np.ndarray, float]:
    """The clip at `to_db` dBFS, and the level it had. Raises BadInput on silence."""
    had_db = level_db(wav)
    if had_db < SILENCE_DB:
        raise BadInput(f"silent: its level is {had_db:.0f} dBFS, at least {SILENCE_DB:.0f} is wanted")
    return (wav * np.float32(10.0 ** ((to_db - had_db) / 20.0))).astype(np.float32), had_db


def starts(samples: int, clip_samples: int) -> range:
    """Where the whole clips of a recording begin, end to end; what is left at the end is dropped."""
    return range(0, samples - clip_samples + 1, clip_samples)


def loop_to(wav_CN: np.ndarray, samples: int, sample_rate_hz: int) -> np.ndarray:
    """Exactly `samples` samples: cut, or repeated with 2 ms fades at each join (the period is kept)."""
    have = wav_CN.shape[1]
    if have >= samples:
        return wav_CN[:, :samples]
    faded = _fade_ends(wav_CN, min(int(_FADE_S * sample_rate_hz), have // 2))
    looped = np.tile(faded, (1, math.ceil(samples / have)))[:, :samples]
    looped[:, : have // 2] = wav_CN[:, : have // 2]  # the first pass starts as the clip starts
    return looped


def _fade_ends(wav_CN: np.ndarray, samples: int) -> np.ndarray:
    ramp = np.sin(np.linspace(0.0, math.pi / 2, samples, dtype=np.float32)) ** 2
    faded = wav_CN.copy()
    faded[:, :samples] *= ramp
    faded[:, wav_CN.shape[1] - samples :] *= ramp[::-1]
    return faded


def limit_peaks(wav_CN: np.ndarray, peak: float, sample_rate_hz: int) -> np.ndarray:
    """No sample beyond `peak`: the gain falls smoothly 5 ms ahead of what would exceed it, and is 1 elsewhere.

    The least gain needed within reach, averaged over the same reach, nowhere exceeds the gain needed.
    """
    if float(np.abs(wav_CN).max(initial=0.0)) <= peak:
        return wav_CN.astype(np.float32)
    reach = max(1, round(_LOOKAHEAD_S * sample_rate_hz))
    loudest_N = np.pad(np.abs(wav_CN).max(axis=0).astype(np.float64), 2 * reach)
    less_N = 1.0 - peak / np.maximum(_sliding_maximum(loudest_N, 2 * reach + 1), peak)
    kernel = np.hanning(2 * reach + 3)[1:-1]
    length = len(less_N) + len(kernel) - 1
    smooth_N = np.fft.irfft(np.fft.rfft(less_N, length) * np.fft.rfft(kernel / kernel.sum(), length), length)
    gain_N = 1.0 - smooth_N[2 * reach : len(less_N)]
    return np.clip(wav_CN * gain_N, -peak, peak).astype(np.float32)


def _sliding_maximum(x_N: np.ndarray, width: int) -> np.ndarray:
    """Maximum of each `width` samples in a row, [N - width + 1]: of windows of a power of two, then of two of those."""
    span = 1
    while 2 * span <= width:
        x_N = np.maximum(x_N[:-span], x_N[span:])
        span *= 2
    rest = width - span
    return np.maximum(x_N[: len(x_N) - rest], x_N[rest:]) if rest else x_N


def window_starts(frames: int, window: int, hop: int) -> list[int]:
    """Starts of windows that cover `frames` frames; the last is moved back to end with them."""
    if frames <= window:
        return [0]
    return [*range(0, frames - window, hop), frames - window]


def crossfade_weights(window: int, first: bool, last: bool, overlap: int) -> Tensor:
    """Weights [window] in (0, 1]: a raised-cosine ramp over `overlap` frames at each end that has a neighbour."""
    ramp = torch.sin((torch.arange(overlap) + 0.5) / overlap * (math.pi / 2)) ** 2
    weights = torch.ones(window)
    if not first:
        weights[:overlap] = ramp
    if not last:
        weights[window - overlap :] = torch.minimum(weights[window - overlap :], ramp.flip(0))
    return weights


def overlap_add(pieces: list[Tensor], begins: list[int], length: int, overlap: int) -> Tensor:
    """One [..., length] from overlapping pieces [..., window], cross-faded; weights sum to 1 everywhere, so that
    pieces cut from one signal give it back."""
    total = torch.zeros(*pieces[0].shape[:-1], length, dtype=pieces[0].dtype)
    weight = torch.zeros(length, dtype=pieces[0].dtype)
    for i, (piece, begin) in enumerate(zip(pieces, begins, strict=True)):
        window = piece.shape[-1]
        fade = crossfade_weights(window, i == 0, i == len(pieces) - 1, min(overlap, window)).to(piece.dtype)
        total[..., begin : begin + window] += piece * fade
        weight[begin : begin + window] += fade
    return total / weight
