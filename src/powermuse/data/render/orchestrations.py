"""The truth: a band plays the chords of one clip to the drum hits of another, and nothing else.

Each drum hit above ghost notes is an onset, each onset a drum hit; at a border of chords whatever sounds ends, so that
at t seconds the chord is the one that the harmony clip has at t seconds.
"""

import bisect
from typing import NamedTuple

from powermuse.data.render import voicings
from powermuse.data.render.bands import Band, Instrument, through
from powermuse.data.render.mappings import GHOST, LOUDNESS, MAPPINGS, Gesture, Kind, Lane, Mapping, kind_of, stand_ins
from powermuse.data.render.score import Chord, Note, Part, untangled

TOGETHER_S = 0.025
"""Drum hits nearer than this are one stroke."""
BORDER_S = 0.04
"""A stroke that anticipates a chord by less is played with it, at its border."""
_LOWEST_WITHOUT_BASS = 40
_HIGHEST = 88
_PAD_VELOCITY = 68
_GAP_S, _GAP_SHARE = 0.06, 0.35
_STATEMENT = (Gesture("bass", "root", 8.0), Gesture("chords", "voicing", 8.0))


class Stroke(NamedTuple):
    """Drum hits that fall together."""

    time_s: float
    kinds: dict[Kind, int]
    """The loudest velocity of each kind."""


def strokes(drums: tuple[Note, ...]) -> tuple[Stroke, ...]:
    """Hits above ghost notes, those that fall together as one, at the time of the first."""
    found: list[Stroke] = []
    heard = [hit for hit in sorted(drums) if hit.velocity >= GHOST]
    instead = stand_ins({kind_of(hit.pitch) for hit in heard})
    for hit in heard:
        if not found or hit.start_s - found[-1].time_s > TOGETHER_S:
            found.append(Stroke(hit.start_s, {}))
        kinds = found[-1].kinds
        kind = kind_of(hit.pitch)
        kind = instead.get(kind, kind)
        kinds[kind] = max(kinds.get(kind, 0), hit.velocity)
    return tuple(found)


def orchestrate(drums: tuple[Note, ...], chords: tuple[Chord, ...], band: Band, mapping: str) -> tuple[Part, ...]:
    """What the instruments of `band` play to `drums`; one part for each, as in the harmony clip."""
    seats = _Seats(band.instruments, chords, MAPPINGS[mapping])
    hits = strokes(drums)
    plays = _plays(hits, chords, MAPPINGS[mapping])
    notes: dict[str, list[Note]] = {instrument.name: [] for instrument in band.instruments}
    counts: dict[Lane, int] = {"bass": 0, "chords": 0, "line": 0}
    for play in plays:
        for name, pitches in seats.pitches(play, counts[play.gesture.lane], MAPPINGS[mapping].order):
            notes[name] += [Note(play.start_s, play.end_s, pitch, play.velocity) for pitch in pitches]
        counts[play.gesture.lane] += 1
    for pad in seats.pads:
        notes[pad.name] = _held(hits, chords, seats.voiced[pad.name])
    return tuple(Part(i.name, i.program, untangled(notes[i.name])) for i in band.instruments)


def _held(hits: tuple[Stroke, ...], chords: tuple[Chord, ...], voiced: tuple[tuple[int, ...], ...]) -> list[Note]:
    """A pad from each chord's first stroke to its end: it swells, and would blur the strokes if it answered each."""
    found: list[Note] = []
    before = -1
    for stroke in hits:
        at, start_s = _placed(stroke.time_s, chords)
        if at != before and start_s < chords[at].end_s:
            found += [Note(start_s, chords[at].end_s, pitch, _PAD_VELOCITY) for pitch in voiced[at]]
        before = at
    return found


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
                found[last[gesture.lane]] = held._replace(end_s=_released(held, start_s))
            last[gesture.lane] = len(found)
            end_s = min(start_s + gesture.hold_s, chords[at].end_s)
            found.append(_Play(gesture, at, start_s, end_s, velocity))
        before = at
    return [play for play in found if play.end_s > play.start_s]


def _released(held: _Play, next_s: float) -> float:
    """When a note ends that is to be struck again: a little before, or it would be one long note."""
    length_s = next_s - held.start_s
    return min(held.end_s, next_s - min(_GAP_S, _GAP_SHARE * length_s))


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
            chosen.setdefault(gesture.lane, (gesture, _answering(velocity, kind)))
    if states:
        loudest = max(_answering(velocity, kind) for kind, velocity in stroke.kinds.items())
        for gesture in _STATEMENT:
            velocity = chosen.get(gesture.lane, (gesture, loudest))[1]
            chosen[gesture.lane] = (gesture, velocity)
    return dict(chosen.values())


def _answering(velocity: int, kind: Kind) -> int:
    """A hat of velocity 100 is softer than a snare of 100, and so is what answers it."""
    return max(1, min(127, round(velocity * LOUDNESS[kind])))


class _Seats:
    """Which instruments play bass, chords and lines, and their voicing of every chord."""

    def __init__(self, instruments: tuple[Instrument, ...], chords: tuple[Chord, ...], mapping: Mapping) -> None:
        self.chords = chords
        upper = [i for i in instruments if i.name != "bass"]
        struck = [i for i in upper if i.name != "pad"] or upper
        self.pads = [i for i in upper if i not in struck]
        self.lines = [i for i in struck if i.name in ("arpeggio", "lead")] or struck[:1]
        has_lines = any(gesture.lane == "line" for answer in mapping.answers.values() for gesture in answer)
        self.blocks = [i for i in struck if i not in self.lines or not has_lines] or struck
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
    if play == "full":
        return (*voicing, *(p + 12 for p in voicing if voicing[-1] < p + 12 <= _HIGHEST))
    return {"low dyad": voicing[:2], "high dyad": voicing[-2:], "triad": voicing[:3]}.get(play, voicing)
