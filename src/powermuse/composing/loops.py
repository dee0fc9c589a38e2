"""A piece that ends where it begins: composed a little longer than it is, its tail faded into its head."""

import math
from collections.abc import Callable

import numpy as np

OVERLAP_S = 0.25
"""How much longer it is composed."""
_AROUND_S = 0.1


def folded(wav_CN: np.ndarray, samples: int) -> np.ndarray:
    """[C, samples] of a longer piece: what comes after `samples` fades out over the beginning, which fades in. Where
    the two are alike their levels add up, where they are not their powers do: the fades keep the level either way."""
    tail_CN, head_CN = wav_CN[:, samples:], wav_CN[:, : wav_CN.shape[1] - samples]
    size = tail_CN.shape[1]
    energy = math.sqrt(float(np.square(tail_CN).sum() * np.square(head_CN).sum()))
    alike = max(0.0, float((tail_CN * head_CN).sum()) / max(energy, 1e-12))
    rising_N = (np.arange(size) / size).astype(np.float32)
    falling_N = 1.0 - rising_N
    level_N = np.sqrt(rising_N**2 + falling_N**2 + 2.0 * alike * rising_N * falling_N)
    found = wav_CN[:, :samples].copy()
    found[:, :size] = (rising_N * head_CN + falling_N * tail_CN) / level_N
    return found


def around(
    change: Callable[[np.ndarray], np.ndarray],
    wav_CN: np.ndarray,
    sample_rate_hz: int,
    to_hz: int | None = None,
    samples: int | None = None,
) -> np.ndarray:
    """What a change that looks at what lies beside a sample makes of a loop, whose end lies before its beginning;
    `samples` of it, at `to_hz`, where it changes the rate."""
    margin = round(_AROUND_S * sample_rate_hz)
    begin = margin * (to_hz or sample_rate_hz) // sample_rate_hz
    changed_CN = change(np.concatenate([wav_CN[:, -margin:], wav_CN, wav_CN[:, :margin]], axis=1))
    return changed_CN[:, begin : begin + (samples or wav_CN.shape[1])]
