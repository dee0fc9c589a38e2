"""Scores to stems: one soundfont, played by TinySoundFont, each part alone.

Played at 48 kHz and then brought to 24 kHz, because the player interpolates linearly: against 192 kHz its magnitudes
are about 11 dB nearer than when played at 24 kHz (docs/rendering.md). It has neither reverb nor chorus.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from powermuse.audio import features, files
from powermuse.data.render.score import Part, Score
from powermuse.types import BadInput

RATE_HZ = features.SAMPLE_RATE_HZ
_PLAYED_HZ = 48_000
_VOICES = 256
_CHANNEL = 0
_LEAST_DRUM_S = 0.5
"""How long a drum rings at least: many a score ends it at once, as most players do not mind."""


class _Event(NamedTuple):
    """What the player is told at a sample; what ends comes before what begins."""

    sample: int
    begins: bool
    pitch: int
    velocity: int


class Synth:
    """A loaded soundfont. Raises BadInput where it, or the player, cannot be loaded."""

    def __init__(self, path: str | Path) -> None:
        self._player = _player()
        try:
            self._font = self._player.SoundFont(str(path))
        except RuntimeError as error:
            raise BadInput(f"{path}: cannot be read as a soundfont ({error})") from None

    def stems(self, score: Score) -> np.ndarray:
        """Every part alone, float32 [P, N] at 24 kHz; the same bits for the same score, whatever was played before."""
        samples = round(score.duration_s * RATE_HZ)
        played_PN = np.zeros((len(score.parts), samples * _PLAYED_HZ // RATE_HZ), np.float32)
        for part, out_N in zip(score.parts, played_PN, strict=True):
            self._play(part, out_N)
        return files.resample(played_PN, _PLAYED_HZ, RATE_HZ)[:, :samples] if score.parts else played_PN

    def _play(self, part: Part, out_N: np.ndarray) -> None:
        """Plays into `out_N`, from event to event, so that each falls on its sample."""
        # A copy shares the samples and has no memory: even after a reset the player lets old voices fade.
        voices = self._player.SoundFont(self._font)
        voices.set_output(self._player.OutputMode.Mono, _PLAYED_HZ, 0.0)
        voices.set_max_voices(_VOICES)
        voices.channel_set_preset_number(_CHANNEL, part.program, part.is_drums)
        out, at, size = out_N.data.cast("B"), 0, out_N.itemsize
        for event in _events(part, len(out_N)):
            if event.sample > at:
                voices.render(out[at * size : event.sample * size])
                at = event.sample
            if event.begins:
                voices.channel_note_on(_CHANNEL, event.pitch, event.velocity / 127.0)
            else:
                voices.channel_note_off(_CHANNEL, event.pitch)
        voices.render(out[at * size :])


@cache
def loaded(path: str) -> Synth:
    """The synth of a font, loaded once in a process."""
    return Synth(path)


def _events(part: Part, samples: int) -> list[_Event]:
    """In the order of time, of those that fall within the clip."""
    found = []
    for note in part.notes:
        end_s = max(note.end_s, note.start_s + _LEAST_DRUM_S) if part.is_drums else note.end_s
        begin, end = round(note.start_s * _PLAYED_HZ), round(end_s * _PLAYED_HZ)
        if begin < samples:
            found.append(_Event(begin, True, note.pitch, note.velocity))
            # Of two that sound at one pitch the player ends the older.
            found.append(_Event(max(begin + 1, end), False, note.pitch, 0))
    return sorted(event for event in found if event.sample < samples)


def _player() -> Any:
    try:
        # The package's own front has neither a mono output nor copies of a font; the pinned version has both in here.
        from tinysoundfont import _tinysoundfont
    except ImportError:
        raise BadInput("rendering needs a command first: pip install --no-deps tinysoundfont==0.3.7") from None
    return _tinysoundfont
