"""What the studio keeps: sounds that can be read, blends that were finished, and nothing outside its folder."""

from pathlib import Path

import numpy as np
import pytest

import sounds
from powermuse.studio.store import Store, new_id
from powermuse.types import BadInput


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kept")


def wav(tmp_path: Path, seconds: float = 1.0) -> bytes:
    return sounds.write(tmp_path / "made.wav", sounds.drums(seconds, 1)).read_bytes()


def test_a_sound_is_kept_under_a_name_of_its_own_and_is_there_for_the_next_studio(store, tmp_path):
    kept = store.add_sound("../../My loop.WAV", wav(tmp_path))
    assert kept.name == "My loop.WAV" and kept.seconds == pytest.approx(1.0)
    assert kept.path.parent == tmp_path / "kept/sounds" and kept.path.read_bytes() == wav(tmp_path)
    assert Store(tmp_path / "kept").sounds() == [kept] and store.sound(kept.id) == kept
    assert kept.told() == {"id": kept.id, "name": "My loop.WAV", "seconds": 1.0}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("page.html", b"<html>", "no kind of sound"),
        ("noise.wav", b"no sound at all", "noise.wav"),
        ("short.wav", 0.2, "lasts 0.2 s"),
    ],
)
def test_what_is_no_sound_is_refused_without_a_path_and_nothing_of_it_stays(store, tmp_path, name, content, said):
    content = content if isinstance(content, bytes) else wav(tmp_path, content)
    with pytest.raises(BadInput, match=said) as refused:
        store.add_sound(name, content)
    assert str(tmp_path) not in str(refused.value)
    assert list((tmp_path / "kept/sounds").iterdir()) == []


def test_a_sound_beyond_ten_minutes_or_a_hundred_megabytes_is_refused(store, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="101 MB; at most 100"):
        store.add_sound("large.wav", bytes(101_000_000))
    monkeypatch.setattr("powermuse.studio.store.LONGEST_S", 2.0)
    with pytest.raises(BadInput, match=r"lasts 3\.0 s; 0\.5 to 2 s"):
        store.add_sound("long.wav", wav(tmp_path, 3.0))


def test_a_sound_that_nothing_was_told_of_is_not_kept_for_ever(store, tmp_path):
    kept = store.add_sound("loop.wav", wav(tmp_path))
    orphan = tmp_path / f"kept/sounds/{new_id()}.webm"
    orphan.write_bytes(b"half of what was sent")
    assert Store(tmp_path / "kept").sounds() == [kept]
    assert kept.path.exists() and not orphan.exists()


def test_hours_of_sound_are_refused_before_they_are_read(store, tmp_path, monkeypatch):
    monkeypatch.setattr("powermuse.studio.store.LONGEST_S", 2.0)
    monkeypatch.setattr("powermuse.studio.store.files.read", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(BadInput, match=r"long\.wav: lasts 3\.0 s"):
        store.add_sound("long.wav", wav(tmp_path, 3.0))


def test_nothing_of_a_sound_stays_whatever_goes_wrong(store, tmp_path, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("powermuse.studio.store.files.read", fails)
    with pytest.raises(MemoryError):
        store.add_sound("loop.wav", wav(tmp_path))
    assert list((tmp_path / "kept/sounds").iterdir()) == []


def test_a_sound_that_is_put_away_is_gone_and_no_other(store, tmp_path):
    away, kept = (store.add_sound(f"{i}.wav", wav(tmp_path)) for i in range(2))
    store.drop_sound(away.id)
    assert store.sounds() == [kept] and len(list((tmp_path / "kept/sounds").iterdir())) == 2
    for ask in (store.sound, store.drop_sound):
        with pytest.raises(BadInput, match="no such sound any more"):
            ask(away.id)


def test_what_is_being_written_is_not_on_the_shelf(store, tmp_path):
    kept = store.add_sound("loop.wav", wav(tmp_path))
    (tmp_path / f"kept/sounds/.{new_id()}.0123456789ab.part.json").write_text("{")
    store.begin_blend(id_ := new_id())
    (tmp_path / f"kept/blends/.making-{id_}/asked.json").write_text("{")
    assert store.sounds() == [kept] and store.blends() == []


def test_one_that_is_damaged_hides_no_other(store, tmp_path, caplog):
    kept = store.add_sound("loop.wav", wav(tmp_path))
    store.begin_blend(whole := new_id())
    store.keep_blend(whole, {"seed": 1})
    for place in (f"sounds/{new_id()}.json", f"blends/{new_id()}/asked.json", f"blends/{new_id()}/asked.json"):
        (tmp_path / "kept" / place).parent.mkdir(exist_ok=True)
        (tmp_path / "kept" / place).write_text("{}" if place.startswith("sounds") else "")
    assert store.sounds() == [kept] and [one["id"] for one in store.blends()] == [whole]
    assert caplog.text.count("it is left out") == 3


@pytest.mark.parametrize("id_", ["", "..", "../../etc/passwd", "/etc/passwd", "0" * 15, "G" * 16, "0" * 16 + "\n"])
def test_no_path_comes_in_by_a_name(store, id_):
    for ask in (
        store.sound,
        store.drop_sound,
        store.begin_blend,
        store.drop_blend,
        lambda i: store.blend_file(i, "blend.wav"),
    ):
        with pytest.raises(BadInput, match="no name that was given here"):
            ask(id_)


def test_a_blend_is_there_when_it_is_kept_and_not_before(store, tmp_path):
    id_ = new_id()
    folder = store.begin_blend(id_)
    (folder / "blend.wav").write_bytes(b"sound")
    assert store.blends() == []
    with pytest.raises(BadInput, match="no such blend"):
        store.blend_file(id_, "blend.wav")
    store.keep_blend(id_, {"seed": 3})
    assert [(b["id"], b["seed"]) for b in store.blends()] == [(id_, 3)]
    assert store.blend_file(id_, "blend.wav").read_bytes() == b"sound"
    store.drop_blend(id_)
    assert store.blends() == [] and not (tmp_path / "kept/blends" / id_).exists()


def test_what_was_begun_when_the_studio_was_stopped_is_taken_away(store, tmp_path):
    store.begin_blend(new_id())
    Store(tmp_path / "kept")
    assert list((tmp_path / "kept/blends").iterdir()) == []


def test_the_last_one_comes_first(store, tmp_path):
    ids = [store.add_sound(f"{i}.wav", wav(tmp_path)).id for i in range(3)]
    assert [s.id for s in store.sounds()] == ids[::-1]
    assert np.isfinite([s.seconds for s in store.sounds()]).all()
