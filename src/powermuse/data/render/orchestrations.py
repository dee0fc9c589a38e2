"""The truth: a band plays the chords of one clip to the drum hits of another, and nothing else.

Each drum hit above ghost notes is an onset, each onset a drum hit; at a border of chords whatever sounds ends, so that
at t seconds the chord is the one that the harmony clip has at t seconds.
"""

import bisect
from typing import NamedTuple

from powermuse.data.render import voicings
from powermuse.data.render.bands import Band, Instrument, through
from powermuse.data.render.mappings import GHOST, MAPPINGS, Gesture, Kind, Lane, Mapping, kind_of
from powermuse.data.render.score import Chord, Note, Part, untangled

TOGETHER_S = 0.025
"""Drum hits nearer than this are one stroke."""
BORDER_S = 0.04
"""A stroke that anticipates a chord by less is played with it, at its border."""
_LOWEST_WITHOUT_BASS = 40
_SOFTER = {"bass": 1.0, "chords": 0.86, "line": 0.95}
_STATEMENT = (Gesture("bass", "root", 8.0), Gesture("chords", "voicing", 8.0))


class Stroke(NamedTuple):
    """Drum hits that fall together."""

    time_s: float
    kinds: dict[Kind, int]
    """The loudest velocity of each kind."""


def strokes(drums: tuple[Note, ...]) -> tuple[Stroke, ...]:
    """Hits above ghost notes, those that fall together as one, at the time of the first."""
    found: list[Stroke] = []
    for hit in sorted(drums):
        if hit.velocity < GHOST:
            continue
        if not found or hit.start_s - found[-1].time_s > TOGETHER_S:
            found.append(Stroke(hit.start_s, {}))
        kinds = found[-1].kinds
        kind = kind_of(hit.pitch)
        kinds[kind] = max(kinds.get(kind, 0), hit.velocity)
    return tuple(found)


def orchestrate(drums: tuple[Note, ...], chords: tuple[Chord, ...], band: Band, mapping: str) -> tuple[Part, ...]:
    """What the instruments of `band` play to `drums`; one part for each, as in the harmony clip."""
    seats = _Seats(band.instruments, chords, MAPPINGS[mapping])
    plays = _plays(strokes(drums), chords, MAPPINGS[mapping])
    notes: dict[str, list[Note]] = {instrument.name: [] for instrument in band.instruments}
    counts: dict[Lane, int] = {"bass": 0, "chords": 0, "line": 0}
    for play in plays:
        for name, pitches in seats.pitches(play, counts[play.gesture.lane], MAPPINGS[mapping].order):
            notes[name] += [Note(play.start_s, play.end_s, pitch, play.velocity) for pitch in pitches]
        counts[play.gesture.lane] += 1
    return tuple(Part(i.name, i.program, untangled(notes[i.name])) for i in band.instruments)


class _Play(NamedTuple):
    gesture: Gesture
    at: int
    """Which chord holds."""
    start_s: float
    end_s: float
    velocity: int


def _plays(hits: tuple[Stroke, ...], chords: tuple[Chord, ...], mapping: Mapping) -> list[_Play]:
    """The gestures of every stroke, each as long as it holds, its lane is silent and its chord lasts."""
    found: list[_Play] = []
    last: dict[Lane, int] = {}
    before = -1
    for stroke in hits:
        at, start_s = _placed(stroke.time_s, chords)
        for gesture, velocity in _answers(stroke, mapping, states=mapping.states and at != before).items():
            if gesture.lane in last:
                held = found[last[gesture.lane]]
                found[last[gesture.lane]] = held._replace(end_s=min(held.end_s, start_s))
            last[gesture.lane] = len(found)
            end_s = min(start_s + gesture.hold_s, chords[at].end_s)
            found.append(_Play(gesture, at, start_s, end_s, velocity))
        before = at
    return [play for play in found if play.end_s > play.start_s]


def _placed(time_s: float, chords: tuple[Chord, ...]) -> tuple[int, float]:
    """The chord that a stroke is played in, and when: at the border where it only just anticipates it."""
    at = bisect.bisect_right([c.start_s for c in chords], time_s) - 1
    if at + 1 < len(chords) and chords[at].end_s - time_s < BORDER_S:
        return at + 1, chords[at].end_s
    return at, time_s


def _answers(stroke: Stroke, mapping: Mapping, states: bool) -> dict[Gesture, int]:
    """One gesture for each lane, that of the loudest kind, with the velocity of its stroke."""
    chosen: dict[Lane, tuple[Gesture, int]] = {}
    for kind, velocity in sorted(stroke.kinds.items(), key=lambda item: -item[1]):
        for gesture in mapping.answers[kind]:
            chosen.setdefault(gesture.lane, (gesture, round(velocity * _SOFTER[gesture.lane])))
    if states:
        loudest = max(stroke.kinds.values())
        for gesture in _STATEMENT:
            velocity = chosen.get(gesture.lane, (gesture, round(loudest * _SOFTER[gesture.lane])))[1]
            chosen[gesture.lane] = (gesture, velocity)
    return {gesture: max(velocity, 1) for gesture, velocity in chosen.values()}


class _Seats:
    """Which instruments play bass, chords and lines, and their voicing of every chord."""

    def __init__(self, instruments: tuple[Instrument, ...], chords: tuple[Chord, ...], mapping: Mapping) -> None:
        self.chords = chords
        upper = [i for i in instruments if i.name != "bass"]
        struck = [i for i in upper if i.name != "pad"] or upper
        self.lines = [i for i in upper if i.name in ("arpeggio", "lead")] or struck[:1]
        has_lines = any(gesture.lane == "line" for answer in mapping.answers.values() for gesture in answer)
        self.blocks = [i for i in upper if i not in self.lines]
        if not has_lines or all(i.name == "pad" for i in self.blocks):  # pads alone would swell, not strike
            self.blocks = upper
        basses = [i for i in instruments if i.name == "bass"]
        self.bass = basses[0] if basses else self.blocks[0]
        self.bass_low = voicings.BASS_LOW if basses else max(_LOWEST_WITHOUT_BASS, self.bass.low - 12)
        self.voiced = {i.name: voicings.led(chords, i.low, i.high, 4) for i in upper}

    def pitches(self, play: _Play, count: int, order: str) -> list[tuple[str, tuple[int, ...]]]:
        """What each instrument of the gesture's lane plays."""
        gesture, at = play.gesture, play.at
        if gesture.lane == "bass":
            root = voicings.bass_root(self.chords[at], self.bass_low)
            return [(self.bass.name, (root, root + 12) if gesture.play == "octaves" else (root,))]
        if gesture.lane == "line":
            instrument = self.lines[at % len(self.lines)]
            voicing = self.voiced[instrument.name][at]
            tone = {"next": through(order, voicing, count), "descent": voicing[-1 - count % len(voicing)]}
            return [(instrument.name, (tone.get(gesture.play, voicing[-1]),))]
        return [(i.name, _chosen(gesture.play, self.voiced[i.name][at])) for i in self.blocks]


def _chosen(play: str, voicing: tuple[int, ...]) -> tuple[int, ...]:
    return {"low dyad": voicing[:2], "high dyad": voicing[-2:], "triad": voicing[:3]}.get(play, voicing)
