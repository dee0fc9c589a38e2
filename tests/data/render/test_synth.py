import numpy as np
import pytest

from data.render.small import needs_font, smallest, tune
from powermuse.data.render.score import Note, Part, Score
from powermuse.data.render.synth import RATE_HZ, Synth
from powermuse.types import BadInput

pytestmark = needs_font


@pytest.fixture(scope="module")
def synth() -> Synth:
    path = smallest()
    assert path is not None
    return Synth(path)


@pytest.mark.parametrize(("name", "program", "pitch"), [
    ("drums", 0, 36), ("drums", 0, 38), ("drums", 0, 42), ("lead", 0, 60), ("bass", 33, 40), ("lead", 80, 72),
])  # fmt: skip
@pytest.mark.parametrize("at_s", [0.5, 0.731234, 1.10007])
def test_a_note_begins_when_it_is_to_begin(synth, name, program, pitch, at_s):
    stem = synth.stems(tune((at_s, pitch), name=name, program=program, seconds=2.0))[0]
    loud = np.flatnonzero(np.abs(stem) > 0.01 * np.abs(stem).max())
    assert -0.0003 < loud[0] / RATE_HZ - at_s < 0.003  # the filter of the resampler rings a few samples ahead


@pytest.mark.parametrize("shift", [1, 7, 64, 1001])
def test_a_later_score_is_the_same_sound_later_to_the_sample(synth, shift):
    notes = [(0.25, 60), (0.4, 64), (0.4, 67), (0.83, 60)]
    now, later = (
        synth.stems(tune(*[(at_s + by / RATE_HZ, pitch) for at_s, pitch in notes], seconds=2.0))[0] for by in (0, shift)
    )
    # But for the last samples, where the resampler looks beyond the end of the clip.
    assert np.abs(now[:-shift] - later[shift:])[:-200].max() < 1e-6 * np.abs(now).max()


def test_the_same_score_gives_the_same_bits_whatever_was_played_before(synth):
    score = tune((0.1, 60), (0.5, 64), program=48, seconds=2.0)
    first = synth.stems(score)
    synth.stems(tune(*[(0.05 * k, 40 + k) for k in range(30)], program=19, seconds=1.0))
    assert first.dtype == np.float32
    assert first.tobytes() == synth.stems(score).tobytes()


def test_a_part_sounds_the_same_beside_others(synth):
    drums = tune((0.0, 36), (0.5, 38), name="drums", seconds=2.0).parts[0]
    lead = tune((0.25, 60), (0.75, 67), program=11, seconds=2.0).parts[0]
    together = synth.stems(Score(2.0, 120.0, (drums, lead), (), ()))
    alone = [synth.stems(Score(2.0, 120.0, (part,), (), ()))[0] for part in (drums, lead)]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    assert np.abs(together).max(axis=1).min() > 1e-3


def test_the_end_of_a_note_does_not_end_the_next_of_its_pitch(synth):
    def level(first_end_s: float) -> float:
        notes = (Note(0.0, first_end_s, 60, 100), Note(0.5, 1.5, 60, 100))
        stem = synth.stems(Score(2.0, 120.0, (Part("lead", 16, notes),), (), ()))[0]
        return float(np.abs(stem[round(1.2 * RATE_HZ) : round(1.4 * RATE_HZ)]).max())

    assert level(0.9) == pytest.approx(level(0.4), rel=0.05)


def test_a_note_ends_when_it_is_to_end_and_a_drum_rings_on(synth):
    organ = synth.stems(Score(2.0, 120.0, (Part("lead", 16, (Note(0.1, 0.6, 60, 100),)),), (), ()))[0]
    before, after = (np.abs(organ[round(a * RATE_HZ) :][: RATE_HZ // 10]).max() for a in (0.5, 1.2))
    assert before > 0.01 and after < 0.05 * before
    short, long = (
        synth.stems(Score(1.0, 120.0, (Part("drums", 0, (Note(0.1, end_s, 49, 100),)),), (), ()))[0]
        for end_s in (0.11, 0.6)
    )
    assert short.any() and np.array_equal(short, long)


def test_notes_beyond_the_clip_and_parts_without_any_are_silent(synth):
    score = Score(1.0, 120.0, (tune((2.0, 60)).parts[0], Part("pad", 89, ())), (), ())
    stems = synth.stems(score)
    assert stems.shape == (2, RATE_HZ) and not stems.any()


def test_what_is_no_soundfont_is_refused(tmp_path):
    (tmp_path / "no.sf2").write_bytes(b"RIFF nonsense")
    with pytest.raises(BadInput, match=r"no\.sf2: cannot be read as a soundfont"):
        Synth(tmp_path / "no.sf2")
