from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from powermuse.data import index, shards
from powermuse.data.pairs import PairSource, permuted
from powermuse.data.shards import Dataset, Header
from powermuse.types import BadInput, Pair

FRAMES = 1200


class Table(Dataset):
    """A data set of which only the table is real: what a pair is drawn from. One row is (song, file, start)."""

    def __init__(self, rows: list[tuple[int, int, float]]) -> None:
        self.folder, self.split = Path("music"), "train"
        self.header = Header("mdct", {}, 24_000, 320, 320, FRAMES)
        self.table = np.array(
            [(0, i, song, file, start, -20.0) for i, (song, file, start) in enumerate(rows)], shards.ROW
        )
        self.songs = len({song for song, _, _ in rows})
        self.in_a_row = index.has_neighbours(self.table, self.header.clip_s)


def songs(*clips: int) -> Table:
    """So many clips in a row of each song, each a file of its own."""
    return Table([(song, song, 16.0 * i) for song, count in enumerate(clips) for i in range(count)])


def source(data: Dataset, pairing: str = "shuffled", crop_frames: int = 48, seed: int = 42) -> PairSource:
    return PairSource(data, pairing, crop_frames, seed)  # type: ignore[arg-type]


def tensors(pair: Pair) -> list[torch.Tensor]:
    return [x for clip in pair if clip is not None for x in clip if x is not None]


# The keyed permutation


@given(length=st.integers(1, 3000), key=st.text(max_size=8))
@settings(max_examples=60)
def test_permuted_is_a_bijection_of_any_length(length, key):
    assert sorted(permuted(i, length, key) for i in range(length)) == list(range(length))


@given(length=st.integers(2, 2**62), key=st.text(max_size=8), data=st.data())
def test_permuted_stays_within_lengths_too_great_to_list_and_tells_positions_apart(length, key, data):
    a, b = data.draw(st.lists(st.integers(0, length - 1), min_size=2, max_size=2, unique=True))
    to_a, to_b = permuted(a, length, key), permuted(b, length, key)
    assert 0 <= to_a < length and 0 <= to_b < length and to_a != to_b


@pytest.mark.parametrize("length", [50, 64, 65, 1000])
def test_permutations_with_other_keys_are_other_permutations_without_order(length):
    orders = [[permuted(i, length, f"42/order/{epoch}") for i in range(length)] for epoch in range(20)]
    assert len({tuple(order) for order in orders}) == 20
    # Of a random permutation about one position stands still, whatever the length; 20 of them: 20 +- 4.5.
    assert sum(i == to for order in orders for i, to in enumerate(order)) < 20 + 4 * 4.5
    # And the mean correlation with the old order is 0 +- 1 / sqrt(20 n).
    correlation = np.mean([np.corrcoef(range(length), order)[0, 1] for order in orders])
    assert abs(correlation) < 4 / np.sqrt(20 * length)


# What every pairing keeps


@pytest.mark.parametrize("pairing", ["continuation", "shuffled", "unity"])
def test_each_epoch_visits_each_groove_once_in_an_order_of_its_own(pairing):
    pairs = source(songs(1000) if pairing == "continuation" else songs(500, 500), pairing)
    epochs = [[pairs.draw(epoch * 1000 + i).groove for i in range(1000)] for epoch in range(3)]
    if pairing == "continuation":  # the last clip of a file has no next one: the pair before it stands in
        assert all(Counter(epoch) == {**dict.fromkeys(range(999), 1), 998: 2} for epoch in epochs)
    else:
        assert all(sorted(epoch) == list(range(1000)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


@pytest.mark.parametrize("pairing", ["continuation", "shuffled", "unity"])
def test_pairs_are_a_pure_function_of_seen(dataset, pairing):
    asked = source(Dataset(dataset), pairing)
    together = asked.batch(0, 8)
    apart = [source(Dataset(dataset), pairing).batch(3, 5), asked.batch(0, 3)][::-1]
    for whole, first, second in zip(tensors(together), *map(tensors, apart), strict=True):
        assert torch.equal(whole, torch.cat([first, second]))


def test_another_seed_gives_other_pairs():
    one, other = (source(songs(50, 50), seed=seed) for seed in (1, 2))
    assert sum(one.draw(i) == other.draw(i) for i in range(100)) < 10


@pytest.mark.parametrize("pairing", ["continuation", "shuffled"])
def test_groove_and_harmony_are_the_drawn_crops_and_there_is_no_truth(dataset, pairing):
    data = Dataset(dataset)
    pairs = source(data, pairing)
    pair = pairs.batch(5, 6)
    assert pair.truth is None
    for i in range(6):
        draw = pairs.draw(5 + i)
        assert torch.equal(pair.groove.z_BDT[i], data.clips([draw.groove], draw.start, 48).z_BDT[0])
        assert torch.equal(pair.harmony.z_BDT[i], data.clips([draw.harmony], draw.start, 48).z_BDT[0])


def test_crops_begin_anywhere_that_leaves_room_and_a_whole_clip_begins_at_0():
    starts = [source(songs(50, 50), crop_frames=FRAMES - 3).draw(i).start for i in range(400)]
    assert set(starts) == {0, 1, 2, 3}
    assert min(Counter(starts).values()) > 100 - 4 * 9  # binomial: 100 +- 8.7
    assert source(songs(50, 50), crop_frames=FRAMES).draw(7).start == 0


# Each pairing


def test_shuffled_partners_are_always_of_another_song_and_every_song_gets_its_turn():
    data = songs(200, 3, 1, 40)
    song = data.table["song"]
    pairs = source(data)
    drawn = [pairs.draw(i) for i in range(3 * len(data))]
    assert all(song[d.groove] != song[d.harmony] for d in drawn)
    assert {int(song[d.harmony]) for d in drawn if song[d.groove] == 0} == {1, 2, 3}


def test_shuffled_partners_change_from_epoch_to_epoch():
    data = songs(20, 20)
    pairs = source(data)
    partners = [{d.groove: d.harmony for d in map(pairs.draw, range(e * 40, e * 40 + 40))} for e in (0, 1)]
    assert sum(partners[0][groove] == partners[1][groove] for groove in range(40)) < 12  # 2 are expected


def test_continuation_partners_are_the_next_window_of_the_same_file():
    data = songs(3, 1, 2, 4)
    pairs = source(data, "continuation")
    for i in range(3 * len(data)):
        groove, harmony = (data.table[row] for row in pairs.draw(i)[:2])
        assert groove["file"] == harmony["file"]
        assert harmony["start_s"] - groove["start_s"] == 16.0


def test_continuation_does_not_cross_a_dropped_silence_nor_join_two_takes_of_a_song():
    data = Table([(0, 0, 0.0), (0, 0, 32.0), (0, 1, 48.0), (0, 1, 64.0)])
    pairs = source(data, "continuation")
    assert {pairs.draw(i)[:2] for i in range(12)} == {(2, 3)}


def test_unity_has_the_groove_as_harmony_and_as_truth(dataset):
    pair = source(Dataset(dataset), "unity").batch(0, 4)
    assert pair.truth is not None
    for a, b, c in zip(pair.groove[:4], pair.harmony[:4], pair.truth[:4], strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


# What cannot be paired


@pytest.mark.parametrize(
    ("data", "pairing", "crop_frames", "hint"),
    [
        (songs(), "shuffled", 48, "the train split is empty; prepare more songs"),
        (songs(5), "shuffled", 48, "holds one song; prepare more songs, or use data.pairing=continuation"),
        (
            songs(1, 1, 1),
            "continuation",
            48,
            "no two clips in a row; prepare longer songs, or more for data.pairing=shuffled",
        ),
        (songs(2, 2), "shuffled", FRAMES + 1, "clips of 1200 frames; data.crop_frames 1201 is longer"),
    ],
)
def test_impossible_pairings_are_refused_with_a_hint(data, pairing, crop_frames, hint):
    with pytest.raises(BadInput, match=hint):
        source(data, pairing, crop_frames)


def test_two_clips_in_a_row_are_found_however_late_they_come():
    data = songs(*[1] * 5000, 2)
    assert source(data, "continuation").draw(0)[:2] == (5000, 5001)
