"""Soundfonts: which there are, under which licence, which split hears which, and where they lie on this machine.

No font of the test split is heard in training or validation. A folder is named with --soundfonts or in
POWERMUSE_SOUNDFONTS (searched with all below it), before those of the system.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from powermuse import disk
from powermuse.chance import number
from powermuse.types import BadInput

SPLITS = ("train", "val", "test")
_TRAINING = ("train", "val")
_SYSTEM = (
    "/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts",
    "/usr/local/share/sounds/sf2", "/usr/local/share/sounds/sf3", "/usr/local/share/soundfonts",
)  # fmt: skip


class Font(NamedTuple):
    """A soundfont with all 128 programs of General MIDI and its drums."""

    name: str
    file: str
    licence: str
    clean: bool
    """Whether what was trained on it may be given away under a licence of one's own."""
    splits: tuple[str, ...]
    install: str
    """The command that brings it."""


class Found(NamedTuple):
    """A font on this machine."""

    font: Font
    path: Path

    def digest(self) -> str:
        """SHA-256 of its file."""
        return disk.sha256(self.path)


FONTS = (
    Font(
        "sonivox", "sonivox.sf2", "Apache-2.0", True, _TRAINING,
        "npm pack @coderline/alphatab@1.8.4 && tar -xf coderline-alphatab-1.8.4.tgz package/dist/soundfont/sonivox.sf2 "
        "(then --soundfonts package/dist/soundfont)",
    ),
    Font("FluidR3Mono", "FluidR3Mono_GM.sf3", "MIT", True, _TRAINING, "apt-get install fluidr3mono-gm-soundfont"),
    Font(
        "MuseScore Lite", "MuseScore_General_Lite.sf3", "MIT", True, _TRAINING,
        "apt-get install musescore-general-soundfont-small",
    ),
    Font("TimGM6mb", "TimGM6mb.sf2", "GPL-2", False, ("test",), "apt-get install timgm6mb-soundfont"),
)  # fmt: skip


def wanted(split: str, clean: bool = False) -> list[Font]:
    """The fonts of a split; of the test split, which nothing is trained on, whatever their licence."""
    if split not in SPLITS:
        raise BadInput(f"no split is called {split!r}; there are: {', '.join(SPLITS)}")
    return [font for font in FONTS if split in font.splits and (font.clean or not clean or split == "test")]


def at_hand(split: str, folders: Sequence[str] = (), clean: bool = False) -> list[Found]:
    """The fonts of a split that this machine has. Raises BadInput, with the commands that bring them, for none."""
    for folder in folders:
        if not Path(folder).is_dir():
            raise BadInput(f"{folder}: no such folder; name one that holds soundfonts")
    fonts = wanted(split, clean)
    found = [Found(font, path) for font in fonts if (path := _place(font, folders)) is not None]
    if not found:
        commands = "; ".join(f"{font.name}: {font.install}" for font in fonts)
        raise BadInput(f"the {split} split has no soundfont on this machine; bring one: {commands}")
    return found


def missing(split: str, found: Sequence[Found], clean: bool = False) -> list[Font]:
    """The fonts of a split that were not found."""
    names = {each.font.name for each in found}
    return [font for font in wanted(split, clean) if font.name not in names]


def install(name: str) -> str:
    """The command that brings a font, by its name."""
    return next((font.install for font in FONTS if font.name == name), "it is not known here")


def choose(seed: int, split: str, index: int, found: Sequence[Found]) -> Found:
    """The font that a triplet is played with: a function of these four alone."""
    return found[number(f"{seed}/{split}/{index}/font") % len(found)]


def _place(font: Font, folders: Sequence[str]) -> Path | None:
    named = [*folders, *filter(None, os.environ.get("POWERMUSE_SOUNDFONTS", "").split(os.pathsep))]
    for folder in map(Path, named):
        if below := sorted(folder.rglob(font.file)):
            return below[0]
    return next((path for folder in (*_SYSTEM, *_packaged()) if (path := Path(folder) / font.file).is_file()), None)


def _packaged() -> list[str]:
    """Folders of installed packages that carry a font."""
    spec = find_spec("pretty_midi")
    return list(spec.submodule_search_locations or ()) if spec else []
