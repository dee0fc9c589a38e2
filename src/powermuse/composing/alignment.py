"""Two sounds put on the bars of one before anything is composed of them, and what was heard of each, for the report."""

import dataclasses
import hashlib
import os
from typing import Any, NamedTuple

from powermuse.audio import align, clips, features, files
from powermuse.audio.align import Alignment, Bars, Heard, Turned
from powermuse.audio.retime import retimed
from powermuse.composing.composer import SHORTEST_S, Sound
from powermuse.metrics.chords import PITCH_NAMES
from powermuse.types import BadInput

SURE = 0.5
"""Confidence of a grid from which it is believed, and chance of a key (`python bench/align.py test`)."""
SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
SIDES = ("groove", "harmony")
_MOST_SEMITONES = 12
_RELATIVE = 3
"""Semitones from a minor key up to the major key of the same notes."""


class Wish(NamedTuple):
    """What is to be done."""

    align: str = "off"
    """`auto`, `off`, `groove`, `harmony`, or a tempo in beats a minute."""
    transpose: str = "0"
    """Semitones that the harmony is moved by, or `groove`: to the groove's key."""


def check(wish: Wish) -> None:
    """Raises BadInput for a wish that has no meaning."""
    if wish.align not in ("auto", "off", *SIDES):
        _tempo(wish.align)
    if wish.transpose != "groove":
        _semitones(wish.transpose)


class Aligner:
    """Puts pairs of sounds on the bars of one; what it heard of a sound it remembers."""

    def __init__(self, wish: Wish, sample_rate_hz: int) -> None:
        check(wish)
        self.wish, self.rate_hz = wish, sample_rate_hz
        self._known: dict[bytes, Heard] = {}

    def __call__(self, groove: Sound, harmony: Sound) -> tuple[Sound, Sound, Alignment | None]:
        """Both as they are to be heard, and what was done; None where nothing was wanted."""
        if self.wish == Wish():
            return groove, harmony, None
        sounds: dict[str, Sound] = {"groove": groove, "harmony": harmony}
        heard = {side: self._heard(sound) for side, sound in sounds.items()}
        semitones, doubts = self._move(heard)
        bars, more = _bars(self.wish.align, heard)
        doubts += more
        played = self._played(sounds, heard, bars, semitones)
        sounds |= {side: self._turn(sounds[side], how, bars) for side, how in played.items()}
        return sounds["groove"], sounds["harmony"], Alignment(heard, bars, played, tuple(doubts))

    def _heard(self, sound: Sound) -> Heard:
        key = hashlib.blake2b(sound.wav_CN.tobytes(), digest_size=16).digest()  # a file may be here in parts
        if key not in self._known:
            wav_CN = files.resample(sound.levelled_CN, self.rate_hz, features.SAMPLE_RATE_HZ)
            self._known[key] = align.listen(wav_CN)
        return self._known[key]

    def _move(self, heard: dict[str, Heard]) -> tuple[int, list[str]]:
        """Semitones for the harmony."""
        if self.wish.transpose != "groove":
            return _semitones(self.wish.transpose), []
        doubts = [f"the key of the {s} is not sure ({key_name(h)})" for s, h in heard.items() if h.key_chance < SURE]
        return to_key(heard["harmony"], heard["groove"]), doubts

    def _played(
        self, sounds: dict[str, Sound], heard: dict[str, Heard], bars: Bars | None, semitones: int
    ) -> dict[str, Turned]:
        moves: dict[str, int] = {"groove": 0, "harmony": semitones}
        seconds = {side: sound.wav_CN.shape[1] / self.rate_hz for side, sound in sounds.items()}
        if bars is None:
            return {side: Turned(0.0, 1.0, move, 0) for side, move in moves.items() if move}
        played = {}
        for side in SIDES:
            if self.wish.align == "auto" and not is_sure(heard[side]):  # the other's bars, its own pace
                played[side] = Turned(0.0, 1.0, moves[side], max(1, align.bars_in(seconds[side], bars.seconds)))
            else:
                played[side] = align.turned(heard[side], seconds[side], *bars, moves[side])
        return played

    def _turn(self, sound: Sound, how: Turned, bars: Bars | None) -> Sound:
        if bars is None:
            wav_CN = retimed(sound.wav_CN, self.rate_hz, how.speed, how.semitones)
        else:
            wav_CN = align.played(sound.wav_CN, self.rate_hz, how, bars.seconds)
        try:
            levelled_CN, _ = clips.normalise_level(wav_CN)
        except BadInput as error:
            raise BadInput(f"{sound.path}: the bars that were found are {error}; choose another part") from None
        return dataclasses.replace(sound, wav_CN=wav_CN, levelled_CN=levelled_CN)


def is_sure(heard: Heard) -> bool:
    """Whether a tempo is to be believed."""
    return heard.grid.confidence >= SURE


def key_name(heard: Heard) -> str:
    """As `F# minor`."""
    return f"{PITCH_NAMES[heard.tonic]} {heard.mode}"


def told(alignment: Alignment) -> dict[str, Any]:
    """What a report says."""
    sides: dict[str, Any] = {}
    for side, heard in alignment.heard.items():
        sides[side] = told_of(heard)
        if how := alignment.played.get(side):
            sides[side]["played"] = {
                "from_s": round(how.begin_s, 3), "speed": round(how.speed, 4), "semitones": how.semitones,
                "bars": how.bars, **({"times": how.times} if how.times > 1 else {}),
            }  # fmt: skip
    bars = alignment.bars
    common = {} if bars is None else {"tempo_bpm": round(bars.tempo_bpm, 3), "beats_per_bar": bars.beats_per_bar}
    return {"bars": common or None, **sides, "doubts": list(alignment.doubts)}


def told_of(heard: Heard) -> dict[str, Any]:
    """What was heard of one sound."""
    return {
        "tempo_bpm": round(heard.grid.tempo_bpm, 2),
        "beats_per_bar": heard.grid.beats_per_bar,
        "downbeat_s": round(heard.grid.downbeat_s, 3),
        "confidence": round(heard.grid.confidence, 3),
        "key": key_name(heard),
        "key_chance": round(heard.key_chance, 3),
    }


def hear(path: str | os.PathLike[str], begin_s: float = 0.0, end_s: float | None = None) -> Heard:
    """Tempo, bars and key of a sound file, or of a part of it. Raises BadInput where it cannot be read, or where that
    part lasts less than half a second."""
    if begin_s < 0.0 or (end_s is not None and end_s < begin_s):
        raise BadInput(f"{path}: a part from {begin_s:g} to {end_s or 0:g} s is none")
    rate_hz = features.SAMPLE_RATE_HZ
    wav_CN = files.read(path, rate_hz)[:, round(begin_s * rate_hz) : None if end_s is None else round(end_s * rate_hz)]
    if wav_CN.shape[1] < SHORTEST_S * rate_hz:
        raise BadInput(f"{path}: a part of at least {SHORTEST_S} s is wanted")
    return align.listen(wav_CN)


def in_words(alignment: Alignment) -> str:
    """One line for the terminal."""
    parts = []
    for side, heard in alignment.heard.items():
        how = alignment.played.get(side)
        speed = f" at {how.speed:.3f} times its speed" if how and abs(how.speed - 1.0) > 5e-4 else ""
        moved = f" moved by {how.semitones:+d} semitones" if how and how.semitones else ""
        parts.append(f"{side} {heard.grid.tempo_bpm:.1f} BPM, {key_name(heard)}{speed}{moved}")
    bars = alignment.bars
    common = "not aligned" if bars is None else f"bars of {bars.beats_per_bar} beats at {bars.tempo_bpm:.1f} BPM"
    return "; ".join([common, *parts, *(f"note: {doubt}" for doubt in alignment.doubts)])


def _bars(wanted: str, heard: dict[str, Heard]) -> tuple[Bars | None, list[str]]:
    """The common bars, and what is not sure about them."""
    doubts = [
        f"the tempo of the {side} is not sure ({one.grid.tempo_bpm:.1f} BPM, confidence {one.grid.confidence:.2f})"
        for side, one in heard.items()
        if not is_sure(one) and wanted != "off"
    ]
    if wanted == "off" or (wanted == "auto" and not is_sure(heard["groove"])):
        return None, doubts
    leader = heard["harmony" if wanted == "harmony" else "groove"].grid
    tempo_bpm = leader.tempo_bpm if wanted in ("auto", *SIDES) else _tempo(wanted)
    return Bars(tempo_bpm, leader.beats_per_bar), doubts


def to_key(moved: Heard, kept: Heard) -> int:
    """Semitones, -6 to 5, that bring one key to the notes of the other, or of its relative."""
    one, other = (heard.tonic + (_RELATIVE if heard.mode == "minor" else 0) for heard in (moved, kept))
    return (other - one + 6) % 12 - 6


def _tempo(text: str) -> float:
    try:
        tempo = float(text)
    except ValueError:
        tempo = 0.0
    if not SLOWEST_BPM <= tempo <= FASTEST_BPM:
        raise BadInput(
            f"--align: auto, off, groove, harmony or {SLOWEST_BPM:g} to {FASTEST_BPM:g} beats a minute, not {text!r}"
        )
    return tempo


def _semitones(text: str) -> int:
    try:
        semitones = int(text)
    except ValueError:
        semitones = _MOST_SEMITONES + 1
    if abs(semitones) > _MOST_SEMITONES:
        raise BadInput(f"--transpose: groove, or -12 to 12 semitones, not {text!r}")
    return semitones
