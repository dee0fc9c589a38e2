"""The whole score of a blend: names, the perfect case, chance, silence, and time."""

import time

import numpy as np
import pytest

import sounds
from powermuse.metrics import score
from powermuse.metrics.chords import Chords
from powermuse.metrics.truth import Notes

SECONDS = 16.0
NAMES = {
    "onset_env.groove", "onset_env.harmony", "onset_f1.groove", "onset_f1.groove.adjusted", "beat_f1.groove",
    "chords", "chords.majmin", "chords.root", "chords.relative", "chroma.truth", "chroma.harmony",
    "copy", "copy.excess", "copy.free", "copy.free.excess", "mel.truth", "notes.truth", "timbre.harmony",
    "level.ratio", "flux", "rolloff", "novelty",
    "proto.rhythm.groove", "proto.rhythm.harmony", "proto.balance", "proto.envelope.groove", "proto.envelope.harmony",
}  # fmt: skip


def _drums(seed: int) -> np.ndarray:
    return sounds.drums(SECONDS, seed)[0]


def _pads(seed: int) -> np.ndarray:
    return sounds.chords(SECONDS, seed)[0]


def _truth(groove_N: np.ndarray, harmony_N: np.ndarray) -> np.ndarray:
    """The harmony gated by the groove's loudness: new in its rhythm, B's in its notes."""
    level = np.convolve(np.abs(groove_N), np.ones(480) / 480, mode="same")
    return (harmony_N * level / level.max()).astype(np.float32)


SOURCES = score.Sources(_drums(0), _pads(0), (_truth(_drums(0), _pads(0)),), sounds.song(SECONDS, 7)[0])
PREPARED = score.prepare(SOURCES)


def _score(blend_N: np.ndarray) -> score.Score:
    return score.evaluate(score.Case(blend_N, SOURCES), PREPARED)


def test_the_names_are_stable_and_preparing_changes_nothing():
    found = _score(SOURCES.truths_N[0])
    assert set(found) == NAMES
    assert found == score.evaluate(score.Case(SOURCES.truths_N[0], SOURCES))


def test_the_truth_has_all_there_is_to_have():
    found = _score(SOURCES.truths_N[0])
    assert found["chroma.truth"] == pytest.approx(1.0) and found["mel.truth"] == 0.0
    assert found["copy.excess"] == found["copy.free.excess"] == 0.0
    assert found["onset_env.groove"] > 0.3 > abs(found["onset_env.harmony"])
    assert found["chords.root"] > 0.7


def test_the_sources_alone_have_what_is_theirs():
    groove, harmonic = _score(SOURCES.groove_N), _score(SOURCES.harmony_N)
    assert groove["onset_env.groove"] == groove["onset_f1.groove"] == pytest.approx(1.0)
    assert harmonic["chords"] == harmonic["timbre.harmony"] == harmonic["chroma.harmony"] == pytest.approx(1.0)
    assert groove["chords"] < 0.3 and harmonic["onset_env.groove"] < 0.2
    assert (groove["copy"], harmonic["copy"]) == pytest.approx((1.0, 1.0))


def test_a_stranger_has_nothing():
    found = _score(sounds.song(SECONDS, 9)[0])
    for name in ("onset_env.groove", "onset_f1.groove.adjusted", "copy"):
        assert found[name] == pytest.approx(0.0, abs=0.25), name
    assert found["chords"] < 0.4 and found["mel.truth"] > 0.5


def test_of_a_harmony_in_which_no_chord_is_heard_none_can_be_had():
    drums_N = np.random.default_rng(0).normal(0.0, 0.1, len(SOURCES.groove_N)).astype(np.float32)
    found = score.evaluate(score.Case(drums_N, score.Sources(SOURCES.groove_N, drums_N)))
    assert found["chords"] is found["chords.root"] is None


def test_silence_is_finite_everywhere():
    silence = np.zeros(len(SOURCES.groove_N), np.float32)
    for case in (
        score.Case(silence, SOURCES),
        score.Case(silence, score.Sources(silence, silence, (silence,), silence)),
    ):
        assert all(v is None or np.isfinite(v) for v in score.evaluate(case).values())


def test_what_is_known_is_scored_against():
    beats = np.arange(0.0, 16.0, 0.5)
    notes = Notes(np.array([1.0, 2.0]), np.array([60, 64]))
    known = Chords(np.array([[0.0, 16.0]]), ("F#:maj",))
    sources = SOURCES._replace(chords=known, beats_s=beats, truth_notes=(Notes(notes.onset_s, notes.pitch + 1), notes))
    found = score.evaluate(score.Case(SOURCES.groove_N, sources, notes, beats, known))
    assert found["chords"] == found["beat_f1.groove"] == found["notes.truth"] == 1.0
    onsets = SOURCES._replace(groove_onsets_s=np.array([3.0]))
    assert score.evaluate(score.Case(SOURCES.groove_N, onsets))["onset_f1.groove"] < 0.1
    stem = score.evaluate(score.Case(SOURCES.harmony_N, SOURCES._replace(chord_stem_N=SOURCES.harmony_N)))
    assert stem["chords.relative"] == pytest.approx(1.0)


def test_without_what_is_known_the_figures_are_none():
    found = score.evaluate(score.Case(SOURCES.groove_N, SOURCES._replace(truths_N=(), unrelated_N=None)))
    wanted = ("chroma.truth", "mel.truth", "notes.truth", "timbre.harmony", "copy.excess", "beat_f1.groove")
    assert [found[name] for name in wanted] == [None] * len(wanted)


def test_a_blend_takes_well_under_a_second():
    began = time.process_time()
    _score(SOURCES.truths_N[0])
    assert time.process_time() - began < 2.0  # .3 s on a free core of 2.8 GHz


def test_clips_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        score.prepare(SOURCES._replace(harmony_N=SOURCES.harmony_N[1:]))
    with pytest.raises(ValueError, match="the blend has"):
        _score(SOURCES.groove_N[1:])
