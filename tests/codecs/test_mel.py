import math

import numpy as np
import pytest
import torch
from torch import Tensor

from powermuse.codecs.mel import Config, MelCodec

DB_PER_UNIT = 3.3


@pytest.fixture(scope="module")
def codec() -> MelCodec:
    return MelCodec()


def sine(hz: float, peak: float = 1.0, samples: int = 24_000) -> Tensor:
    return peak * torch.sin(2 * math.pi * hz * torch.arange(samples, dtype=torch.float64) / 24_000).float()[None, None]


def level_db(wav: Tensor) -> float:
    return 10 * math.log10(wav.square().mean().item() + 1e-30)


def test_silence_is_exactly_0_and_0_is_silence(codec):
    assert codec.encode(torch.zeros(1, 1, 3_200)).count_nonzero() == 0
    assert level_db(codec.decode(torch.zeros(1, 128, 10))) < -100


def test_a_full_scale_sine_of_1_khz_reads_70_db_above_the_floor(codec):
    z = codec.encode(sine(1000))[0, :, 5:-5]
    torch.testing.assert_close(z.amax(dim=0), torch.full((65,), 70 / DB_PER_UNIT), rtol=0, atol=0.03)


def test_bands_go_from_low_to_high_pitch(codec):
    loudest = [codec.encode(sine(hz))[0, :, 30].argmax().item() for hz in (100, 300, 1000, 3000, 10_000)]
    assert loudest == sorted(loudest)
    assert loudest[0] < 8
    assert loudest[-1] > 115


def test_ten_decibels_more_are_3_03_units_more_well_above_the_floor(codec, music):
    quiet, loud = (codec.encode(gain * music()[None]) for gain in (1.0, math.sqrt(10)))
    above = quiet > 25 / DB_PER_UNIT
    assert above.float().mean() > 0.05
    rise = (loud - quiet)[above]
    torch.testing.assert_close(rise, torch.full_like(rise, 10 / DB_PER_UNIT), rtol=0, atol=0.01)


def test_a_click_sounds_in_the_frame_that_holds_it(codec):
    wav = torch.zeros(1, 1, 9_600)
    wav[..., 4_000] = 0.5
    z = codec.encode(wav)
    assert z[0].sum(0).argmax() == 4_000 // 320
    assert codec.decode(z)[0, 0].abs().argmax().item() == pytest.approx(4_000, abs=160)


@pytest.mark.parametrize("hz", [250.0, 1000.0, 3000.0])
@pytest.mark.parametrize("peak", [1.0, 0.1])
def test_an_encoded_sine_is_decoded_at_its_pitch_and_level(codec, hz, peak):
    steady = codec.decode(codec.encode(sine(hz, peak)))[0, 0, 2_400:-2_400]
    spectrum = torch.fft.rfft(steady * torch.hann_window(len(steady)), n=8 * len(steady)).abs()
    assert spectrum.argmax().item() * 24_000 / (8 * len(steady)) == pytest.approx(hz, rel=0.005)
    assert level_db(steady) == pytest.approx(20 * math.log10(peak) - 3.01, abs=1.0)


def tones(*rows: int, samples: int = 48_000) -> Tensor:
    """Notes of a piano by their row, six partials each, as loud as each other."""
    time_s = torch.arange(samples, dtype=torch.float64) / 24_000
    hz = [27.5 * 2 ** (row / 12) for row in rows]
    waves = [torch.sin(2 * math.pi * k * each * time_s) / k for each in hz for k in range(1, 7)]
    return (0.1 * torch.stack(waves).sum(0)).float()[None, None]


def held(*rows: int, frames: int) -> Tensor:
    roll_BQT = torch.zeros(1, 88, frames)
    roll_BQT[0, list(rows)] = 1.0
    roll_BQT[0, list(rows), 0] = 2.0
    return roll_BQT


def power_at(wav_BCN: Tensor, row: float) -> float:
    """Of the fundamental of a row, in decibels."""
    steady = wav_BCN[0, 0, 6_000:-6_000]
    spectrum = torch.fft.rfft(steady * torch.hann_window(len(steady))).abs()
    at = round(27.5 * 2 ** (row / 12) * len(steady) / 24_000)
    return 20 * math.log10(spectrum[at - 2 : at + 3].max().item())


def test_notes_that_are_known_are_told_from_their_neighbours_in_a_band(codec):
    low, high = 24, 28  # A2 and C#3, 28 Hz apart
    z = codec.encode(tones(low, high))
    played = codec.decode_played(z, held(low, high, frames=z.shape[-1]))
    plain = codec.decode(z)
    between = [power_at(wav, low + 2) - max(power_at(wav, low), power_at(wav, high)) for wav in (played, plain)]
    assert between[0] < -20 < between[1] + 10
    assert abs(power_at(played, low) - power_at(played, high)) < 6


def test_played_notes_have_the_latents_that_were_given(codec):
    z = codec.encode(tones(24, 28, 43))
    gap = codec.encode(codec.decode_played(z, held(24, 28, 43, frames=z.shape[-1]))) - z
    assert gap[..., 5:-5].abs().mean() < 0.5
    silent = codec.decode_played(torch.zeros(1, 128, 10), held(24, frames=10))
    assert level_db(silent) < -100


def test_latents_louder_than_any_sound_are_decoded_to_finite_samples(codec):
    """As one asks for whose weights are random: 150 units are 10^42 in power, more than a float holds."""
    z = torch.randn(1, 128, 40, generator=torch.Generator().manual_seed(0)) * 50.0
    assert float(z.max()) > 150.0
    for wav in (codec.decode(z), codec.decode_played(z, held(24, 28, frames=40))):
        assert bool(wav.isfinite().all())


@pytest.mark.parametrize("rows", [(), (10, 47, 81)])
def test_wrong_or_missing_notes_bend_the_sound_but_little(codec, music, rows):
    z = codec.encode(music(2.0)[None])
    played = codec.decode_played(z, held(*rows, frames=z.shape[-1]))
    assert level_db(played) == pytest.approx(level_db(codec.decode(z)), abs=2.0)
    assert (codec.encode(played) - z).abs().mean() < 1.0  # an unrelated clip is 2.8 away


def test_more_phase_steps_make_a_sound_whose_spectrum_fits_better(music):
    z = MelCodec().encode(music(1.0)[None])
    gaps = [(MelCodec(c).encode(MelCodec(c).decode(z)) - z).abs().mean() for c in (Config(phase_steps=0), Config())]
    assert gaps[1] < 0.5 * gaps[0]


def test_the_seed_decides_the_phases_and_the_global_one_does_not(music):
    z = MelCodec().encode(music(0.5)[None])
    decoded = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(decoded))
        decoded.append(MelCodec(Config(seed=seed)).decode(z))
    assert torch.equal(decoded[0], decoded[1])
    assert (decoded[0] - decoded[2]).abs().max() > 0.01
    assert level_db(decoded[2]) == pytest.approx(level_db(decoded[0]), abs=0.5)


def test_the_gradient_of_loudness_is_what_a_louder_latent_really_does(codec, music):
    z = codec.encode(music(1.0)[None])

    def loudness(shift: Tensor) -> Tensor:
        return codec.decode(z + shift).square().mean().sqrt()

    shift = torch.zeros((), requires_grad=True)
    loudness(shift).backward()
    step = torch.tensor(0.03)
    with torch.no_grad():
        difference = (loudness(step) - loudness(-step)) / (2 * step)
    assert shift.grad.item() == pytest.approx(difference.item(), rel=0.1)


def test_the_gradient_of_loudness_in_one_band_is_what_a_louder_band_really_does(codec):
    z = codec.encode(sine(1000, 0.1))
    band = z[0, :, 30].argmax().item()
    z[:, band + 20 : band + 30] = 8.0  # a second sound, apart from the first

    def loudness(shift: Tensor) -> Tensor:
        louder = torch.zeros_like(z)
        louder[:, band + 20 : band + 30] = 1.0
        return codec.decode(z + shift * louder).square().mean().sqrt()

    shift = torch.zeros((), requires_grad=True)
    loudness(shift).backward()
    step = torch.tensor(0.03)
    with torch.no_grad():
        difference = (loudness(step) - loudness(-step)) / (2 * step)
    assert shift.grad.item() == pytest.approx(difference.item(), rel=0.2)


@pytest.mark.parametrize("spoilt", ["as encoded", "with noise", "half masked"])
def test_the_inversion_is_a_non_negative_least_squares_solution(codec, music, spoilt):
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    generator = torch.Generator().manual_seed(0)
    z = codec.encode(music(1.0)[None])
    if spoilt == "with noise":
        z = (z + 2 * torch.randn(z.shape, generator=generator)).clamp_min(0)
    elif spoilt == "half masked":
        z = z * (torch.rand(z.shape, generator=generator) > 0.5)
    mel_BMT = 1e-7 * (10 ** (z * DB_PER_UNIT / 10) - 1)
    power_FT = codec._power_spectrum(mel_BMT)[0].double().numpy()
    assert power_FT.min() >= 0
    filters_MF = codec.filters_MF.double().numpy()
    for frame in (5, 30, 55):
        mel_M = mel_BMT[0, :, frame].double().numpy()
        relative = 1 / (mel_M + 1e-7)
        _, least = optimize.nnls(filters_MF * relative[:, None], mel_M * relative, maxiter=20_000)
        found = np.linalg.norm((filters_MF @ power_FT[:, frame] - mel_M) * relative)
        zero = np.linalg.norm(mel_M * relative)
        assert least <= found + 1e-9
        assert found - least < 0.05 * zero
