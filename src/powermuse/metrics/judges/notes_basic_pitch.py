"""basic-pitch: a small network that writes down notes (Bittner et al., ICASSP 2022, Apache-2.0), by onnxruntime."""

import contextlib
import importlib.util
import io
import logging
import tempfile
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import soundfile

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.metrics.truth import Notes
from powermuse.types import MissingExtra


class Event(NamedTuple):
    """A note that is heard: seconds, pitch of MIDI, how strongly from 0 to 1."""

    start_s: float
    end_s: float
    pitch: int
    strength: float


def is_there() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("basic_pitch") is not None


def read(wav_N: np.ndarray) -> Notes:
    """The notes of a mono clip at 24 kHz."""
    found = events(wav_N)
    return Notes(np.array([e.start_s for e in found]), np.array([e.pitch for e in found], dtype=int))


def events(wav_N: np.ndarray) -> list[Event]:
    """The notes of a mono clip at 24 kHz, in the order of time. Raises MissingExtra."""
    try:
        with mock.patch.object(logging, "warning"):  # it warns of every backend that is not there
            import basic_pitch
            from basic_pitch.inference import Model, predict
    except ImportError:
        raise MissingExtra("reading notes with basic-pitch", "judges") from None
    weights = Path(basic_pitch.__file__).parent / "saved_models/icassp_2022/nmp.onnx"
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "clip.wav"
        soundfile.write(path, wav_N, SAMPLE_RATE_HZ, subtype="FLOAT")
        found = sorted(predict(path, Model(weights))[2])
    return [Event(float(start_s), float(end_s), int(pitch), float(loud)) for start_s, end_s, pitch, loud, *_ in found]
