"""Tempo, bars and key of a sound, and a sound that is played on other bars."""

import math

import numpy as np
import pytest

import sounds
from powermuse.audio import align, grid
from powermuse.audio.align import Bars, Heard, Turned
from powermuse.audio.grid import Grid
from powermuse.audio.retime import retimed
from powermuse.types import BadInput

RATE = 24_000


def heard(tempo_bpm: float, downbeat_s: float = 0.0, beats: int = 4) -> Heard:
    return Heard(Grid(tempo_bpm, beats, downbeat_s, 0.9), 0, "major", 0.9)


def tone(hz: float, seconds: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE, dtype=np.float32)[None]


def clicks(times_s: list[float], seconds: float) -> np.ndarray:
    wav = np.zeros(round(seconds * RATE), np.float32)
    burst = np.exp(-np.arange(600) / 80.0) * np.sin(np.arange(600) * 0.9)
    for time_s in times_s:
        at = round(time_s * RATE)
        wav[at : at + 600] += burst[: len(wav) - at].astype(np.float32)
    return wav[None]


def pitch_hz(wav_CN: np.ndarray) -> float:
    middle = wav_CN[0, len(wav_CN[0]) // 4 : -len(wav_CN[0]) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))
    return float(spectrum.argmax() * RATE / (1 << 18))


@pytest.mark.parametrize(
    ("speed", "wanted"), [(1.0, 1.0), (2.0, 1.0), (0.5, 1.0), (1.5, 0.75), (0.6, 1.2), (3.9, 0.975)]
)
def test_half_and_double_tempo_are_one_tempo(speed, wanted):
    assert align.nearest_speed(speed) == pytest.approx(wanted)
    assert 1 / math.sqrt(2) <= align.nearest_speed(speed) < math.sqrt(2)


def test_a_clip_is_played_from_its_first_downbeat_for_whole_bars():
    how = align.turned(heard(100.0, downbeat_s=0.7), 12.0, 120.0, 4)
    assert how == Turned(0.7, pytest.approx(1.2), 0, 4)  # 9.4 s of bars of 2 s


def test_a_loop_that_was_cut_a_moment_short_is_still_whole():
    assert align.turned(heard(120.0), 7.96, 120.0, 4).bars == 4
    assert align.turned(heard(120.0), 7.5, 120.0, 4).bars == 3


def test_of_a_clip_shorter_than_a_bar_one_bar_is_played():
    assert align.turned(heard(120.0, downbeat_s=0.5), 1.6, 120.0, 4) == Turned(0.0, 1.0, 0, 1)


def test_of_a_clip_of_about_a_bar_with_a_lead_in_beats_stay_on_beats():
    how = align.turned(heard(120.0, downbeat_s=0.2), 2.0, 120.0, 4)
    assert (how.begin_s, how.bars, how.times) == (pytest.approx(0.2), 1, 1)
    assert align.turned(heard(120.0, downbeat_s=0.8), 2.3, 120.0, 4).begin_s == pytest.approx(0.3)


@pytest.mark.parametrize(("seconds", "bars"), [(2.0, 1), (6.0, 3), (1.96, 1)])
def test_a_loop_of_half_a_bar_or_of_one_and_a_half_is_played_twice(seconds, bars):
    how = align.turned(heard(120.0), seconds, 60.0, 4)
    assert how == Turned(0.0, 1.0, 0, bars, 2)
    wav = align.played(clicks([0.5], seconds), RATE, how, 4.0)
    assert wav.shape == (1, round(4.0 * bars * RATE))
    loud = np.abs(wav[0]) > 0.1
    for at_s in (0.5, 0.5 + 2.0 * bars):
        begins_s = (round(at_s * RATE) - 2400 + int(loud[round(at_s * RATE) - 2400 :].argmax())) / RATE
        assert begins_s == pytest.approx(at_s, abs=0.01)
    assert align.turned(heard(120.0), 14.0, 60.0, 4) == Turned(0.0, 1.0, 0, 3), "of a long one the rest is cut"


@pytest.mark.parametrize("speed", [0.75, 1.0, 1.3])
def test_played_faster_it_keeps_its_pitch_and_its_clicks_are_where_they_should_be(speed):
    at_s = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    bars = 2
    wav = align.played(clicks(at_s, 4.0), RATE, Turned(0.5, speed, 0, bars), 1.0 / speed)
    assert wav.shape == (1, round(bars / speed * RATE))
    for k in range(4):
        around = np.abs(wav[0, max(0, round(0.5 * k / speed * RATE) - 2400) : round(0.5 * k / speed * RATE) + 2400])
        found_s = max(0, round(0.5 * k / speed * RATE) - 2400) + int(around.argmax())
        assert found_s / RATE == pytest.approx(0.5 * k / speed, abs=0.02)
    assert pitch_hz(retimed(tone(440.0, 3.0), RATE, speed)) == pytest.approx(440.0, rel=0.003)


@pytest.mark.parametrize("semitones", [-5, 3, 12])
def test_moved_by_semitones_it_lasts_as_long(semitones):
    moved = retimed(tone(440.0, 3.0), RATE, 1.0, semitones)
    assert moved.shape == (1, 3 * RATE)
    assert pitch_hz(moved) == pytest.approx(440.0 * 2 ** (semitones / 12), rel=0.003)


def test_where_a_clip_has_ended_there_is_silence_not_less():
    wav = align.played(tone(300.0, 1.0), RATE, Turned(0.0, 1.0, 0, 2), 1.0)
    assert wav.shape == (1, 2 * RATE) and not wav[0, RATE + 100 :].any()


def test_what_smears_is_refused():
    with pytest.raises(BadInput, match=r"0\.5 to 2"):
        retimed(tone(300.0, 1.0), RATE, 2.5)


@pytest.mark.parametrize("tempo_bpm", [84.0, 120.0])
def test_the_tempo_and_the_bars_of_a_drum_beat_are_heard(tempo_bpm):
    """Bass drum on one and three, snare on two and four, a closed hi-hat on every half beat."""
    beat_s, seconds = 60.0 / tempo_bpm, 12.0
    random = np.random.default_rng(0)
    time_s = np.arange(round(0.2 * RATE)) / RATE
    kick = np.sin(2 * np.pi * 55.0 * time_s) * np.exp(-time_s / 0.06)
    snare = random.standard_normal(len(time_s)) * np.exp(-time_s / 0.05)
    hat = np.diff(random.standard_normal(len(time_s) + 1)) * np.exp(-time_s / 0.015)
    wav = np.zeros(round(seconds * RATE) + len(time_s))
    for half in range(int(seconds / beat_s * 2)):
        at = round(half * beat_s / 2 * RATE)
        stroke = 0.15 * hat + (0.0 if half % 2 else kick if half // 2 % 2 == 0 else 0.4 * snare)
        wav[at : at + len(time_s)] += stroke
    found = align.listen((0.3 * wav[None, : round(seconds * RATE)]).astype(np.float32))
    assert align.nearest_speed(found.grid.tempo_bpm / tempo_bpm) == pytest.approx(1.0, abs=0.02)
    assert found.grid.confidence > 0.5


def test_the_bars_of_an_alignment_are_told_in_seconds():
    assert Bars(90.0, 3).seconds == pytest.approx(2.0)


@pytest.mark.parametrize("seconds", [0.7, 4.0, 12.0])
def test_of_a_sound_as_many_frames_are_heard_as_it_has(seconds):
    """A short one is heard three times over, and its middle is told."""
    pulse, known = align._pulse(clicks(list(np.arange(0.0, seconds, 0.5)), seconds))
    assert len(pulse.beat_T) == len(pulse.downbeat_T) == math.ceil(seconds * 75)
    assert {x.shape[-1] for x in known} == {math.ceil(seconds * 75)}


def test_bars_are_heard_in_the_sound_and_not_by_the_pulse_alone():
    """Of these uneven drums, whose pattern of a bar begins at once, the pulse alone takes the second beat for the
    first."""
    wav_1N = sounds.drums(8.0, 1).astype(np.float32)
    assert align.listen(wav_1N).grid.downbeat_s == pytest.approx(0.0, abs=0.07)
    assert grid.find(align._pulse(wav_1N)[0], 8.0).downbeat_s == pytest.approx(0.48, abs=0.07)
