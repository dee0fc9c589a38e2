import numpy as np
import pytest
import torch

from powermuse.data import rolls, triplets
from powermuse.data.made_up import make_up_triplets
from powermuse.data.render.score import Note, Part, Score
from powermuse.data.rolls import roll
from powermuse.data.triplets import Triplets
from powermuse.recipe import Choice

FRAMES = 120


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    made = tmp_path_factory.mktemp("made") / "set"
    make_up_triplets(made, Choice("mel"), FRAMES, count=3, first=5)
    return Triplets(made, first=5)


def notes(*told: tuple[float, float, int]) -> np.ndarray:
    return np.array([(a, b, pitch, 90, 0) for a, b, pitch in told], dtype=np.float64).reshape(-1, 5)


def on(roll_QT: np.ndarray, pitch: int) -> list[int]:
    return np.flatnonzero(roll_QT[pitch - 21]).tolist()


def test_a_note_sounds_from_the_frame_it_begins_in_to_the_one_it_ends_in():
    roll_QT = roll(notes((0.1, 0.2, 60), (2 / 75, 4 / 75, 21), (5.5 / 75, 6.5 / 75, 108)), 0, 30)
    assert roll_QT.shape == (88, 30) and roll_QT.dtype == np.float32
    assert on(roll_QT, 60) == list(range(7, 15)) and on(roll_QT, 21) == [2, 3] and on(roll_QT, 108) == [5, 6]
    assert set(np.unique(roll_QT)) == {0.0, 1.0, 2.0}
    assert np.argwhere(roll_QT == 2.0).tolist() == [[0, 2], [39, 7], [87, 5]], "where each is struck"


def test_times_on_a_border_are_where_they_were_whatever_float32_made_of_them():
    for frame in range(1200):
        told = np.float32([frame / 75, (frame + 2) / 75]).astype(np.float64)
        assert on(roll(notes((*told, 60)), 0, 1202), 60) == [frame, frame + 1]


def test_a_note_takes_a_frame_at_least_and_notes_of_one_pitch_may_overlap():
    roll_QT = roll(notes((0.1, 0.1, 60), (0.2, 0.3, 64), (0.25, 0.4, 64), (0.22, 0.23, 64)), 0, 75)
    assert on(roll_QT, 60) == [7] and on(roll_QT, 64) == list(range(15, 30))
    assert np.flatnonzero(roll_QT[64 - 21] == 2.0).tolist() == [15, 16, 18], "each is struck, also while another sounds"


def test_what_lies_outside_leaves_no_trace():
    outside = notes((0, 0.9, 60), (2, 3, 60), (1, 2, 20), (1, 2, 109), (-1, 0, 50))
    assert roll(outside, 75, 75).sum() == 0 and roll(notes(), 0, 10).sum() == 0
    held_QT = roll(notes((0.5, 9, 60)), 75, 50)
    assert on(held_QT, 60) == list(range(50)) and held_QT.max() == 1.0, "it was struck before"


def test_a_stretch_is_that_of_the_whole():
    chance = np.random.default_rng(0)
    begin = chance.uniform(0, 16, 200)
    many = np.stack([begin, begin + chance.exponential(0.5, 200), chance.integers(15, 115, 200), begin, begin], axis=1)
    whole_QT = roll(many, 0, 1200)
    assert 0.01 < (whole_QT > 0).mean() < 0.2
    for start in (0, 1, 500, 900):
        assert np.array_equal(roll(many, start, 300), whole_QT[:, start : start + 300])


def test_the_notes_of_a_clip_are_those_of_its_score_without_drums(data):
    score = data.score(6, "truth.0")
    played = [note for part in score.parts if not part.is_drums for note in part.notes]
    assert len(played) < sum(len(part.notes) for part in score.parts)
    assert data.pitched(6, "truth.0")[:, :3].tolist() == [list(note[:3]) for note in played]
    crops_BQT = rolls.crops(data, [6, 5], ["truth.0", "harmony"], [0, 40], 48)
    assert crops_BQT.shape == (2, 88, 48) and crops_BQT.dtype == torch.float32
    # A bass note, E2, of .2 s each half second; the kick beside it, 36, is a drum.
    assert crops_BQT.sum(dim=2).nonzero()[:, 1].tolist() == [40 - 21] * 2
    assert on(crops_BQT[0].numpy(), 40) == [*range(15), *range(37, 48)]
    assert on(crops_BQT[1].numpy(), 40) == [*range(13), *range(35, 48)]


def test_drums_are_known_by_name_wherever_they_stand(tmp_path):
    score = Score(1.0, 120.0, (Part("lead", 0, (Note(0, 1, 50, 9),)), Part("drums", 0, (Note(0, 1, 36, 9),))), (), ())
    known = triplets.knowledge("00000/truth.0", score)
    make_up_triplets(tmp_path / "set", Choice("mel"), FRAMES, count=1)
    part, path = triplets.Shard(0, 1), tmp_path / "set/train/00000-00001.safetensors"
    triplets.write_shard(path, part, [triplets.Rendered(known, {}, {"truth.0": triplets.facts(score)})])
    assert Triplets(tmp_path / "set").pitched(0, "truth.0")[:, 2].tolist() == [50.0]
