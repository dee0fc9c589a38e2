import pytest

from data.render.small import song, wad
from powermuse.data.render import midi, wads
from powermuse.data.render.mappings import answerable
from powermuse.data.render.programs import SPLITS
from powermuse.data.render.sources import Sources
from powermuse.types import BadInput

needs_freedoom = pytest.mark.skipif(not wads.installed(), reason=f"without freedoom: {wads.INSTALL}")


def test_the_lumps_of_a_wad():
    content = wad(D_E1M1=b"MThd...", NOTHING=b"", LONGNAME=b"xyz")
    assert list(wads.lumps(content)) == [("D_E1M1", b"MThd..."), ("NOTHING", b""), ("LONGNAME", b"xyz")]
    with pytest.raises(BadInput, match="no WAD"):
        list(wads.lumps(b"MThd and more than twelve bytes"))


def test_stretches_begin_with_a_bar_and_keep_the_songs_drums():
    found = wads.stretches(midi.read(song()), "family", "name")
    assert [r.name for r in found] == ["name bar 1", "name bar 5", "name bar 9"]
    for rhythm in found:
        assert (rhythm.bars, rhythm.tempo_bpm, rhythm.metre.name) == (8, 120, "4/4")
        assert [(h.beat, h.key, h.velocity) for h in rhythm.hits[:4]] == [
            (0, 36, 100), (0.5, 42, 100), (1, 38, 100), (1.5, 42, 100)
        ]  # fmt: skip
    notes = found[0].notes(60)
    assert [n.start_s for n in notes[:3]] == [0, 0.5, 1] and len(notes) == 32


def test_stretches_without_drums_throughout_are_left_out():
    assert [r.name for r in wads.stretches(midi.read(song(silent_bars=(3,))), "f", "n")] == ["n bar 5", "n bar 9"]
    assert not wads.stretches(midi.read(song(keys=(42, 46))), "f", "n")
    assert not wads.stretches(midi.read(song(tempo_bpm=300)), "f", "n")


def test_hats_alone_cannot_be_orchestrated():
    assert answerable((36, 42)) and answerable((38, 46)) and answerable((63, 70))
    assert not answerable((36,)) and not answerable((42, 46, 51))


def test_a_wad_is_read_once_and_a_loop_is_one_rhythm(tmp_path, monkeypatch):
    path = tmp_path / "freedoom1.wad"
    path.write_bytes(wad(D_ONE=song(), D_TWO=song(), SOMETHING=b"else"))
    found = wads.songs([path], tmp_path / "kept")
    assert sum(map(len, found.values())) == 1
    monkeypatch.setattr(wads, "_stretches_of", lambda path: pytest.fail("read twice"))
    assert wads.songs([path], tmp_path / "kept") == found


def test_the_digest_is_of_the_songs_alone(tmp_path, monkeypatch):
    def digest(**content: bytes) -> str:
        (tmp_path / "freedoom1.wad").write_bytes(wad(**content))
        return wads.digest([tmp_path / "freedoom1.wad"], tmp_path / "kept")

    first = digest(D_ONE=song(), TEXTURE=b"a wall")
    assert digest(D_ONE=song(), TEXTURE=b"another wall") == first
    other = digest(D_ONE=song(tempo_bpm=121), TEXTURE=b"a wall")
    assert other != first and digest(D_TWO=song(), TEXTURE=b"a wall") != first
    assert digest(D_ONE=song(), D_TWO=song()) != first
    found = digest(D_ONE=song(), TEXTURE=b"walls")
    monkeypatch.setattr(wads, "_digest_of", lambda path: pytest.fail("read twice"))
    assert wads.digest([tmp_path / "freedoom1.wad"], tmp_path / "kept") == found == first
    with pytest.raises(BadInput, match="apt-get install freedoom"):
        wads.digest([], tmp_path / "kept")


def test_where_freedoom_is_missing_the_message_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(wads, "FOLDERS", (tmp_path,))
    with pytest.raises(BadInput, match="apt-get install freedoom"):
        Sources.for_split("train", ("own", "freedoom"))
    assert Sources.for_split("train").kinds == ("own",)
    with pytest.raises(BadInput, match="no source is called midi"):
        Sources.for_split("train", ("midi",))


@needs_freedoom
def test_freedooms_songs_are_in_one_split_each(tmp_path):
    found = wads.songs(wads.installed(), tmp_path)
    families = [{rhythm.family for rhythm in found[split]} for split in SPLITS]
    assert not families[0] & families[1] and not families[0] & families[2] and not families[1] & families[2]
    assert all(len(found[split]) > 30 for split in SPLITS)
    rhythms = [rhythm for split in SPLITS for rhythm in found[split]]
    opened = [any(h.beat < 0.05 for h in r.hits) for r in rhythms]
    assert sum(opened) / len(opened) > 0.8  # bar lines are where the drums have them


def test_a_wad_that_is_cut_short_and_a_song_that_is_damaged_are_named(tmp_path):
    path = tmp_path / "freedoom1.wad"
    whole = wad(D_ONE=song())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"freedoom1\.wad: no whole WAD"):
        wads.songs([path], tmp_path / "kept")
    path.write_bytes(wad(D_ONE=song()[:30]))
    with pytest.raises(BadInput, match=r"freedoom1\.wad: its song D_ONE is damaged"):
        wads.songs([path], tmp_path / "kept")
