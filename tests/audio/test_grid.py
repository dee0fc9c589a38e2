"""The grid of a pulse: its tempo, its bars, and how sure that is."""

import numpy as np
import pytest

from bars_of_rock import groove
from powermuse.audio import align, barnet, beatnet, grid
from powermuse.audio.align import Heard
from powermuse.audio.beatnet import Pulse
from powermuse.audio.clock import FRAME_RATE_HZ

FRAMES = 900
ANY_TEMPO = np.full(beatnet.BINS, 1 / beatnet.BINS)
KEYS = np.full((12, 2), 1 / 24)


def pulse(tempo_bpm: float, beats: int = 4, first_s: float = 0.0, noise: float = 0.0, seed: int = 0) -> Pulse:
    """What a net that hears everything would say of equal beats, with noise over it."""
    random = np.random.default_rng(seed)
    beat_T, down_T = (noise * random.random(FRAMES) for _ in range(2))
    for k in range(int((FRAMES / FRAME_RATE_HZ - first_s) * tempo_bpm / 60.0) + 1):
        frame = int((first_s + k * 60.0 / tempo_bpm) * FRAME_RATE_HZ + 1e-6)
        if frame < FRAMES:
            beat_T[frame] = 0.9
            down_T[frame] = 0.8 if k % beats == 0 else down_T[frame]
    return Pulse(beat_T, down_T, ANY_TEMPO, KEYS)


@pytest.mark.parametrize("tempo_bpm", [48.0, 73.3, 100.0, 128.0, 171.7, 212.0])
@pytest.mark.parametrize("beats", [3, 4])
def test_the_tempo_and_the_bars_of_equal_beats_are_found(tempo_bpm, beats):
    found = grid.find(pulse(tempo_bpm, beats, first_s=0.21))
    assert found.tempo_bpm == pytest.approx(tempo_bpm, rel=0.005)
    assert found.beats_per_bar == beats
    assert found.downbeat_s == pytest.approx(0.21, abs=0.03)
    assert found.confidence > 0.8


def test_beats_are_counted_as_the_whole_clip_suggests_and_bars_begin_where_they_began():
    """All of 160 beats a minute are heard, and the clip sounds like 80."""
    heard = pulse(160.0, 4, first_s=0.6)
    distance_S = np.abs(np.log2(beatnet.tempi_bpm() / 80.0))
    likely_S = np.where(distance_S < 0.03, 0.9, np.where(np.abs(distance_S - 1.0) < 0.03, 0.05, 1e-4))
    found = grid.find(heard._replace(tempo_S=likely_S / likely_S.sum()))
    assert found.tempo_bpm == pytest.approx(80.0, rel=0.005)
    assert found.downbeat_s == pytest.approx(0.6, abs=0.03)
    assert grid.find(heard).tempo_bpm == pytest.approx(160.0, rel=0.005)


def test_beats_before_the_first_bar_are_an_upbeat():
    """Two beats, then bars of three: the first downbeat is the third beat."""
    beats = pulse(120.0, 3, first_s=1.0)
    beat_T = np.maximum(beats.beat_T, pulse(120.0, 3, first_s=0.0).beat_T)
    found = grid.find(Pulse(beat_T, beats.downbeat_T, ANY_TEMPO, KEYS))
    assert found.downbeat_s == pytest.approx(1.0, abs=0.03)


def test_a_clip_that_begins_a_moment_after_its_downbeat_begins_with_it():
    """As of a loop whose first stroke is cut a frame late."""
    late = pulse(100.0, 4, first_s=2.4 - 0.02)  # from the second bar on; the first has nothing to be heard
    assert grid.find(late).downbeat_s == pytest.approx(0.0, abs=0.01)


def test_where_both_halves_of_a_bar_sound_alike_a_clip_begins_with_a_bar():
    halves = pulse(100.0, 2)
    assert grid.find(halves).downbeat_s == pytest.approx(0.0, abs=0.01)
    assert grid.find(halves).beats_per_bar == 4


def test_noise_over_the_beats_costs_confidence_first_and_then_the_tempo():
    clear, noisy = grid.find(pulse(110.0)), grid.find(pulse(110.0, noise=0.3))
    assert noisy.tempo_bpm == pytest.approx(110.0, rel=0.02)
    assert noisy.confidence < clear.confidence - 0.15


def test_a_clip_of_whole_bars_is_a_loop_that_begins_with_one():
    """Beats that seem a little slow, downbeats that seem to be on three: 12 s at 100 are five bars."""
    found, all_of_it = pulse(99.7, 4, first_s=1.2), pulse(99.7, 4)
    heard = Pulse(np.maximum(found.beat_T, all_of_it.beat_T), found.downbeat_T, ANY_TEMPO, KEYS)
    assert grid.find(heard).downbeat_s == pytest.approx(1.2, abs=0.03)
    loop = grid.find(heard, 12.0)
    assert (loop.tempo_bpm, loop.downbeat_s, loop.beats_per_bar) == (pytest.approx(100.0), 0.0, 4)
    assert grid.find(heard, 11.7).tempo_bpm == pytest.approx(99.7, rel=0.001), "no whole number of beats"


@pytest.mark.parametrize("tempo_bpm", [60.0, 90.0])
def test_a_slow_waltz_is_not_counted_in_bars_of_one_and_a_half_beats(tempo_bpm):
    slow, quick = pulse(tempo_bpm, 3), pulse(2.0 * tempo_bpm, 6)
    found = grid.find(slow._replace(beat_T=np.maximum(slow.beat_T, 0.8 * quick.beat_T)))
    assert found.bar_s == pytest.approx(180.0 / tempo_bpm, rel=0.01)


def test_a_loop_of_three_bars_of_four_is_not_counted_in_bars_of_three():
    """120 beats a minute of which every second one is faint; the whole clip sounds like 60 rather."""
    slow, quick = pulse(60.0), pulse(120.0, 4)
    away_S, other_S = (np.abs(np.log2(beatnet.tempi_bpm() / bpm)) for bpm in (60.0, 120.0))
    likely_S = np.where(away_S < 0.03, 0.6, np.where(other_S < 0.03, 0.3, 1e-3))
    beat_T = np.maximum(slow.beat_T, 0.67 * quick.beat_T)[:450]
    found = grid.find(Pulse(beat_T, quick.downbeat_T[:450], likely_S / likely_S.sum(), KEYS), 6.0)
    assert (found.tempo_bpm, found.beats_per_bar) == (pytest.approx(120.0), 4)


@pytest.mark.parametrize(
    ("tempo_bpm", "wanted_bpm", "begins_s"),
    [(64.0, 128.0, 0.0), (130.0, 130.0, 0.0)],
    ids=["two slow beats are a bar", "two fast ones are half of one"],
)
def test_a_loop_of_two_beats_is_a_bar_of_four_or_half_of_one(tempo_bpm, wanted_bpm, begins_s):
    """The second beat seems to be the downbeat."""
    heard, seconds = pulse(tempo_bpm, 4, first_s=0.0), 120.0 / tempo_bpm
    late = pulse(tempo_bpm, 4, first_s=60.0 / tempo_bpm)
    frames = round(seconds * FRAME_RATE_HZ)
    loop = grid.find(Pulse(heard.beat_T[:frames], late.downbeat_T[:frames], ANY_TEMPO, KEYS), seconds)
    assert loop.tempo_bpm == pytest.approx(wanted_bpm, rel=1e-6)
    assert (loop.downbeat_s, loop.beats_per_bar) == (begins_s, 4)
    whole = align.turned(Heard(loop, 0, "major", 1.0), seconds, loop.tempo_bpm, 4)
    assert whole.bars * loop.bar_s / whole.times == pytest.approx(seconds), "nothing is cut off, nothing is silent"


@pytest.mark.parametrize("early_frames", [-2, -1, 1, 2])
def test_a_loop_whose_beats_are_all_heard_a_moment_early_or_late_is_one(early_frames):
    beats = pulse(150.0, 4)
    heard = Pulse(*(np.roll(x_T[:480], -early_frames) for x_T in (beats.beat_T, beats.downbeat_T)), ANY_TEMPO, KEYS)
    loop = grid.find(heard, 6.4)
    assert (loop.tempo_bpm, loop.downbeat_s) == (pytest.approx(150.0, rel=1e-6), 0.0)


def test_a_long_loop_is_one_by_its_beginning_and_its_length():
    """Of 64 bars of four at 99.95 the first are heard, as at 100: the length tells."""
    beginning = pulse(100.0, 4)
    loop = grid.find(beginning, 64 * 240.0 / 99.98)
    assert loop.tempo_bpm == pytest.approx(99.98, rel=1e-6)
    assert grid.find(beginning, 64 * 240.0 / 99.98 + 0.25).tempo_bpm == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize(("late_s", "wanted_bpm"), [(0.0, 99.98), (0.02, 99.98), (0.3, 100.0)])
def test_a_long_clip_is_a_loop_where_its_end_is_on_its_beats_too(late_s, wanted_bpm):
    seconds = 64 * 240.0 / 99.98
    first_s = -(seconds - FRAMES / FRAME_RATE_HZ) % (60.0 / 99.98) + late_s
    found = grid.find(pulse(100.0, 4), seconds, ending=pulse(99.98, 4, first_s=first_s))
    assert found.tempo_bpm == pytest.approx(wanted_bpm, rel=1e-3)
    assert (abs(found.tempo_bpm - 99.98) < 1e-4) == (late_s < 0.1)


def test_a_bar_of_four_is_one_though_its_back_beats_are_heard_alone():
    """Two beats of 64 a minute, the first of them on two: of the four of 128 every second is heard faintly."""
    back, all_four = pulse(64.0, first_s=60.0 / 128.0), pulse(128.0)
    beat_T = np.maximum(back.beat_T, 0.4 * all_four.beat_T)[:141]
    loop = grid.find(Pulse(beat_T, back.downbeat_T[:141], ANY_TEMPO, KEYS), 120.0 / 64.0)
    assert loop.tempo_bpm == pytest.approx(128.0, rel=0.01)
    assert (loop.downbeat_s, loop.beats_per_bar) == (0.0, 4)


def test_a_stroke_heard_a_moment_before_the_end_of_a_loop_is_its_first():
    """A bar of four at 128, of whose beats the first is heard best, and at the very end."""
    beat_T, downbeat_T = np.zeros(141), np.zeros(141)
    beat_T[[35, 70, 105]], beat_T[140], downbeat_T[140] = 0.4, 0.95, 0.5
    loop = grid.find(Pulse(beat_T, downbeat_T, ANY_TEMPO, KEYS), 60.0 / 32.0)
    assert loop.tempo_bpm == pytest.approx(128.0, rel=1e-6)
    assert (loop.downbeat_s, loop.beats_per_bar) == (0.0, 4)


@pytest.mark.parametrize(("slow", "wanted_bpm"), [(True, 60.0), (False, 120.0)])
def test_of_two_levels_that_beats_allow_the_whole_of_the_clip_decides(slow, wanted_bpm):
    """Every second beat is fainter: at 60 half of what is heard is left out, at 120 half of it is hardly met."""
    both = pulse(120.0)
    beat_T = both.beat_T * np.where(pulse(60.0).beat_T > 0, 1.0, 0.45)
    tempo_S = np.exp(-np.square(np.log2(beatnet.tempi_bpm() / (60.0 if slow else 120.0)) * 8))
    found = grid.find(Pulse(beat_T, both.downbeat_T, tempo_S / tempo_S.sum(), KEYS))
    assert found.tempo_bpm == pytest.approx(wanted_bpm, rel=0.01)


@pytest.mark.parametrize(("seconds", "sure"), [(0.3, False), (0.6, False), (1.8, True), (4.0, True)])
def test_one_stroke_is_no_beat_to_be_sure_of(seconds, sure):
    whole = pulse(100.0)
    frames = round(seconds * 75)
    short = whole._replace(beat_T=whole.beat_T[:frames], downbeat_T=whole.downbeat_T[:frames])
    assert (grid.find(short, seconds).confidence >= 0.5) is sure


def test_where_nothing_is_heard_nothing_is_sure():
    nothing = np.zeros(FRAMES)
    assert grid.find(Pulse(nothing, nothing, ANY_TEMPO, KEYS)).confidence == pytest.approx(0.0, abs=1e-6)


def test_the_bars_of_a_grid_are_told_in_seconds():
    found = grid.Grid(120.0, 4, 0.5, 0.9)
    assert found.bar_s == pytest.approx(2.0)


def test_of_grids_that_are_as_likely_the_clip_tells_which_fits():
    """Off beats are a little clearer than the beats; what sounds says which is which, and which is the first."""
    on, off = pulse(112.5), pulse(112.5, first_s=30.0 / 112.5)
    beat_T = np.maximum(0.49 / 0.9 * on.beat_T, 0.7 / 0.9 * off.beat_T)
    unclear = Pulse(beat_T, np.full(FRAMES, 0.05), ANY_TEMPO, KEYS)
    beat_s = 60.0 / 112.5
    by_ear = grid.find(unclear, None, groove(112.5, 1.0))
    assert by_ear.downbeat_s == pytest.approx(beat_s, abs=0.03)
    assert grid.find(unclear).downbeat_s % beat_s == pytest.approx(beat_s / 2, abs=0.03), "the pulse alone"


def test_a_pulse_of_another_clip_is_refused():
    with pytest.raises(ValueError, match="of 900 frames"):
        grid.find(pulse(100.0), None, groove(100.0, frames=800))


def test_of_a_clip_shorter_than_was_learnt_of_the_pulse_alone_decides():
    """The pulse has the first beat of a bar at the beginning, faintly; drums and bass a beat later, clearly."""
    frames = barnet.LEAST_FRAMES - 1
    whole = pulse(112.5)
    whole = whole._replace(downbeat_T=0.05 + 0.02 * whole.downbeat_T)
    short = whole._replace(beat_T=whole.beat_T[:frames], downbeat_T=whole.downbeat_T[:frames])
    by_pulse, by_both = grid.find(short), grid.find(short, None, groove(112.5, 1.0, frames=frames))
    assert by_both == by_pulse and by_pulse.downbeat_s == pytest.approx(0.0, abs=0.03)
    assert grid.find(whole, None, groove(112.5, 1.0)) != grid.find(whole), "a longer one is listened to"
