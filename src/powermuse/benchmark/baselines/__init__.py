"""Rivals made of signal processing alone: what a composer must beat before it can be called one.

Each takes a groove, a harmony and an unrelated clip, mono at 24 kHz and of equal length, and gives a blend of that
length; the same clips give the same blend. All are levelled as the composer's blends are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.benchmark.baselines import floor, mixing, modulation, mosaic, slices
from powermuse.composing.composer import at_level

Compose = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Baseline:
    """One rival; `kind` is floor where it uses neither clip."""

    name: str
    description: str
    reference: str
    make: Compose
    kind: Literal["baseline", "floor"] = "baseline"

    def compose(self, groove_N: np.ndarray, harmony_N: np.ndarray, unrelated_N: np.ndarray) -> np.ndarray:
        """The blend [N] at the joint level of groove and harmony, its gain at most 3, its peaks below full scale."""
        clips = (groove_N, harmony_N, unrelated_N)
        if groove_N.ndim != 1 or len({clip.shape for clip in clips}) > 1:
            raise ValueError(f"mono clips of one length are wanted, not {[clip.shape for clip in clips]}")
        blend_N = self.make(*clips).astype(np.float32)
        return at_level(blend_N[None], groove_N[None], harmony_N[None], SAMPLE_RATE_HZ)[0][0]


def _of_pair(make: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Compose:
    return lambda groove_N, harmony_N, unrelated_N: make(groove_N, harmony_N)


def _of_unrelated(make: Callable[[np.ndarray], np.ndarray]) -> Compose:
    return lambda groove_N, harmony_N, unrelated_N: make(unrelated_N)


_ALL = (
    Baseline("plain mix", "A + B, each at the same level", "", _of_pair(mixing.plain_mix)),
    Baseline(
        "B with A's loudness",
        "B, its loudness contour replaced by A's",
        "side-chaining; Zölzer, DAFX, 2nd ed., ch. 4",
        _of_pair(modulation.with_loudness),
    ),
    Baseline(
        "24-band vocoder",
        "B in 24 mel bands, the envelope of each replaced by A's",
        "Dudley, Remaking speech, JASA 11, 1939",
        _of_pair(modulation.vocoder),
    ),
    Baseline(
        "percussive-harmonic swap",
        "percussive part of A + harmonic part of B",
        "Fitzgerald, DAFx 2010; Driedger, Müller & Disch, ISMIR 2014",
        _of_pair(mixing.percussive_harmonic_swap),
    ),
    Baseline(
        "NMF mosaic",
        "A's spectrogram rebuilt from the frames of B",
        "Driedger, Prätzlich & Müller, Let It Bee, ISMIR 2015",
        _of_pair(mosaic.mosaic),
    ),
    Baseline(
        "slices of B on A's onsets",
        "at each onset of A the slice of B from its nearest onset, as strong as A's onset",
        "Zils & Pachet, Musical mosaicing, DAFx 2001",
        _of_pair(slices.on_onsets),
    ),
    Baseline("unrelated music", "another clip, neither A nor B", "", _of_unrelated(floor.music), "floor"),
    Baseline(
        "noise", "stationary noise with the spectrum of an unrelated clip", "", _of_unrelated(floor.noise), "floor"
    ),
)
BASELINES: dict[str, Baseline] = {baseline.name: baseline for baseline in _ALL}
"""Every rival by its name, in the order of the tables."""
