"""What two clips need to be put on the bars of one: tempo, bars and key of each, and how one is played to fit.

Half and double tempo are one tempo here: a clip is never played faster than by the square root of two, nor slower.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from powermuse.audio import beatnet, features, grid
from powermuse.audio.beatnet import Pulse
from powermuse.audio.features import Features
from powermuse.audio.grid import Grid
from powermuse.audio.retime import retimed
from powermuse.audio.spectra import frame_count

LISTENS_S = 30.0
"""So much of a sound is listened to, from its beginning; of a longer one as much of its end."""
_SHORT_S = 10.0
_SLACK = 0.05
"""Of a bar: a loop that was cut a moment short is still whole."""


class Heard(NamedTuple):
    """What is heard of a clip."""

    grid: Grid
    tonic: int
    """Pitch class of the key, C 0."""
    mode: str
    key_chance: float
    """How likely that key is, in [0, 1]."""


class Turned(NamedTuple):
    """How a clip is played: from when on, how fast, how much higher, and for how many bars of the common grid."""

    begin_s: float
    speed: float
    semitones: int
    bars: int
    times: int = 1
    """How often, from its beginning on, in those bars."""


class Bars(NamedTuple):
    """The bars that two clips are put on."""

    tempo_bpm: float
    beats_per_bar: int

    @property
    def seconds(self) -> float:
        """Of one bar."""
        return self.beats_per_bar * 60.0 / self.tempo_bpm


class Alignment(NamedTuple):
    """What was heard of two clips, by `groove` and `harmony`, and what was done to them."""

    heard: dict[str, Heard]
    bars: Bars | None
    """None where they were left on their own clocks."""
    played: dict[str, Turned]
    """How each is played; empty where nothing was done."""
    doubts: tuple[str, ...]


def listen(wav_CN: np.ndarray) -> Heard:
    """Tempo, bars and key of a sound [1, N] at 24 kHz, by its first half minute; by the length of all of it, and by its
    last half minute, whether it is a loop."""
    most = round(LISTENS_S * features.SAMPLE_RATE_HZ)
    pulse, heard = _pulse(np.ascontiguousarray(wav_CN[:1, :most], np.float32))
    is_long = wav_CN.shape[1] > most
    ending = _pulse(np.ascontiguousarray(wav_CN[:1, -most:], np.float32))[0] if is_long else None
    tonic, mode = divmod(int(pulse.key_PM.argmax()), len(beatnet.MODES))
    seconds = wav_CN.shape[1] / features.SAMPLE_RATE_HZ
    found = grid.find(pulse, seconds, heard, ending)
    return Heard(found, tonic, beatnet.MODES[mode], float(pulse.key_PM.max()))


def _pulse(wav_CN: np.ndarray) -> tuple[Pulse, Features]:
    """What the net hears, and what it hears that in. A short sound is heard in the middle of itself, as a loop is: at
    its borders nothing would be known of what comes before its first stroke and after its last."""
    samples = wav_CN.shape[1]
    if samples > _SHORT_S * features.SAMPLE_RATE_HZ:
        heard = features.extract(torch.from_numpy(wav_CN))
        return beatnet.hear(heard)[0], heard
    heard = features.extract(torch.from_numpy(np.tile(wav_CN, 3)))
    pulse = beatnet.hear(heard)[0]
    begin, frames = round(samples / features.HOP_SAMPLES), frame_count(samples, features.HOP_SAMPLES)
    middle = slice(begin, begin + frames)
    beat_T, downbeat_T = pulse.beat_T[middle], pulse.downbeat_T[middle]
    return pulse._replace(beat_T=beat_T, downbeat_T=downbeat_T), Features(*(x[..., middle] for x in heard))


def turned(heard: Heard, seconds: float, tempo_bpm: float, beats_per_bar: int, semitones: int = 0) -> Turned:
    """How a clip of so many seconds is played at a tempo, in bars of so many beats: whole bars of it, from its first
    downbeat on; a clip of less than a bar from its first beat, as one bar; half a bar, and one and a half, twice."""
    speed = nearest_speed(tempo_bpm / heard.grid.tempo_bpm)
    bar_s = beats_per_bar * 60.0 / tempo_bpm
    begin_s = heard.grid.downbeat_s
    if bars_in((seconds - begin_s) / speed, bar_s) < 1:
        beat_s = 60.0 / heard.grid.tempo_bpm
        begin_s = max(0.0, begin_s - bars_in(begin_s, beat_s) * beat_s)  # beats stay on beats
    lasts_s = (seconds - begin_s) / speed
    if _is_half_a_bar_over(lasts_s, bar_s):
        return Turned(begin_s, speed, semitones, round(2.0 * lasts_s / bar_s), times=2)
    return Turned(begin_s, speed, semitones, max(1, bars_in(lasts_s, bar_s)))


def _is_half_a_bar_over(seconds: float, bar_s: float) -> bool:
    """Whether it is half a bar, or one and a half: a loop in bars of half the beats, whole when it is played twice."""
    halves = 2.0 * seconds / bar_s
    return round(halves) in (1, 3) and abs(halves - round(halves)) <= _SLACK


def bars_in(seconds: float, bar_s: float) -> int:
    """Whole bars that so many seconds hold."""
    return math.floor(seconds / bar_s + _SLACK)


def nearest_speed(speed: float) -> float:
    """The speed in [1 / sqrt 2, sqrt 2) that is `speed` but for factors of two."""
    return float(2.0 ** ((math.log2(speed) + 0.5) % 1.0 - 0.5))


def played(wav_CN: np.ndarray, sample_rate_hz: int, how: Turned, bar_s: float) -> np.ndarray:
    """Exactly `how.bars` bars [C, N] of a clip, N = round(bars * bar_s * rate); silence where it has ended."""
    wanted = round(how.bars * bar_s * sample_rate_hz)
    begin = round(how.begin_s * sample_rate_hz)
    once = math.ceil(wanted * how.speed / how.times)
    part = wav_CN[:, begin : begin + once]
    if how.times > 1:  # a loop that was cut a moment short begins again on its beat all the same
        part = np.tile(np.pad(part, ((0, 0), (0, once - part.shape[1]))), how.times)
    found = retimed(part, sample_rate_hz, how.speed, how.semitones)[:, :wanted]
    return np.pad(found, ((0, 0), (0, wanted - found.shape[1])))
