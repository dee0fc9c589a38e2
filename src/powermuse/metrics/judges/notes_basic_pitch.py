"""basic-pitch: a small network that writes down notes (Bittner et al., ICASSP 2022, Apache-2.0), by onnxruntime."""

import contextlib
import io
import logging
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import soundfile

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.metrics.truth import Notes
from powermuse.types import MissingExtra


def read(wav_N: np.ndarray) -> Notes:
    """The notes of a mono clip at 24 kHz."""
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
        events = sorted(predict(path, Model(weights))[2])
    return Notes(np.array([float(e[0]) for e in events]), np.array([int(e[2]) for e in events], dtype=int))
