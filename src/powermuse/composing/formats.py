"""A blend as a file wants it: at another rate, on two channels. Nothing is gained by either: what a codec cannot hold
is not there, and both channels are the same."""

from typing import Any, NamedTuple

import numpy as np

from powermuse.audio import clips, files
from powermuse.composing import loops
from powermuse.composing.composer import PEAK, Blend


class Form(NamedTuple):
    """How a blend is written."""

    rate_hz: int | None = None
    """None: the codec's."""
    stereo: bool = False


AS_IT_IS = Form()


def written(blend: Blend, form: Form) -> tuple[np.ndarray, int]:
    """The wave [C, N] as it goes into the file, and its rate."""
    rate_hz = form.rate_hz or blend.sample_rate_hz
    wav_CN = blend.wav_CN
    if rate_hz != blend.sample_rate_hz:
        wav_CN = _at_rate(blend, rate_hz)
    return (np.repeat(wav_CN, 2, axis=0) if form.stereo and len(wav_CN) == 1 else wav_CN), rate_hz


def _at_rate(blend: Blend, rate_hz: int) -> np.ndarray:
    def change(wav_CN: np.ndarray) -> np.ndarray:
        # Limited, since between two samples it may rise above both.
        return clips.limit_peaks(files.resample(wav_CN, blend.sample_rate_hz, rate_hz), PEAK, rate_hz)

    if blend.loop_s is None:
        return change(blend.wav_CN)
    return loops.around(change, blend.wav_CN, blend.sample_rate_hz, rate_hz, round(blend.loop_s * rate_hz))


def told(blend: Blend, form: Form) -> dict[str, Any]:
    """What a report says of it: rate, channels, and the highest frequency that there can be."""
    channels = 2 if form.stereo else len(blend.wav_CN)
    return {
        "sample_rate_hz": form.rate_hz or blend.sample_rate_hz,
        "channels": channels,
        "band_limit_hz": min(blend.sample_rate_hz, form.rate_hz or blend.sample_rate_hz) // 2,
    }
