"""What the studio keeps on disk, and nothing beside it: the sounds that were brought, and the blends with all that was
asked for.

FOLDER/sounds/ID.wav          a sound as it was brought (its own suffix), ID.json its name and length
FOLDER/blends/ID/             blend.wav, .json, .png, .mid; heard/*.wav, all at one loudness; asked.json, written last
"""

import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from powermuse import disk
from powermuse.audio import files
from powermuse.types import BadInput

LONGEST_S = 600.0
LARGEST_BYTES = 100_000_000
SHORTEST_S = 0.5
_log = logging.getLogger(__name__)
_ID = re.compile(r"[0-9a-f]{16}")
_ASKED = "asked.json"
_LONGEST_NAME = 120


class Stored(NamedTuple):
    """A sound of the shelf."""

    id: str
    name: str
    seconds: float
    path: Path

    def told(self) -> dict[str, Any]:
        """What a page may know of it."""
        return {"id": self.id, "name": self.name, "seconds": round(self.seconds, 3)}


class Store:
    """Sounds and blends of one folder. Raises BadInput, without a path in it, for what it does not take or have."""

    def __init__(self, folder: Path) -> None:
        self.sounds_folder, self.blends_folder = folder / "sounds", folder / "blends"
        for each in (self.sounds_folder, self.blends_folder):
            each.mkdir(parents=True, exist_ok=True)
        for unfinished in self.blends_folder.glob(".making-*"):
            shutil.rmtree(unfinished)
        disk.remove_unfinished(self.sounds_folder)
        for path in self.sounds_folder.iterdir():  # brought, and nothing was told of it before the studio ended
            if path.suffix != ".json" and _ID.fullmatch(path.stem) and not path.with_suffix(".json").exists():
                path.unlink()

    def add_sound(self, name: str, content: bytes) -> Stored:
        """Keeps a sound that can be read, of half a second to ten minutes."""
        name = Path(name.replace("\\", "/")).name[-_LONGEST_NAME:] or "sound"
        suffix = Path(name).suffix.lower()
        if suffix not in files.SUFFIXES:
            raise BadInput(f"{name}: is no kind of sound that is known here ({' '.join(sorted(files.SUFFIXES))})")
        if len(content) > LARGEST_BYTES:
            raise BadInput(f"{name}: has {len(content) / 1e6:.0f} MB; at most {LARGEST_BYTES / 1e6:.0f} are taken")
        path = self.sounds_folder / f"{new_id()}{suffix}"
        disk.write_bytes(path, content)
        try:
            seconds = self._seconds(path, name)
        except BaseException:
            path.unlink()
            raise
        disk.write_text(path.with_suffix(".json"), json.dumps({"name": name, "seconds": seconds, "file": path.name}))
        return Stored(path.stem, name, seconds, path)

    def sounds(self) -> list[Stored]:
        """All of them, the last one first; not what is being written aside."""
        found = []
        for path in self.sounds_folder.glob("*.json"):
            with _passing_over(path):
                if _ID.fullmatch(path.stem):
                    found.append((path.stat().st_mtime_ns, self._stored(path)))
        return [stored for _, stored in sorted(found, key=lambda each: -each[0])]

    def sound(self, id_: str) -> Stored:
        """One of them."""
        path = self.sounds_folder / f"{_checked(id_)}.json"
        if not path.is_file():
            raise BadInput("there is no such sound any more; bring it again")
        return self._stored(path)

    def drop_sound(self, id_: str) -> None:
        """Takes a sound away; blends that were made of it stay."""
        stored = self.sound(id_)
        (self.sounds_folder / f"{id_}.json").unlink(missing_ok=True)  # first: what is not told of is not there
        stored.path.unlink(missing_ok=True)

    def begin_blend(self, id_: str) -> Path:
        """A folder to make a blend in, which nobody sees until it is kept."""
        folder = self.blends_folder / f".making-{_checked(id_)}"
        folder.mkdir()
        return folder

    def keep_blend(self, id_: str, asked: dict[str, Any]) -> None:
        """From now on the blend is there."""
        folder = self.blends_folder / f".making-{_checked(id_)}"
        disk.write_text(folder / _ASKED, json.dumps({**asked, "id": id_, "made_s": time.time()}))
        folder.rename(self.blends_folder / id_)

    def drop_blend(self, id_: str) -> None:
        """Takes away what was begun, or made."""
        for name in (f".making-{_checked(id_)}", id_):
            shutil.rmtree(self.blends_folder / name, ignore_errors=True)

    def blends(self) -> list[dict[str, Any]]:
        """What was asked for each blend that is there, the last one first."""
        found = []
        for path in self.blends_folder.glob(f"*/{_ASKED}"):
            with _passing_over(path):
                if _ID.fullmatch(path.parent.name):
                    asked = json.loads(path.read_text())
                    found.append((float(asked["made_s"]), asked))
        return [asked for _, asked in sorted(found, key=lambda each: -each[0])]

    def blend_file(self, id_: str, name: str) -> Path:
        """A file of a blend; its folder and no other."""
        path = self.blends_folder / _checked(id_) / name
        if not path.is_file():
            raise BadInput("there is no such blend any more")
        return path

    def _stored(self, told: Path) -> Stored:
        found = json.loads(told.read_text())
        return Stored(told.stem, found["name"], found["seconds"], self.sounds_folder / found["file"])

    def _seconds(self, path: Path, name: str) -> float:
        """Its length. Raises BadInput where it cannot be read, or is too short or long."""
        rate_hz = 24_000
        try:
            seconds = files.length_told(path)  # hours of sound are not to be read before they are refused
            if seconds <= LONGEST_S:
                # Some heads say nothing; then the sound itself is read no further than is allowed.
                seconds = files.read(path, rate_hz, at_most_s=LONGEST_S).shape[1] / rate_hz
        except BadInput as error:
            raise BadInput(str(error).replace(str(path), name)) from None
        if not SHORTEST_S <= seconds <= LONGEST_S:
            raise BadInput(f"{name}: lasts {seconds:.1f} s; {SHORTEST_S:g} to {LONGEST_S:g} s are taken")
        return seconds


@contextmanager
def _passing_over(path: Path) -> Iterator[None]:
    """What was taken away meanwhile is not there; what is damaged is told where the studio was started, and hides
    nothing else."""
    try:
        yield
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("%s: damaged (%s: %s); it is left out", path, type(error).__name__, error)


def new_id() -> str:
    """A name that nobody can guess."""
    return secrets.token_hex(8)


def _checked(id_: str) -> str:
    """Raises BadInput for anything but a name that was given here: no path comes in by one."""
    if not _ID.fullmatch(id_):
        raise BadInput("that is no name that was given here")
    return id_
