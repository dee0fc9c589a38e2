import re
from collections import Counter
from pathlib import Path

import pytest

from powermuse.data.render import fonts
from powermuse.data.render.fonts import FONTS, Found
from powermuse.types import BadInput


@pytest.fixture
def bare(monkeypatch):
    """A machine without a font of its own."""
    monkeypatch.setattr(fonts, "_SYSTEM", ())
    monkeypatch.setattr(fonts, "_packaged", list)
    monkeypatch.delenv("POWERMUSE_SOUNDFONTS", raising=False)


def test_no_font_of_the_test_split_is_heard_before():
    heard, kept = ({f.name for f in fonts.wanted(split)} for split in ("train", "test"))
    assert heard and kept and not heard & kept
    assert {f.name for f in fonts.wanted("val")} == heard
    assert all(font.clean for split in ("train", "val") for font in fonts.wanted(split, clean=True))


def test_without_any_font_the_commands_are_named(bare):
    with pytest.raises(BadInput, match="no soundfont on this machine") as error:
        fonts.at_hand("train")
    assert all(font.install in str(error.value) for font in fonts.wanted("train"))
    with pytest.raises(BadInput, match="apt-get install timgm6mb-soundfont"):
        fonts.at_hand("test")


def test_folders_are_searched_with_what_lies_below_them(bare, tmp_path, monkeypatch):
    named, variable = tmp_path / "named", tmp_path / "variable"
    for folder in (named / "deep" / "er", variable):
        folder.mkdir(parents=True)
        (folder / "sonivox.sf2").write_text("font")
    monkeypatch.setenv("POWERMUSE_SOUNDFONTS", str(variable))
    assert [each.path for each in fonts.at_hand("train")] == [variable / "sonivox.sf2"]
    found = fonts.at_hand("train", [str(named)])
    assert [each.path for each in found] == [named / "deep" / "er" / "sonivox.sf2"]
    assert [font.name for font in fonts.missing("train", found)] == ["FluidR3Mono", "MuseScore Lite"]
    with pytest.raises(BadInput, match="no such folder"):
        fonts.at_hand("train", [str(tmp_path / "none")])


def test_the_choice_is_a_function_of_seed_split_and_index_and_uses_every_font():
    found = [Found(font, Path(font.file)) for font in FONTS[:3]]
    chosen = [fonts.choose(7, "train", i, found).font.name for i in range(600)]
    assert chosen == [fonts.choose(7, "train", i, found).font.name for i in range(600)]
    # Of 600 throws of a fair die with three sides, a side outside of 200 +- 60 comes once in a million tries.
    assert all(140 < count < 260 for count in Counter(chosen).values()) and len(set(chosen)) == 3
    assert chosen != [fonts.choose(8, "train", i, found).font.name for i in range(600)]
    assert chosen != [fonts.choose(7, "val", i, found).font.name for i in range(600)]


def test_the_player_that_errors_ask_for_is_the_one_that_is_pinned():
    root = Path(__file__).parents[3]
    pinned = re.search(r"^tinysoundfont==.*$", (root / "requirements/nodeps.txt").read_text(), re.M)
    assert pinned and pinned[0] in (root / "src/powermuse/data/render/synth.py").read_text()
