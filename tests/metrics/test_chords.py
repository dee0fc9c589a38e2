"""Chords: the reader on planted songs, accuracy against mir_eval."""

from itertools import pairwise

import numpy as np
import pytest

from powermuse.audio import pitches
from powermuse.metrics import chords
from powermuse.metrics.chords import Chords

RATE_HZ = 24_000
LABELS = ["C:maj", "F#:min7", "Bb:7", "E:sus4", "B:dim", "N", "X", "A:min", "Db:maj7", "G:hdim7", "D:5", "F:aug"]
EDGES_S = np.array([0.0, 4.0, 7.0, 9.0, 12.5, 16.0])
SONG = Chords(np.stack([EDGES_S[:-1], EDGES_S[1:]], axis=1), ("C:maj", "A:min", "F:maj7", "E:min", "G:7"))


def tones(song: Chords, cents: float = 0.0) -> np.ndarray:
    """Every chord as tones of six overtones, its root in the bass."""
    wav = np.zeros(round(song.intervals_s[-1, 1] * RATE_HZ))
    for (start, end), label in zip(song.intervals_s, song.labels, strict=True):
        root = chords.meaning(label).root
        steps = chords.QUALITIES[label.split(":")[1]] if root >= 0 else ()
        time_s = np.arange(round((end - start) * RATE_HZ)) / RATE_HZ
        keys = [36 + root, *(48 + root + step for step in steps)] if steps else []
        hz = [440 * 2 ** ((key - 69 + cents / 100) / 12) for key in keys]
        sound = sum((np.sin(2 * np.pi * f * h * time_s) / h for f in hz for h in range(1, 7)), np.zeros(len(time_s)))
        wav[round(start * RATE_HZ) :][: len(time_s)] = 0.05 * sound
    return wav.astype(np.float32)


def _random(random: np.random.Generator) -> Chords:
    edges = np.sort(np.r_[0.0, random.uniform(0.0, 16.0, 9), 16.0])
    return Chords(np.stack([edges[:-1], edges[1:]], axis=1), tuple(random.choice(LABELS, 10)))


def test_a_song_is_read_right_to_a_fifth_of_a_second_at_each_change():
    found = chords.evaluate(SONG, chords.read(tones(SONG)))
    assert min(found) > 1 - 4 * 0.2 / 16


@pytest.mark.parametrize("cents", [-40, -15, 30])
def test_tuning_does_not_matter(cents):
    assert chords.evaluate(SONG, chords.read(tones(SONG, cents))).triads > 0.93


def test_every_root_and_shape_is_read():
    for shape in ("maj", "min", "dim", "sus4"):
        song = Chords(
            np.stack([np.arange(12), np.arange(12) + 1.0], axis=1), tuple(f"{n}:{shape}" for n in chords.PITCH_NAMES)
        )
        found = chords.evaluate(song, chords.read(tones(song)))
        assert found.root > 0.8 and (found.triads > 0.8 or shape == "dim"), (shape, found)


def test_drums_do_not_hide_the_chords():
    random = np.random.default_rng(0)
    strokes = np.zeros(16 * RATE_HZ)
    for at in range(0, 16 * RATE_HZ, 6000):
        strokes[at : at + 2400] = random.standard_normal(2400) * np.exp(-np.arange(2400) / 400)
    assert chords.evaluate(SONG, chords.read(tones(SONG) + 0.3 * strokes.astype(np.float32))).triads > 0.9


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_silence_and_noise_have_no_chord(gain):
    noise = gain * np.random.default_rng(0).standard_normal(8 * RATE_HZ).astype(np.float32)
    whole = Chords(np.array([[0.0, 8.0]]), ("N",))
    assert chords.evaluate(whole, chords.read(noise)).root > (0.999 if gain == 0 else 0.5)


def test_what_is_read_covers_the_clip_without_a_gap():
    found = chords.read(tones(SONG)[: 10 * RATE_HZ + 123])
    chords.validate(found)
    assert found.intervals_s[0, 0] == 0.0 and found.intervals_s[-1, 1] == pytest.approx(10 + 123 / RATE_HZ)
    assert (found.intervals_s[1:, 0] == found.intervals_s[:-1, 1]).all()


@pytest.mark.filterwarnings("ignore")
def test_accuracy_is_mir_evals():
    theirs = pytest.importorskip("mir_eval").chord
    for seed in range(40):
        reference, estimated = _random(np.random.default_rng(2 * seed)), _random(np.random.default_rng(2 * seed + 1))
        wanted = theirs.evaluate(
            reference.intervals_s, list(reference.labels), estimated.intervals_s, list(estimated.labels)
        )
        found = chords.evaluate(reference, estimated)
        for name in ("triads", "majmin", "root"):
            assert getattr(found, name) == pytest.approx(wanted[name], abs=1e-9), (seed, name)


@pytest.mark.parametrize("label", ["C", "C:maj(9)/3", "Gb:min/b3", "A:13", "D:minmaj7", "E:sus2", "F:dim7", "B#:maj"])
def test_triads_of_labels_are_mir_evals(label):
    theirs = pytest.importorskip("mir_eval").chord
    root, bitmap, _ = theirs.encode(label)
    found = chords.meaning(label)
    assert found.root == root
    assert [int(k in found.triad) for k in range(8)] == bitmap[:8].tolist()


def test_accuracy_slides_from_0_to_1():
    wrong = ("F#:maj", "D#:min", "B:maj", "Bb:min", "C#:maj")
    scores = []
    for cut in np.linspace(0.0, 16.0, 9):
        at = np.concatenate([np.minimum(SONG.intervals_s, cut), np.maximum(SONG.intervals_s, cut)])
        keep = at[:, 1] > at[:, 0]
        labels = tuple(label for label, ok in zip((*SONG.labels, *wrong), keep, strict=True) if ok)
        scores.append(chords.evaluate(SONG, Chords(at[keep], labels)))
    for values in zip(*scores, strict=True):
        assert values[0] == 0.0 and values[-1] == pytest.approx(1.0)
        assert all(later > earlier for earlier, later in pairwise(values))


def test_where_no_reference_chord_can_be_judged_nothing_is_said():
    unknown = Chords(np.array([[0.0, 1.0]]), ("X",))
    assert chords.evaluate(unknown, SONG) == (None, None, None)
    assert chords.evaluate(Chords(unknown.intervals_s, ("B:dim",)), SONG).majmin is None


def test_that_neither_has_a_chord_is_no_agreement_where_it_was_only_read():
    read = Chords(np.array([[0.0, 2.0], [2.0, 3.0]]), ("N", "C:maj"))
    silent, right = Chords(np.array([[0.0, 3.0]]), ("N",)), Chords(np.array([[0.0, 3.0]]), ("C:maj",))
    assert (
        chords.evaluate(chords.sounding(read), silent).triads == 0.0
        and chords.evaluate(chords.sounding(read), right).triads == 1.0
    )
    assert chords.evaluate(chords.sounding(silent), silent) == (None, None, None)
    assert chords.evaluate(read, silent).triads == pytest.approx(2 / 3), "in a score N is known"


def test_relative_accuracy_is_a_share_of_what_the_reader_can():
    assert chords.relative(0.4, 0.8) == 0.5
    assert chords.relative(0.4, 0.1) is chords.relative(None, 0.8) is chords.relative(0.4, None) is None


@pytest.mark.parametrize("label", ["H:maj", "C:major", "c:maj", "", "C maj"])
def test_what_is_not_a_chord_is_refused(label):
    with pytest.raises(ValueError, match="not a chord label"):
        chords.meaning(label)


@pytest.mark.parametrize(
    "bad",
    [
        Chords(np.array([[1.0, 0.0]]), ("N",)),
        Chords(np.array([[0.0, 2.0], [1.0, 3.0]]), ("N", "N")),
        Chords(np.zeros((0, 2)), ()),
    ],
)
def test_broken_intervals_are_refused(bad):
    with pytest.raises(ValueError, match="intervals"):
        chords.evaluate(SONG, bad)


def test_a_note_is_strongest_at_its_own_pitch():
    for pitch in (40, 57, 69, 84):
        time_s = np.arange(2 * RATE_HZ) / RATE_HZ
        hz = 440 * 2 ** ((pitch - 69) / 12)
        wav = sum(0.1 * np.sin(2 * np.pi * hz * h * time_s) / h for h in range(1, 8))
        strength_QT = pitches.strengths(wav.astype(np.float32))
        assert (strength_QT[:, 5:-5].argmax(axis=0) == pitch - pitches.LOW_PITCH).mean() > 0.95


def test_note_strengths_do_not_see_level_and_are_0_in_silence():
    wav = tones(SONG)[: 4 * RATE_HZ]
    assert pitches.strengths(0.1 * wav) == pytest.approx(0.1**0.3 * pitches.strengths(wav), rel=0.05, abs=1e-4)
    assert (pitches.strengths(np.zeros(RATE_HZ, np.float32)) == 0).all()
    with pytest.raises(ValueError, match="mono"):
        pitches.strengths(np.zeros((1, RATE_HZ)))
