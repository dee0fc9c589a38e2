"""Drum tracks of freedoom's songs: multi-track MIDI files in the lumps of its WADs (BSD-3-style licence)."""

import hashlib
import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from powermuse import chance as chances
from powermuse.data.render import cache, midi
from powermuse.data.render.mappings import GHOST, answerable
from powermuse.data.render.metres import CLIP_S, METRES
from powermuse.data.render.programs import SPLITS, Split
from powermuse.data.render.rhythms import Hit, Rhythm
from powermuse.types import BadInput

FOLDERS = (Path("/usr/share/games/doom"), Path("/usr/local/share/games/doom"))
INSTALL = "apt-get install freedoom"
_FORMAT = 2
_HOP_BARS = 4
_FEWEST_A_SECOND, _LONGEST_GAP_S = 2.0, 1.5


class Lump(NamedTuple):
    """A named piece of a WAD."""

    name: str
    content: bytes


def installed() -> list[Path]:
    """Freedoom's WADs on this machine."""
    return [path for folder in FOLDERS for path in sorted(folder.glob("freedoom*.wad"))]


def lumps(content: bytes) -> Iterator[Lump]:
    """The pieces of a WAD: a directory at its end names where each lies. Raises BadInput for what is no WAD."""
    if len(content) < 12 or content[1:4] != b"WAD":
        raise BadInput("no WAD: it must begin with IWAD or PWAD")
    count, directory = struct.unpack_from("<ii", content, 4)
    if count < 0 or directory < 0 or directory + 16 * count > len(content):
        raise BadInput("no whole WAD: what lies where is cut off")
    for i in range(count):
        start, size, name = struct.unpack_from("<ii8s", content, directory + 16 * i)
        yield Lump(name.rstrip(b"\0").decode("latin-1"), content[start : start + size])


def songs(paths: list[Path], kept: Path) -> dict[Split, tuple[Rhythm, ...]]:
    """Stretches of drums of each split; all of a song are in one. Raises BadInput where there are no WADs."""
    _demand(paths)
    found: dict[Split, list[Rhythm]] = {split: [] for split in SPLITS}
    seen: set[tuple[Hit, ...]] = set()
    for path in paths:
        key = f"wad {_FORMAT} {path.name} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for entry in cache.recall(kept, key, lambda path=path: _stretches_of(path)):  # type: ignore[misc]
            rhythm = _from_json(entry)
            if rhythm.hits not in seen:  # the same loop again is not another rhythm
                found[split_of(rhythm.family)].append(rhythm)
            seen.add(rhythm.hits)
    return {split: tuple(rhythms) for split, rhythms in found.items()}


def digest(paths: list[Path], kept: Path) -> str:
    """SHA-256 of all songs in WADs, whatever else is in them; read once, as their drums are. Raises BadInput where
    there are no WADs."""
    _demand(paths)
    whole = hashlib.sha256()
    for path in paths:
        key = f"wad digest {path.name} {path.stat().st_size} {path.stat().st_mtime_ns}"
        whole.update(cache.recall(kept, key, lambda path=path: _digest_of(path)).encode())  # type: ignore[misc]
    return whole.hexdigest()


def _demand(paths: list[Path]) -> None:
    if not paths:
        raise BadInput(f"freedoom's WADs are not in {FOLDERS[0]}: {INSTALL}")


def _digest_of(path: Path) -> str:
    whole = hashlib.sha256()
    for lump in _songs_of(path):
        whole.update(f"{lump.name} {len(lump.content)} ".encode() + lump.content)
    return whole.hexdigest()


def split_of(song: str) -> Split:
    """Six songs in ten are for training; decided by what is in the file, whatever its name."""
    part = chances.number(f"song {song}") % 10
    return "train" if part < 6 else "val" if part < 8 else "test"


def _stretches_of(path: Path) -> list[Any]:
    found = []
    for lump in _songs_of(path):
        identity = hashlib.sha256(lump.content).hexdigest()[:12]
        try:
            found += [_to_json(r) for r in stretches(midi.read(lump.content), f"freedoom {identity}", lump.name)]
        except (EOFError, ZeroDivisionError, struct.error) as error:
            raise BadInput(f"{path}: its song {lump.name} is damaged ({error or type(error).__name__})") from None
    return found


def _songs_of(path: Path) -> list[Lump]:
    try:
        return [lump for lump in lumps(path.read_bytes()) if lump.content[:4] == b"MThd"]
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def stretches(song: midi.Song, family: str, name: str) -> list[Rhythm]:
    """Windows of a song, a clip long, in which drums really play and the tempo stays."""
    hits = sorted(note for channel in song.channels if channel.number == midi.DRUM_CHANNEL for note in channel.notes)
    metre = METRES.get("{1}/{2}".format(*song.metres[0])) if song.metres else METRES["4/4"]
    if metre is None or not hits or len({m[1:] for m in song.metres}) > 1:
        return []
    beat_ticks = song.ticks_a_quarter * (1.5 if metre.name == "6/8" else 1)
    bar_ticks = beat_ticks * metre.beats
    found = []
    for bar in range(0, int(hits[-1].start / bar_ticks), _HOP_BARS):
        tempo_bpm = _steady_tempo(song, bar * bar_ticks) * song.ticks_a_quarter / beat_ticks
        bars = max(1, -(-int(CLIP_S * tempo_bpm / 60) // metre.beats))
        first, last = bar * bar_ticks, (bar + bars) * bar_ticks
        changes = any(first < tick < last for tick, _ in song.tempi)
        inside = tuple(
            Hit((h.start - first) / beat_ticks, h.pitch, h.velocity) for h in hits if first <= h.start < last
        )
        rhythm = Rhythm("freedoom", family, f"{name} bar {bar + 1}", metre, tempo_bpm, bars, inside)
        if not changes and metre.tempo_bpm[0] <= tempo_bpm <= metre.tempo_bpm[1] and grooves(rhythm):
            found.append(rhythm)
    return found


def grooves(rhythm: Rhythm) -> bool:
    """Whether drums play throughout: two strokes a second, no gap above 1.5 s, more than hats."""
    hits = [hit for hit in rhythm.hits if hit.velocity >= GHOST]
    beat_s = 60 / rhythm.tempo_bpm
    length = rhythm.bars * rhythm.metre.beats
    times = [0.0, *(hit.beat for hit in hits), length]
    gap_s = max(b - a for a, b in itertools.pairwise(times)) * beat_s
    often = len({round(hit.beat, 2) for hit in hits}) >= _FEWEST_A_SECOND * length * beat_s
    return often and gap_s <= _LONGEST_GAP_S and answerable(hit.key for hit in hits)


def _steady_tempo(song: midi.Song, tick: float) -> float:
    return max((t for t in song.tempi if t[0] <= tick), default=(0, 120.0))[1]


def _to_json(rhythm: Rhythm) -> list[Any]:
    return [*rhythm[:3], rhythm.metre.name, *rhythm[4:]]


def _from_json(entry: list[Any]) -> Rhythm:
    source, family, name, metre, tempo_bpm, bars, hits = entry
    return Rhythm(source, family, name, METRES[metre], tempo_bpm, bars, tuple(Hit(*hit) for hit in hits))
