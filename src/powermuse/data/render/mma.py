"""Accompaniment styles of the tool mma (GPL, run as a program, never part of this package): drums, and bands that can
play any chart.

mma plays each groove once over a chart that has every quality on C; a band's bar of any chord is then the bar of that
quality, transposed. The results are kept, so that each groove is run once on a machine.
"""

import functools
import hashlib
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from powermuse import chance as chances
from powermuse.data.render import cache, midi
from powermuse.data.render.mappings import GHOST, answerable
from powermuse.data.render.metres import METRES, Metre
from powermuse.data.render.patterns import FAMILIES
from powermuse.data.render.programs import Role, Split
from powermuse.data.render.rhythms import Hit
from powermuse.metrics.chords import QUALITIES
from powermuse.types import BadInput

LIBRARY = Path("/usr/share/mma/lib")
INSTALL = "apt-get install mma"
BARS_A_QUALITY = 4
_FORMAT = 2
_DECIDES = (".mma", ".mid", ".py")
_TIMEOUT_S = 60
_KILLED = 128
"""Exit statuses above it are those of a signal."""
_TRIES = 60
_BUSY = 0.9
"""Share of the bars in which a track must play."""
_EARLY, _HELD = 0.1, 0.5
"""Beats by which a note may come before its bar; beats that a note must go on in the next bar to be struck there."""
_CHORDS = {"maj": "C", "min": "Cm", "7": "C7", "maj7": "CM7", "min7": "Cm7", "dim": "Cdim3", "sus4": "Csus4"}
_NO_STYLES = ("metronome", "none", "count", "intro", "ending")
_NO_GROOVES = re.compile("intro|end|fill|coda|count|break|tag", re.IGNORECASE)
_WORDS = (
    "metal", "trance", "techno", "house", "hiphop", "hip-hop", "trip", "dance", "rave", "dnb", "ambient", "electric",
    "digital", "disco", "funk", "fusion", "fus", "reggae", "ska", "punk", "bossa", "samba", "salsa", "mambo",
    "chacha", "rhumba", "tango", "merengue", "beguine", "calypso", "bolero", "latin", "afro", "cuban", "polka",
    "march", "waltz", "shuffle", "boggie", "swing", "bigband", "bebop", "dixie", "rag", "charleston", "foxtrot",
    "quickstep", "twist", "twi", "mtl", "jazz", "blues", "bluegrass", "country", "cntry", "western", "folk", "gospel",
    "spiritual", "broadway", "soul", "motown", "rb", "r+b", "rnb", "ballad", "bald", "arpeggio", "16beat", "8beat",
    "beat", "rock", "rk", "pop",
)  # fmt: skip
"""What a style's file is called after; the first word found names its family."""
_SAME = {
    "hip-hop": "hiphop", "fus": "fusion", "cntry": "country", "bald": "ballad", "rk": "rock", "r+b": "rb",
    "rnb": "rb",    "16beat": "beat", "8beat": "beat", "mtl": "metal", "twi": "twist",
}  # fmt: skip
_TEMPI: dict[str, tuple[tuple[str, tuple[float, float]], ...]] = {
    "4/4": (
        ("slow|ballad|bald|bolero|hymn|lullaby|spiritual", (62, 92)),
        ("fast|bebop|punk|dnb|quickstep|polka", (140, 176)),
        ("", (88, 138)),
    ),
    "3/4": (("slow|ballad|bald", (72, 104)), ("fast|viennese", (150, 190)), ("", (90, 160))),
    "6/8": (("march", (80, 108)), ("", (46, 84))),
}  # fmt: skip


class Groove(NamedTuple):
    """A groove of a style file; nothing of it is played yet."""

    path: str
    """Of the style within the library, without .mma: casio/8beat1."""
    name: str

    @property
    def family(self) -> str:
        """What splits are drawn by: the word that the style is called after, the same for all its variants."""
        stem = self.path.rsplit("/", 1)[-1].lower()
        word = next((word for word in _WORDS if word in stem), re.sub(r"[^a-z].*", "", stem) or stem)
        return _SAME.get(word, word)

    @property
    def split(self) -> Split:
        """That of our own family of this name, else by hash: five families in ten are for training."""
        if self.family in FAMILIES:
            return FAMILIES[self.family].split
        part = chances.number(f"mma {self.family}") % 20
        return "train" if part < 10 else "val" if part < 14 else "test"

    def tempi_bpm(self, metre: Metre) -> tuple[float, float]:
        """Where a style of this name is played: mma's files seldom say."""
        return next(tempi for words, tempi in _TEMPI[metre.name] if re.search(words, self.path + self.name.lower()))


class Track(NamedTuple):
    """What a pitched track plays over every quality on C."""

    name: str
    role: Role
    bars: tuple[tuple[tuple[float, float, int, int], ...], ...]
    """For each quality in turn BARS_A_QUALITY bars of (beat, beats long, pitch, velocity)."""


class Played(NamedTuple):
    """A groove as mma plays it; `hits` go over all its bars."""

    metre: Metre
    bars: int
    hits: tuple[Hit, ...]
    tracks: tuple[Track, ...]


def available() -> bool:
    """Whether the tool and its library are installed."""
    return shutil.which("mma") is not None and LIBRARY.is_dir()


@functools.cache
def grooves() -> tuple[Groove, ...]:
    """All grooves of the library but introductions, endings, fills and metronomes. Raises BadInput without mma."""
    _demand()
    return tuple(sorted(set(_defined())))


@functools.cache
def digest() -> str:
    """SHA-256 of the library and of the tool beside it: all that decides what a groove plays. Takes 0.1 s. Raises
    BadInput without mma."""
    _demand()
    whole = hashlib.sha256()
    root = LIBRARY.parent
    for path in sorted(p for p in root.rglob("*") if p.suffix in _DECIDES and p.is_file()):
        content = path.read_bytes()
        whole.update(f"{path.relative_to(root).as_posix()} {len(content)} ".encode() + content)
    return whole.hexdigest()


def _demand() -> None:
    if not available():
        raise BadInput(f"the styles of mma are not on this machine: {INSTALL}")


def _defined() -> Iterator[Groove]:
    for file in LIBRARY.rglob("*.mma"):
        path = file.relative_to(LIBRARY).with_suffix("").as_posix()
        if file.stem.startswith(_NO_STYLES):
            continue
        for name in re.findall(r"^\s*DefGroove\s+(\S+)", file.read_text("latin-1"), re.MULTILINE | re.IGNORECASE):
            if not _NO_GROOVES.search(name):
                yield Groove(path, name)


def play(groove: Groove, kept: Path) -> Played | None:
    """What mma makes of a groove, or what is kept of it; None where it plays nothing that we can use."""
    return _recalled(groove, kept)


@functools.lru_cache(maxsize=512)
def _recalled(groove: Groove, kept: Path) -> Played | None:
    made = cache.recall(kept, f"mma {_FORMAT} {digest()} {groove.path} {groove.name}", lambda: _run(groove))
    if made is None:
        return None
    tracks = tuple(
        Track(name, role, tuple(tuple((b, n, p, v) for b, n, p, v in bar) for bar in bars))
        for name, role, bars in made["tracks"]
    )
    return Played(METRES[made["metre"]], made["bars"], tuple(Hit(*hit) for hit in made["hits"]), tracks)


def _run(groove: Groove) -> Any:
    """Runs the tool in a folder of its own; a groove that it refuses is kept as None. Raises BadInput where it did not
    come to an end."""
    lines = ["RndSeed 1", f"Groove {groove.path}:{groove.name}"]
    for chord in (_CHORDS[quality] for quality in QUALITIES):
        lines += [f"MidiMark Bar\n{chord}"] * BARS_A_QUALITY
    with tempfile.TemporaryDirectory() as folder:
        chart, out = Path(folder) / "chart.mma", Path(folder) / "chart.mid"
        chart.write_text("\n".join([*lines, "MidiMark Bar\nz"]) + "\n")
        command = ["mma", "-w", str(chart), "-f", str(out)]
        try:
            ended = subprocess.run(command, cwd=folder, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise BadInput(f"mma: was not done with {groove.path}:{groove.name} after {_TIMEOUT_S} s") from None
        if ended.returncode < 0 or ended.returncode > _KILLED:
            raise BadInput(f"mma: was killed at {groove.path}:{groove.name}; is there memory enough?")
        if not out.exists():
            return None
        return _told(midi.read(out.read_bytes()))


def _told(song: midi.Song) -> Any:
    """Drums and pitched tracks in beats, None where the metre is none of ours."""
    metre = METRES.get({"12/8": "4/4"}.get(name := "{1}/{2}".format(*song.metres[0]), name)) if song.metres else None
    bars = len(QUALITIES) * BARS_A_QUALITY
    if metre is None or len(song.markers) < bars:
        return None
    beat_ticks = (song.markers[1] - song.markers[0]) / metre.beats
    drums = sorted(n for c in song.channels if c.number == midi.DRUM_CHANNEL for n in c.notes)
    end = bars * metre.beats
    beats = [(round(max(note.start / beat_ticks, 0.0), 4), note) for note in drums]
    hits = [[beat, note.pitch, note.velocity] for beat, note in beats if beat < end]
    played = [(n, role, _bars_of(channel, beat_ticks, metre, bars)) for n, role, channel in _seated(song.channels)]
    tracks = [track for track in played if sum(map(bool, track[2])) >= _BUSY * bars]
    return {"metre": metre.name, "bars": bars, "hits": hits, "tracks": tracks}


def _bars_of(channel: midi.Channel, beat_ticks: float, metre: Metre, bars: int) -> list[list[list[float]]]:
    """Notes by the bar that they begin in or just before; where one is held on, it is struck again in the next bar."""
    found: list[list[list[float]]] = [[] for _ in range(bars)]
    for note in channel.notes:
        start, end = note.start / beat_ticks, note.end / beat_ticks
        begins = int((start + _EARLY) / metre.beats)
        for bar in range(begins, bars):
            first = bar * metre.beats
            inside = max(start - first, 0.0)
            length = min(end - first, metre.beats) - inside
            if bar > begins and length < _HELD:
                break
            found[bar].append([round(inside, 4), round(length, 4), note.pitch, note.velocity])
    return found


def _seated(channels: list[midi.Channel]) -> list[tuple[str, Role, midi.Channel]]:
    """The busiest bass, and of chords, arpeggios and pads one each."""
    seats: dict[str, tuple[Role, midi.Channel]] = {}
    for channel in sorted(channels, key=lambda c: -len(c.notes)):
        kind = re.sub(r"[^a-z].*", "", channel.track.lower())
        if channel.number == midi.DRUM_CHANNEL or kind not in ("bass", "walk", "chord", "arpeggio", "plectrum"):
            continue
        role = role_of(channel.program)
        if kind in ("bass", "walk"):
            seats.setdefault("bass", ("bass", channel))
        elif role in ("pads", "strings"):
            seats.setdefault("pad", (role, channel))
        else:
            seats.setdefault("arpeggio" if kind == "arpeggio" else "chords", (role, channel))
    order = ("bass", "chords", "arpeggio", "pad")
    return [(name, *seats[name]) for name in order if name in seats]


def role_of(program: int) -> Role:
    """The role that a General MIDI program has in a band."""
    borders: tuple[tuple[int, Role], ...] = (
        (8, "keys"), (16, "mallets"), (24, "keys"), (32, "guitar"), (40, "bass"), (48, "strings"), (56, "pads"),
        (72, "brass"), (80, "leads"), (104, "pads"), (108, "guitar"), (128, "mallets"),
    )  # fmt: skip
    return next(role for border, role in borders if program < border)


def draw(chance: random.Random, split: Split, metre: Metre | None, kept: Path, band: bool) -> tuple[Groove, Played]:
    """A groove of the split: first a family, then one of its grooves; in a metre where one is given and there is one.

    With `band` one that has a bass and struck chords, else one whose drums play throughout.
    """
    families = by_family(split)
    for attempt in range(2 * _TRIES):
        groove = chance.choice(families[chance.choice(tuple(families))])
        played = play(groove, kept)
        wanted = played is not None and (metre in (None, played.metre) or attempt >= _TRIES)
        if played is not None and wanted and (_has_band(played) if band else _has_drums(played)):
            return groove, played
    raise BadInput(f"none of mma's grooves of {split} can be played: {INSTALL}")


@functools.cache
def by_family(split: Split) -> dict[str, tuple[Groove, ...]]:
    """The grooves of a split under the names of their families."""
    found: dict[str, list[Groove]] = {}
    for groove in grooves():
        if groove.split == split:
            found.setdefault(groove.family, []).append(groove)
    return {family: tuple(members) for family, members in found.items()}


def _has_band(played: Played) -> bool:
    names = {track.name for track in played.tracks}
    return "bass" in names and bool(names & {"chords", "arpeggio"})


def _has_drums(played: Played) -> bool:
    """At least a stroke and a half a beat, and none of its bars empty."""
    filled = {int(hit.beat / played.metre.beats) for hit in played.hits if hit.velocity >= GHOST}
    often = len({round(hit.beat, 2) for hit in played.hits}) >= 1.5 * played.bars * played.metre.beats
    return often and len(filled) == played.bars and answerable(hit.key for hit in played.hits)
