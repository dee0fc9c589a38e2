"""The studio asked over HTTP: what it gives, what it refuses, and who it answers."""

import io
import json
import re
import time
from typing import Any

import numpy as np
import pytest
import soundfile

import sounds
from powermuse.audio import clips
from powermuse.composing.composer import Composer
from powermuse.studio import work

WAITS_S = 120


def until(studio: Any, id_: str, *states: str) -> dict[str, Any]:
    end = time.monotonic() + WAITS_S
    while time.monotonic() < end:
        told: dict[str, Any] = studio.get(f"/api/jobs/{id_}").json()
        if told["state"] in states:
            return told
        time.sleep(0.02)
    raise AssertionError(f"{told} after {WAITS_S} s")


def sound(content: bytes) -> np.ndarray:
    wav, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    assert rate == 24_000
    return wav.T


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Work that goes on until it is let go, telling how far it is all the while."""
    state = {"go": False}

    def hold(self: Composer, groove: Any, harmony: Any, length: str, on_progress: Any, found: Any) -> Any:
        while not state["go"]:
            on_progress("compose", 1, 2)
            time.sleep(0.01)
        return compose(self, groove, harmony, length, on_progress, found)

    compose = Composer.compose
    monkeypatch.setattr(Composer, "compose", hold)
    return state


def test_from_two_sounds_to_a_blend_with_all_that_belongs_to_it(studio, pair, tmp_path):
    wish = {
        **pair,
        "seed": 5,
        "harmony": {**pair["harmony"], "begin_s": 0.5, "end_s": 4.75},
        "length": "harmony",
        "align": "off",
    }
    job = studio.post("/api/jobs", json=wish).json()
    assert until(studio, job["id"], "done", "failed") == {
        "id": job["id"], "state": "done", "what": "report", "share": 1.0, "trouble": "",
    }  # fmt: skip
    (blend,) = studio.get("/api/blends").json()
    assert (
        blend["id"] == job["id"]
        and blend["seed"] == 5
        and blend["names"] == {"groove": "drums.wav", "harmony": "chords.wav"}
    )
    assert blend["harmony"] == wish["harmony"] and blend["taken"]["plain_mix"]["copied"] > 0.9
    assert blend["played_as"] == ""  # masks have no orchestration
    folder = f"/api/blends/{job['id']}"
    assert sound(studio.get(f"{folder}/blend.wav").content).shape == (1, round(4.25 * 24_000))
    told = json.loads(studio.get(f"{folder}/blend.json").content)
    assert told["groove"]["file"] == "drums.wav" and told["seed"] == 5
    assert told["asked"]["harmony"] == {**wish["harmony"], "sound": "chords.wav"} and told["asked"]["align"] == "off"
    assert str(tmp_path) not in json.dumps([told, blend])
    assert studio.get(f"{folder}/blend.png").content.startswith(b"\x89PNG")
    levels = [
        clips.level_db(sound(studio.get(f"{folder}/heard/{n}.wav").content))
        for n in ("groove", "harmony", "mix", "blend")
    ]
    assert max(levels) - min(levels) < 1.0, "equally loud"
    assert studio.delete(folder).status_code == 200 and studio.get("/api/blends").json() == []
    refused = studio.get(f"{folder}/blend.wav")
    assert refused.status_code == 400 and "no such blend" in refused.json()["trouble"]


def test_the_same_wish_twice_is_the_same_sound(studio, pair):
    ids = [studio.post("/api/jobs", json=pair).json()["id"] for _ in range(2)]
    for id_ in ids:
        until(studio, id_, "done")
    assert len({studio.get(f"/api/blends/{id_}/blend.wav").content for id_ in ids}) == 1


def test_work_that_is_called_off_stops_and_leaves_nothing(studio, pair, held, tmp_path):
    first, second = (studio.post("/api/jobs", json=pair).json()["id"] for _ in range(2))
    told = until(studio, first, "running")
    assert studio.get(f"/api/jobs/{second}").json()["state"] == "waiting"
    assert 0.0 <= told["share"] < 1.0
    assert studio.delete(f"/api/jobs/{second}").json()["state"] == "cancelled"
    studio.delete(f"/api/jobs/{first}")
    until(studio, first, "cancelled")
    held["go"] = True
    third = studio.post("/api/jobs", json=pair).json()["id"]
    until(studio, third, "done")
    assert studio.get(f"/api/jobs/{second}").json()["state"] == "cancelled"
    assert [blend["id"] for blend in studio.get("/api/blends").json()] == [third]
    assert [p.name for p in (tmp_path / "kept/blends").iterdir()] == [third]


def test_a_queue_that_is_full_is_told(studio, pair, held):
    first = studio.post("/api/jobs", json=pair).json()["id"]
    until(studio, first, "running")
    answers = [studio.post("/api/jobs", json=pair) for _ in range(work.MOST_WAITING + 1)]
    assert [a.status_code for a in answers] == [200] * work.MOST_WAITING + [400]
    assert "waiting already" in answers[-1].json()["trouble"]


def test_a_part_that_is_silent_fails_with_the_name_of_the_sound_and_the_next_is_made(studio, pair, tmp_path):
    quiet = io.BytesIO()
    soundfile.write(
        quiet, np.r_[np.zeros(48_000), 0.5 * np.ones(24_000) * np.sin(np.arange(24_000))], 24_000, format="WAV"
    )
    id_ = studio.post("/api/sounds", files={"file": ("half.wav", quiet.getvalue())}).json()["id"]
    job = studio.post("/api/jobs", json={**pair, "groove": {"sound": id_, "end_s": 1.5}}).json()
    told = until(studio, job["id"], "failed", "done")
    assert told["state"] == "failed" and "half.wav" in told["trouble"] and "silent" in told["trouble"]
    assert str(tmp_path) not in told["trouble"]
    until(studio, studio.post("/api/jobs", json=pair).json()["id"], "done")


def test_a_fault_of_ours_is_told_as_one_and_the_studio_lives_on(studio, pair, monkeypatch, caplog, tmp_path):
    def fails(*_: Any) -> None:
        raise RuntimeError(f"{tmp_path}/secret")

    with monkeypatch.context() as patch:
        patch.setattr(Composer, "compose", fails)
        job = studio.post("/api/jobs", json=pair).json()
        told = until(studio, job["id"], "failed")
    assert told["trouble"] == "something went wrong inside; the terminal says what"
    assert "RuntimeError" in caplog.text
    until(studio, studio.post("/api/jobs", json=pair).json()["id"], "done")


def test_a_fault_in_telling_of_a_fault_does_not_end_the_studio(studio, pair, monkeypatch, tmp_path):
    def fails(*_: Any) -> None:
        raise OSError("the shelf is gone")

    silent = studio.post("/api/sounds", files={"file": ("silent.wav", _wav(np.zeros((1, 48_000))))}).json()["id"]
    assert str(tmp_path) not in studio.get(f"/api/sounds/{silent}/bars?begin_s=1.9").json()["trouble"]
    for part in ({"begin_s": 1.5, "end_s": 1.0}, {"begin_s": 1.9, "end_s": 99.0}):
        refused = studio.post("/api/jobs", json={**pair, "groove": {"sound": silent, **part}})
        assert refused.status_code == 400 and "is no part of 0.5 s or more" in refused.json()["trouble"]
    with monkeypatch.context() as patch:
        patch.setattr(work.Worker, "_without_paths", fails)
        job = studio.post("/api/jobs", json={**pair, "groove": {"sound": silent}}).json()
        assert until(studio, job["id"], "failed")["trouble"].startswith("something went wrong inside")
    until(studio, studio.post("/api/jobs", json=pair).json()["id"], "done")


def _wav(wav_CN: np.ndarray) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, wav_CN.T, 24_000, format="WAV")
    return content.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "/etc"}, "no model is called"),
        ({"groove": {"sound": "../../../etc/passwd"}}, "no name that was given here"),
        ({"groove": {"sound": "0" * 16}}, "no such sound"),
        ({"seed": -1}, "seed"),
        ({"sede": 1}, "sede"),
        ({"model": "factors", "sources": {"rythm": "groove"}}, "no factor rythm"),
        ({"model": "factors", "strengths": {"bogus": 1.0}}, "no factor bogus"),
        ({"length": "endless"}, "length"),
        ({"harmony": {"sound": "0" * 16, "begin_s": -1}}, "begin_s"),
        ({"model": "factors", "orchestration": "polka"}, "polka"),
        ({"model": "factors", "sources": {"rhythm": "nowhere"}}, "nowhere"),
        ({"model": "factors", "strengths": {"rhythm": 99.0}}, "from 0 to 3"),
        ({"model": "starter", "strengths": {"rhythm": 2.0}}, "only a model of factors"),
    ],
    ids=str,
)
def test_wishes_that_cannot_be_met_are_refused_at_once(studio, pair, change, said):
    refused = studio.post("/api/jobs", json={**pair, **change})
    assert refused.status_code == 400 and said in refused.json()["trouble"]


def test_a_file_that_is_no_sound_is_refused(studio):
    refused = studio.post("/api/sounds", files={"file": ("song.mp3", b"nothing")})
    assert refused.status_code == 400 and "song.mp3" in refused.json()["trouble"]
    assert studio.get("/api/sounds").json() == []


def test_a_sound_of_any_kind_comes_back_as_one_that_browsers_play(studio, brought):
    wav, rate = soundfile.read(io.BytesIO(brought["drums.wav"]))
    flac = io.BytesIO()
    soundfile.write(flac, wav, rate, format="FLAC")
    id_ = studio.post("/api/sounds", files={"file": ("loop.flac", flac.getvalue())}).json()["id"]
    answer = studio.get(f"/api/sounds/{id_}/audio")
    assert answer.headers["content-type"] == "audio/wav"
    assert sound(answer.content).shape[1] == pytest.approx(5 * 24_000, abs=2)


@pytest.mark.parametrize(
    "path", ["%2e%2e/asked.json", "asked.json", "..%2f..%2fsounds", "heard/%2e%2e/asked.json", "/etc/passwd"]
)
def test_nothing_else_of_a_blend_is_given_out(studio, pair, path):
    job = studio.post("/api/jobs", json=pair).json()
    until(studio, job["id"], "done")
    answer = studio.get(f"/api/blends/{job['id']}/{path}")
    assert answer.status_code in (400, 404, 405) and b"root:" not in answer.content


def test_the_page_and_all_that_it_needs_come_from_here(studio):
    page = studio.get("/")
    assert page.status_code == 200 and "default-src 'self'" in page.headers["content-security-policy"]
    for name in ("studio.js", "studio.css", "source.js", "vendor/wavesurfer.js", "vendor/LICENSE", "words/de.json"):
        assert studio.get(f"/page/{name}").status_code == 200, name
    assert studio.get("/page/%2e%2e/app.py").status_code == 404
    about = studio.get("/api/about").json()
    assert {m["name"] for m in about["models"]} >= {"factors", "starter"}
    assert "arpeggio" in next(m for m in about["models"] if m["name"] == "factors")["orchestrations"]


def test_every_language_has_every_word_and_no_other(studio):
    english = studio.get("/page/words/en.json").json()
    for language in ("de", "ar"):
        told = studio.get(f"/page/words/{language}.json").json()
        assert told.keys() == english.keys()
        for name, words in told.items():
            assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", english[name]))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost.evil.example:8765"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"host": "["}, 403),
        ({"transfer-encoding": "chunked"}, 411),
        ({"origin": "http://localhost:8765"}, 200),
        ({"host": "127.0.0.1:8765", "origin": "http://127.0.0.1:8765"}, 200),
        ({"content-length": "200000000"}, 413),
    ],
    ids=str,
)
def test_other_pages_and_other_names_are_not_answered(studio, headers, status):
    assert studio.get("/api/sounds", headers=headers).status_code == status


def test_a_sound_that_is_put_away_fails_what_waits_for_it_with_a_word(studio, pair, held):
    first, second = (studio.post("/api/jobs", json=pair).json()["id"] for _ in range(2))
    until(studio, first, "running")
    time.sleep(0.1)  # the first has read it by now, or reads it no more
    assert studio.delete(f"/api/sounds/{pair['groove']['sound']}").json() == {}
    held["go"] = True
    until(studio, first, "done", "failed")
    assert until(studio, second, "failed")["trouble"] == "there is no such sound any more; bring it again"
    assert studio.delete(f"/api/sounds/{pair['groove']['sound']}").status_code == 400


def test_of_what_is_over_the_last_pieces_are_remembered(studio, pair, monkeypatch):
    monkeypatch.setattr(work, "MOST_REMEMBERED", 2)
    worker = studio.app.state.worker
    ids = []
    for _ in range(4):
        ids.append(studio.post("/api/jobs", json=pair).json()["id"])
        studio.delete(f"/api/jobs/{ids[-1]}")
        until(studio, ids[-1], "cancelled", "done")
    assert list(worker.jobs) == ids[1:]
    assert studio.get(f"/api/jobs/{ids[0]}").status_code == 400


@pytest.fixture
def loops(studio):
    """Two sounds with clear bars, at 100 and at 120 beats a minute."""
    made = {"beat.wav": sounds.beat(9.6, 100.0), "strummed.wav": sounds.strummed(8.0, 120.0)}
    told = []
    for name, wav in made.items():
        content = io.BytesIO()
        soundfile.write(content, wav.T, 24_000, format="WAV")
        told.append(studio.post("/api/sounds", files={"file": (name, content.getvalue())}).json()["id"])
    return {"groove": {"sound": told[0]}, "harmony": {"sound": told[1]}, "model": "starter"}


def test_tempo_and_bars_of_a_sound_or_of_a_part_of_it_are_told(studio, loops):
    at = f"/api/sounds/{loops['groove']['sound']}/bars"
    whole, part = studio.get(at).json(), studio.get(f"{at}?begin_s=0.3&end_s=9").json()
    for told in (whole, part):
        assert told["sure"] and told["tempo_bpm"] in (pytest.approx(100.0, rel=0.01), pytest.approx(50.0, rel=0.01))
    assert part["downbeat_s"] % 0.6 == pytest.approx(0.3, abs=0.04)
    assert studio.get(f"{at}?begin_s=1&end_s=1.2").status_code == 400
    for bad in ("begin_s=-1", "begin_s=nan", "end_s=inf", "end_s=-5", "begin_s=4&end_s=2"):
        assert studio.get(f"{at}?{bad}").status_code == 400, bad


def test_a_blend_is_put_on_common_bars_and_says_so(studio, loops):
    job = studio.post("/api/jobs", json={**loops, "align": "110", "transpose": "-2"}).json()
    until(studio, job["id"], "done")
    (blend,) = studio.get("/api/blends").json()
    assert (blend["align"], blend["transpose"]) == ("110", "-2")
    assert blend["alignment"]["bars"]["tempo_bpm"] == 110.0
    assert blend["alignment"]["harmony"]["played"]["semitones"] == -2
    assert studio.post("/api/jobs", json={**loops, "align": "now"}).status_code == 400
