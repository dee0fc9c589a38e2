"""Where partials lie and how they turn, against sines whose spectrum is taken."""

import math

import pytest
import torch
from torch import Tensor

from powermuse.audio import partials, spectra

N_FFT, HOP, RATE_HZ = 1280, 320, 24_000
A4 = 48


def roll(*notes: tuple[int, int, int], frames: int = 60) -> Tensor:
    """[1, 88, T] of notes: row, first frame, end."""
    found_BQT = torch.zeros(1, partials.NOTES, frames)
    for row, begin, end in notes:
        found_BQT[0, row, begin:end] = 1.0
        found_BQT[0, row, begin] = 2.0
    return found_BQT


def hz(row: int) -> float:
    return 27.5 * 2.0 ** (row / 12)


def near(frequency_hz: float) -> int:
    return round(frequency_hz * N_FFT / RATE_HZ)


@pytest.mark.parametrize("row", [24, 36, A4, 64])
def test_power_lies_where_the_spectrum_of_a_tone_has_it(row):
    power_F = partials.power(roll((row, 0, 60)), N_FFT, HOP)[0, :, 30]
    time_s = torch.arange(60 * HOP, dtype=torch.float64) / RATE_HZ
    sine = torch.sin(2 * math.pi * hz(row) * time_s).float()
    found_F = spectra.power_spectrum(sine[None], N_FFT, HOP)[0, :, 30]
    around = slice(near(hz(row)) - 1, near(hz(row)) + 2)
    # Beside it what the second partial and the ground between adds.
    torch.testing.assert_close(
        power_F[around] / power_F[around].max(), found_F[around] / found_F[around].max(), atol=0.1, rtol=0
    )


def test_upper_partials_are_there_and_fainter():
    power_F = partials.power(roll((A4, 0, 60)), N_FFT, HOP)[0, :, 0]
    peaks = torch.stack([power_F[near(k * 440.0) - 1 : near(k * 440.0) + 2].max() for k in (1, 2, 4, 8, 16)])
    assert (peaks.diff() < 0).all()
    assert power_F[near(1.5 * 440.0)] < 0.2 * peaks[1]


def test_a_note_fades_until_it_is_struck_again_and_ends():
    notes_BQT = roll((A4, 5, 50))
    notes_BQT[0, A4, 40] = 2.0
    loud_T = partials.power(notes_BQT, N_FFT, HOP)[0, near(440.0)]
    assert loud_T[:5].max() < 1e-3 * loud_T[5] > loud_T[50:].max()
    assert (loud_T[5:40].diff() < 0).all()
    assert loud_T[40] == pytest.approx(loud_T[5].item(), rel=1e-5)


def test_where_nothing_sounds_all_bins_are_alike():
    power_FT = partials.power(roll((A4, 10, 20)), N_FFT, HOP)[0]
    assert (power_FT > 0).all() and len(power_FT[:, 30].unique()) == 1
    assert torch.isfinite(partials.power(roll(), N_FFT, HOP)).all()


@pytest.mark.parametrize("row", [30, 36, A4, 60])
def test_a_held_note_turns_as_a_tone_does(row):
    phasor_FT = partials.phases(roll((row, 0, 60)), N_FFT, HOP)[0]
    time_s = torch.arange(60 * HOP, dtype=torch.float64) / RATE_HZ
    spectrum_FT = spectra.stft(torch.sin(2 * math.pi * hz(row) * time_s).float()[None], N_FFT, HOP)[0]
    at = near(hz(row))
    # Up to one angle, which is not known, the same at all frames and in the bins beside.
    apart = (phasor_FT * spectrum_FT.conj())[at - 1 : at + 2, 5:55]
    apart = apart / apart.abs()
    assert (apart - apart[1, 0]).abs().max() < 0.1


def test_noise_is_random_by_its_seed_and_the_same_for_every_clip():
    silent_BQT = roll().expand(2, -1, -1)
    one, other = partials.phases(silent_BQT, N_FFT, HOP, 1), partials.phases(silent_BQT, N_FFT, HOP, 2)
    assert torch.equal(one[0], one[1]) and not torch.allclose(one, other)
    assert one.mean().abs() < 0.02


def test_a_batch_has_what_its_clips_have_alone():
    first, second = roll((A4, 0, 30), (40, 10, 60)), roll((52, 20, 40))
    together = torch.cat([first, second])
    for made in (partials.power, partials.phases):
        torch.testing.assert_close(
            made(together, N_FFT, HOP), torch.cat([made(x, N_FFT, HOP) for x in (first, second)])
        )


def test_the_louder_of_two_partials_turns_a_bin():
    # The second partial of A4 and A5's first share their bins: struck later, A5 is the louder there.
    both = partials.phases(roll((A4, 0, 60), (A4 + 12, 20, 60)), N_FFT, HOP)[0, near(880.0)]
    alone = [partials.phases(roll((row, begin, 60)), N_FFT, HOP)[0, near(880.0)] for row, begin in ((48, 0), (60, 20))]
    torch.testing.assert_close(both[5:20], alone[0][5:20])
    torch.testing.assert_close(both[20:], alone[1][20:])


@pytest.mark.parametrize("shape", [(88, 10), (1, 87, 10)])
def test_a_roll_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="88"):
        partials.power(torch.zeros(shape), N_FFT, HOP)
