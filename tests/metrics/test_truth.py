"""Distance to the truth: mel, and notes against mir_eval."""

from itertools import pairwise

import numpy as np
import pytest

import sounds
from powermuse.metrics import truth
from powermuse.metrics.truth import Notes

SONG, OTHER = sounds.song(8.0, 0)[0], sounds.song(8.0, 1)[0]


def _notes(random: np.random.Generator, count: int = 40) -> Notes:
    return Notes(random.uniform(0, 4, count), random.integers(60, 66, count))


def test_the_truth_is_at_0_whatever_its_level():
    assert truth.mel_distance(truth.log_mel(0.05 * SONG), truth.log_mel(SONG)) == pytest.approx(0.0, abs=1e-3)


def test_ten_decibels_are_one_bel():
    # Everything above 3 kHz of noise lowered by 20 dB, the level hardly changed by it: 2 bels in the bands above.
    noise = np.random.default_rng(0).standard_normal(96_000)
    spectrum, hz = np.fft.rfft(noise), np.fft.rfftfreq(96_000, 1 / 24_000)
    low, both = (np.fft.irfft(spectrum * np.where(hz < 3000, 1.0, gain), 96_000) for gain in (1e-2, 1e-1))
    apart = np.abs(truth.log_mel(0.3 * both) - truth.log_mel(0.3 * low)).mean(axis=1)
    assert apart[-10:] == pytest.approx(np.full(10, 2.0), abs=0.2)


def test_it_falls_as_the_truth_grows_in_the_blend_and_the_nearest_counts():
    right, shares = truth.log_mel(SONG), np.linspace(0.0, 1.0, 6)
    scores = [truth.evaluate(truth.log_mel(s * SONG + (1 - s) * OTHER), [right]) for s in shares]
    assert all(later < earlier for earlier, later in pairwise(scores))
    assert truth.evaluate(right, [truth.log_mel(OTHER), right]) == 0.0
    assert truth.evaluate(right, []) is None


def test_silence_is_finite_and_two_lengths_are_refused():
    silence = truth.log_mel(np.zeros(len(SONG), np.float32))
    assert (silence == 0).all()
    assert 0 < truth.mel_distance(silence, truth.log_mel(SONG)) < 6
    with pytest.raises(ValueError, match="one length"):
        truth.mel_distance(silence[:, 1:], silence)


def test_notes_are_mir_evals():
    theirs = pytest.importorskip("mir_eval").transcription
    for seed in range(30):
        reference, estimated = _notes(np.random.default_rng(2 * seed)), _notes(np.random.default_rng(2 * seed + 1), 30)
        spans = [np.stack([n.onset_s, n.onset_s + 0.1], axis=1) for n in (reference, estimated)]
        hz = [440 * 2 ** ((n.pitch - 69) / 12) for n in (reference, estimated)]
        wanted = theirs.precision_recall_f1_overlap(spans[0], hz[0], spans[1], hz[1], offset_ratio=None)[2]
        assert truth.note_f_measure(reference, estimated) == pytest.approx(wanted)


def test_note_agreement_slides_to_1_and_is_0_for_other_pitches():
    reference = _notes(np.random.default_rng(0), 50)
    moved = [Notes(reference.onset_s, reference.pitch + 20 * (np.arange(50) >= k)) for k in range(0, 51, 10)]
    assert [truth.note_f_measure(reference, m) for m in moved] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert truth.note_f_measure(reference, Notes(np.zeros(0), np.zeros(0))) == 0.0
    with pytest.raises(ValueError, match="pitches"):
        truth.note_f_measure(reference, Notes(np.zeros(2), np.zeros(3)))
