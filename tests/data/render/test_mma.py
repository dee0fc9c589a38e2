import random
import subprocess
from pathlib import Path

import pytest

from powermuse.data.render import charts, mma, mma_bands
from powermuse.data.render.metres import METRES
from powermuse.data.render.mma import BARS_A_QUALITY, Groove
from powermuse.data.render.patterns import FAMILIES
from powermuse.data.render.programs import SETS, SPLITS
from powermuse.data.render.progressions import Progression
from powermuse.data.render.sources import Sources
from powermuse.data.render.triplets import compose
from powermuse.metrics.chords import QUALITIES
from powermuse.types import BadInput

needs_mma = pytest.mark.skipif(not mma.available(), reason=f"without mma: {mma.INSTALL}")
BOSSA = Groove("stdlib/bossanova", "BossaNova")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("mma")


def test_a_family_is_the_word_that_a_style_is_called_after():
    paths = ("casio/16beatballad2", "zoom/bald34", "stdlib/ballad", "casio/hip-hop", "zoom/hiphop", "stdlib/jazzwaltz")
    assert [Groove(path, "x").family for path in paths] == ["ballad"] * 3 + ["hiphop"] * 2 + ["waltz"]
    assert Groove("zoom/samba", "x").split == FAMILIES["samba"].split == "val"


def test_where_mma_is_missing_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(mma.shutil, "which", lambda name: None)
    mma.grooves.cache_clear()
    with pytest.raises(BadInput, match="apt-get install mma"):
        Sources.for_split("test", ("own", "mma"))
    assert "mma" not in Sources.for_split("test", None).kinds
    mma.grooves.cache_clear()


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library of one style, and no tool that could play it."""
    monkeypatch.setattr(mma, "LIBRARY", tmp_path / "mma/lib")
    monkeypatch.setattr(mma, "available", lambda: True)
    for name in ("lib/style.mma", "includes/stdpats.mma", "MMA/parse.py", "MMA/parse.pyc"):
        (tmp_path / "mma" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mma" / name).write_text(f"of {name}")
    mma.digest.cache_clear()
    yield tmp_path / "mma"
    mma.digest.cache_clear()
    mma._recalled.cache_clear()


@pytest.mark.parametrize("name", ["lib/style.mma", "includes/stdpats.mma", "MMA/parse.py"])
def test_another_library_has_another_digest_and_its_grooves_are_played_anew(library, tmp_path, monkeypatch, name):
    played = []
    monkeypatch.setattr(mma, "_run", lambda groove: played.append(groove))

    def play() -> str:
        mma.digest.cache_clear()
        mma._recalled.cache_clear()
        mma.play(BOSSA, tmp_path / "kept")
        return mma.digest()

    first = play()
    (library / "MMA/parse.pyc").write_text("compiled by another Python")
    assert play() == first and len(played) == 1
    (library / name).write_text("of a later version")
    assert play() != first and len(played) == 2


@needs_mma
def test_every_family_is_in_one_split_and_every_split_has_many():
    families = [set(mma.by_family(split)) for split in SPLITS]
    assert not families[0] & families[1] and not families[0] & families[2] and not families[1] & families[2]
    assert min(map(len, families)) >= 10 and len(mma.grooves()) > 1000
    assert not [groove for groove in mma.grooves() if "Intro" in groove.name or "metronome" in groove.path]


@needs_mma
def test_a_groove_is_played_once_and_the_same_again(kept, monkeypatch):
    first = mma.play(BOSSA, kept)
    mma._recalled.cache_clear()
    monkeypatch.setattr(mma, "_run", lambda groove: pytest.fail("played twice"))
    assert mma.play(BOSSA, kept) == first
    monkeypatch.undo()
    mma._recalled.cache_clear()
    assert mma.play(BOSSA, kept / "elsewhere") == first


@needs_mma
def test_the_drums_of_a_bossa_lie_on_its_beats(kept):
    played = mma.play(BOSSA, kept)
    assert played.metre == METRES["4/4"] and played.bars == len(QUALITIES) * BARS_A_QUALITY
    pedals = [hit.beat % 4 for hit in played.hits if hit.key == 42]  # the style writes them on beats 2 and 3
    assert len(pedals) == 2 * played.bars
    assert all(min(abs(beat - 1), abs(beat - 2)) < 0.1 for beat in pedals)


@needs_mma
@pytest.mark.parametrize("groove", [BOSSA, Groove("stdlib/waltz", "Waltz"), Groove("casio/pop", "CtkPop")])
def test_a_band_plays_the_chart_and_nothing_beyond_a_chord(kept, groove):
    groove = next(g for g in mma.grooves() if g.path == groove.path)
    played = mma.play(groove, kept)
    chart = charts.Chart(3, Progression("minor", "i7 iio V7 Vsus4 VImaj7 iv"), played.metre, played.metre.beats)
    band = mma_bands.draw(random.Random(1), groove, played, "test")
    allowed = {program for programs in SETS["test"].values() for program in programs}
    chords = chart.chords(110)
    for part in mma_bands.play(band, played, chart, 110):
        assert part.program in allowed and part.notes
        tuneful = 0
        for note in part.notes:
            (chord,) = [c for c in chords if c.start_s <= note.start_s + 1e-9 < c.end_s]
            assert note.end_s <= chord.end_s + 1e-6
            tuneful += note.pitch % 12 in chord.pitch_classes
        assert tuneful / len(part.notes) >= (0.6 if part.name == "bass" else 1.0)
        assert part.name != "bass" or all(28 <= note.pitch < 40 for note in part.notes)


@needs_mma
def test_triplets_of_grooves_are_pure_and_tell_what_they_came_from(kept):
    sources = Sources.for_split("test", ("mma",), kept)
    assert not sources.clean
    found = [compose(5, "test", i, sources) for i in range(6)]
    mma._recalled.cache_clear()
    assert [compose(5, "test", i, Sources.for_split("test", ("own", "mma"), kept)) for i in range(6)] == found
    told = [t.origin for t in found if t.origin["rhythm_source"] == "mma"]
    assert told and all(":" in origin["rhythm_name"] for origin in told)
    assert all(origin["clean"] == "false" for origin in told)
    assert all(len({truth.parts for truth in t.truths}) == 4 for t in found)


@pytest.mark.parametrize("ends", ["exit 137", "kill -9 $$"])
def test_a_tool_that_was_killed_is_no_groove_that_plays_nothing(library, tmp_path, monkeypatch, ends):
    tool = tmp_path / "bin/mma"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{ends}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    with pytest.raises(BadInput, match=f"was killed at {BOSSA.path}:{BOSSA.name}"):
        mma.play(BOSSA, tmp_path / "kept")
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert mma.play(BOSSA, tmp_path / "kept") is None  # refused, which is kept
    tool.unlink()
    assert mma.play(BOSSA, tmp_path / "kept") is None


def test_a_tool_that_does_not_come_to_an_end_is_named(library, tmp_path, monkeypatch):
    def lasts(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("mma", timeout)

    monkeypatch.setattr(subprocess, "run", lasts)
    with pytest.raises(BadInput, match="was not done with"):
        mma.play(BOSSA, tmp_path / "kept")


def test_what_cannot_be_kept_is_played_all_the_same(library, monkeypatch):
    monkeypatch.setattr(mma, "_run", lambda groove: None)
    assert mma.play(BOSSA, Path("/proc/nowhere")) is None
