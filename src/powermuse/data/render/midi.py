"""What we ask of a MIDI file: the notes of each channel of each track, tempo, metre, markers; all in ticks."""

import io
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import mido

DRUM_CHANNEL = 9


class Struck(NamedTuple):
    """A note in ticks."""

    start: int
    end: int
    pitch: int
    velocity: int


@dataclass
class Channel:
    """One channel of one track."""

    track: str
    number: int
    program: int = 0
    notes: list[Struck] = field(default_factory=list)


@dataclass
class Song:
    """A MIDI file."""

    ticks_a_quarter: int
    channels: list[Channel]
    tempi: list[tuple[int, float]]
    """Tick and quarters a minute."""
    metres: list[tuple[int, int, int]]
    """Tick, numerator, denominator."""
    markers: list[int]
    """Ticks."""


def read(content: bytes) -> Song:
    """Reads a MIDI file. Raises ValueError, EOFError or OSError for what it cannot read."""
    file = mido.MidiFile(file=io.BytesIO(content), clip=True)
    song = Song(file.ticks_per_beat, [], [], [], [])
    for track in file.tracks:
        _read_track(song, track)
    return song


def _read_track(song: Song, track: Any) -> None:
    tick, name = 0, track.name
    channels: dict[int, Channel] = {}
    sounding: dict[tuple[int, int], tuple[int, int]] = {}
    for message in track:
        tick += message.time
        if message.type == "set_tempo":
            song.tempi.append((tick, 60e6 / message.tempo))
        elif message.type == "time_signature":
            song.metres.append((tick, message.numerator, message.denominator))
        elif message.type == "marker":
            song.markers.append(tick)
        elif message.type == "program_change":
            channels.setdefault(message.channel, Channel(name, message.channel)).program = message.program
        elif message.type in ("note_on", "note_off"):
            channel = channels.setdefault(message.channel, Channel(name, message.channel))
            started = sounding.pop((message.channel, message.note), None)
            if started:
                channel.notes.append(Struck(started[0], tick, message.note, started[1]))
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note] = (tick, message.velocity)
    song.channels += [channel for channel in channels.values() if channel.notes]
