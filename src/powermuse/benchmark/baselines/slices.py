"""The harmony cut at its onsets and played on the groove's (onset-synchronous concatenation)."""

from typing import NamedTuple

import numpy as np
import torch

from powermuse.audio import features
from powermuse.audio.features import HOP_SAMPLES, SAMPLE_RATE_HZ

_LEAST_STRENGTH = 0.12  # of the strongest onset
_AROUND_FRAMES = 7  # an onset stands out from the mean over 93 ms to either side ...
_ABOVE_MEAN = 1.3
_APART_FRAMES = 4  # ... and is the strongest within 53 ms
_REFINE_SAMPLES = 4 * HOP_SAMPLES
_STEP_SAMPLES = 24  # 1 ms
_NEAR_SAMPLES = SAMPLE_RATE_HZ // 2
_FADE_IN_SAMPLES, _FADE_OUT_SAMPLES = 48, 480  # 2 ms and 20 ms


class Onsets(NamedTuple):
    """Where notes begin, in samples, and how strongly, 0 to 1."""

    at_samples: np.ndarray
    strength: np.ndarray


def on_onsets(groove_N: np.ndarray, harmony_N: np.ndarray) -> np.ndarray:
    """At each onset of the groove the harmony's slice nearest to that time, as strong as the groove's onset, until the
    groove's next onset or the slice's end."""
    groove, slices = onsets(groove_N), onsets(harmony_N).at_samples
    ends = [*groove.at_samples[1:], len(groove_N)][: len(groove.at_samples)]
    blend_N = np.zeros(len(groove_N), dtype=np.float32)
    for begin, end, strength in zip(groove.at_samples, ends, groove.strength, strict=True):
        source = _nearest(slices, int(begin))
        samples = min(int(end - begin), _until_next(slices, source, len(harmony_N)))
        _play(blend_N, harmony_N, int(begin), int(begin) + samples, source, float(strength))
    return blend_N


def _until_next(at_samples: np.ndarray, source: int, samples: int) -> int:
    """How long sound from `source` on lasts, its fade included, before the next onset begins."""
    later = at_samples[at_samples > source + 2 * _FADE_OUT_SAMPLES]
    return (int(later[0]) - _FADE_OUT_SAMPLES - _FADE_IN_SAMPLES if len(later) else samples) - source


def _nearest(at_samples: np.ndarray, sample: int) -> int:
    """The onset nearest to a time; that very time where there is none within half a second."""
    distance = np.abs(at_samples - sample)
    near = len(distance) and distance.min() <= _NEAR_SAMPLES
    return int(at_samples[distance.argmin()]) if near else sample


def _play(blend_N: np.ndarray, source_N: np.ndarray, begin: int, end: int, source: int, gain: float) -> None:
    """Adds the source from `source` on at `begin`, faded in before and faded out across `end`."""
    lead = min(_FADE_IN_SAMPLES, begin, source)
    samples = min(lead + end - begin + _FADE_OUT_SAMPLES, len(blend_N) - begin + lead, len(source_N) - source + lead)
    piece = source_N[source - lead : source - lead + samples].copy()
    piece[:lead] *= np.linspace(0.0, 1.0, lead, dtype=np.float32)
    out = min(_FADE_OUT_SAMPLES, samples - lead)
    piece[samples - out :] *= np.linspace(1.0, 0.0, out, dtype=np.float32)
    blend_N[begin - lead : begin - lead + samples] += np.float32(gain) * piece


def onsets(wav_N: np.ndarray) -> Onsets:
    """Peaks of the onset envelope, each moved to where the level rises most within 53 ms, to the millisecond."""
    curve_T = features.onset_envelope(features.onset_strength(torch.from_numpy(wav_N)[None]))[0].numpy()
    frames = _peaks(curve_T)
    at_samples = np.array([_rise(wav_N, int(frame) * HOP_SAMPLES + HOP_SAMPLES // 2) for frame in frames], dtype=int)
    at_samples, first = np.unique(at_samples, return_index=True)
    strength = curve_T[frames][first]
    return Onsets(at_samples, strength / max(float(strength.max(initial=0.0)), 1e-9))


def _peaks(curve_T: np.ndarray) -> np.ndarray:
    """Frames that are the strongest near them and stand out from their surroundings (Böck & Widmer, DAFx 2013)."""
    if not curve_T.max(initial=0.0) > 0.0:
        return np.zeros(0, dtype=int)
    strongest = _windows(curve_T, _APART_FRAMES).max(axis=1)
    mean = _windows(curve_T, _AROUND_FRAMES).mean(axis=1)
    stands_out = (curve_T > _ABOVE_MEAN * mean) & (curve_T > _LEAST_STRENGTH * curve_T.max())
    return np.flatnonzero((curve_T == strongest) & stands_out)


def _windows(curve_T: np.ndarray, reach: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(np.pad(curve_T, reach), 2 * reach + 1)


def _rise(wav_N: np.ndarray, near_sample: int) -> int:
    """Where the energy of the next 4 ms exceeds that of the last 4 ms most."""
    reach = 4
    begin = max(0, near_sample - _REFINE_SAMPLES)
    part = wav_N[begin : near_sample + _REFINE_SAMPLES].astype(np.float64)
    steps = np.square(part[: len(part) // _STEP_SAMPLES * _STEP_SAMPLES]).reshape(-1, _STEP_SAMPLES).sum(axis=1)
    if len(steps) < 2 * reach:
        return near_sample
    energy = np.convolve(steps, np.ones(reach), mode="valid")
    return begin + (int((energy[reach:] - energy[:-reach]).argmax()) + reach) * _STEP_SAMPLES
