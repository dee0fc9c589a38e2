import numpy as np
import pytest

from powermuse.data.render import augment
from powermuse.data.render.augment import Band, Strength
from powermuse.data.render.score import Part
from powermuse.data.render.synth import RATE_HZ

PLAIN = Strength(0.0, 0.0, 0.0, 0.0)
BASS, CHORDS, DRUMS = Part("bass", 33, ()), Part("chords", 0, ()), Part("drums", 0, ())


def stems(*seeds: int, samples: int = 2 * RATE_HZ) -> np.ndarray:
    return np.stack([np.random.default_rng(seed).standard_normal(samples) for seed in seeds]).astype(np.float32)


def gain_db(bands: list[Band], hz: float, size: int = RATE_HZ) -> float:
    return float(20 * np.log10(abs(augment._response(bands, size)[round(hz * size / RATE_HZ)])))


@pytest.mark.parametrize("gain", [-6.0, 4.0])
def test_bands_do_what_they_say_where_they_say_it(gain):
    low, peak, high = Band("low", 200.0, gain, 0.7), Band("peak", 1000.0, gain, 1.0), Band("high", 4000.0, gain, 0.7)
    assert gain_db([low], 2) == pytest.approx(gain, abs=0.05) and gain_db([low], 8000) == pytest.approx(0, abs=0.05)
    assert gain_db([peak], 1000) == pytest.approx(gain, abs=0.05)
    assert gain_db([peak], 10) == pytest.approx(0, abs=0.05) and gain_db([peak], 11_900) == pytest.approx(0, abs=0.05)
    assert gain_db([high], 11_990) == pytest.approx(gain, abs=0.05) and gain_db([high], 50) == pytest.approx(
        0, abs=0.05
    )
    assert gain_db([low], 200) == pytest.approx(gain / 2, abs=0.1)  # a shelf's corner has half its decibels
    assert gain_db([low, high], 2) == pytest.approx(gain, abs=0.05)


def test_without_strength_there_are_the_levels_of_the_roles_and_nothing_else():
    given = stems(1, 2) * np.array([[0.01], [3.0]], np.float32)
    heard, noise = augment.mix(given, (BASS, DRUMS), "k/groove", "k/groove", PLAIN)
    assert not noise.any()
    for before, after, wanted_db in zip(given, heard, (-3.0, 0.0), strict=True):
        scale = np.dot(before, after) / np.dot(before, before)
        assert np.abs(after - scale * before).max() < 1e-5 * np.abs(after).max()
        assert 20 * np.log10(augment.loudness(after)) == pytest.approx(wanted_db, abs=0.01)


def test_an_instrument_has_the_same_colour_in_harmony_and_truth_and_another_in_the_groove():
    strength = Strength(1.0, 0.0, 0.0, 0.0)
    given = stems(1, 2)
    harmony, truth, groove = (
        augment.mix(given, (BASS, CHORDS), f"k/{role}", sound, strength)[0]
        for role, sound in (("harmony", "k/harmony"), ("truth.0", "k/harmony"), ("groove", "k/groove"))
    )
    assert np.array_equal(harmony, truth)
    assert np.abs(harmony - groove).max() > 0.05 * np.abs(harmony).max()
    renamed = augment.mix(given, (BASS._replace(name="stab"), CHORDS), "k/truth.1", "k/harmony", strength)[0]
    scale = augment.loudness(harmony[0]) / augment.loudness(renamed[0])
    assert np.abs(harmony[0] - scale * renamed[0]).max() < 1e-5 * np.abs(harmony[0]).max()


def test_rooms_of_one_sound_differ_mildly_and_move_nothing():
    click = np.zeros((1, RATE_HZ), np.float32)
    click[0, 4000] = 1.0
    rooms = [augment._room(f"k/{role}", "k/harmony", 2 * RATE_HZ, 1.0) for role in ("harmony", "truth.0")]
    tails = [np.fft.irfft(room) for room in rooms]
    for tail in tails:
        assert tail[0] == pytest.approx(1.0, abs=1e-5)  # the sound itself, at once
        assert np.abs(tail[1 : round(0.004 * RATE_HZ)]).max() < 1e-5  # then nothing until the room answers
    wet_db = [10 * np.log10(np.square(tail[1:]).sum()) for tail in tails]
    assert wet_db[0] != wet_db[1] and abs(wet_db[0] - wet_db[1]) <= 3.0 and max(wet_db) < -8.0
    heard = augment.mix(click, (DRUMS,), "k/groove", "k/groove", Strength())[0][0]
    assert int(np.abs(heard).argmax()) == 4000


@pytest.mark.parametrize("triplet", range(6))
def test_the_noise_floor_lies_50_to_75_db_below_the_clip(triplet):
    heard, noise = augment.mix(stems(1), (CHORDS,), f"{triplet}/groove", f"{triplet}/groove", Strength())
    rms = [np.sqrt(np.mean(np.square(x, dtype=np.float64))) for x in (heard.sum(0), noise)]
    assert 49.9 < 20 * np.log10(rms[0] / rms[1]) < 75.1


def test_it_is_a_function_of_its_keys():
    def sounds(key: str) -> bytes:
        heard, noise = augment.mix(stems(1, 2), (BASS, DRUMS), f"{key}/groove", f"{key}/groove", Strength())
        return heard.tobytes() + noise.tobytes()

    assert sounds("a") == sounds("a") != sounds("b")
