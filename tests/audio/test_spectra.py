import numpy as np
import pytest
import torch

from powermuse.audio import spectra


def sine(hz: float, samples: int = 24_000) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(samples, dtype=torch.float64) / 24_000).float()[None]


@pytest.mark.parametrize(("n_fft", "hop"), [(1280, 320), (1024, 320), (6400, 1280)])
@pytest.mark.parametrize("bin_number", [40, 100])
def test_a_full_scale_sine_has_magnitude_1_at_its_bin(n_fft, hop, bin_number):
    magnitude = spectra.stft(sine(bin_number * 24_000 / n_fft), n_fft, hop)[0].abs()
    inner = magnitude[:, n_fft // hop : -n_fft // hop]
    torch.testing.assert_close(inner[bin_number], torch.ones_like(inner[0]), rtol=0, atol=1e-4)
    torch.testing.assert_close(inner[bin_number + 1], torch.full_like(inner[0], 0.5), rtol=0, atol=1e-4)
    assert inner[bin_number + 3 :].max() < 1e-4


def test_the_power_of_a_half_scale_sine_is_a_quarter_and_its_gradient_is_finite_even_on_silence():
    wav = torch.cat([0.5 * sine(750, 4000), torch.zeros(1, 4000)], dim=1).requires_grad_()
    power = spectra.power_spectrum(wav, 1280, 320)
    assert power[0, 40, 5].item() == pytest.approx(0.25, abs=1e-4)
    assert power[0, :, -5:].count_nonzero() == 0
    power.sum().backward()
    assert wav.grad.isfinite().all()


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 640, 24_000])
def test_a_clip_has_as_many_frames_as_hops_that_cover_it(samples):
    frames = {1: 1, 319: 1, 320: 1, 321: 2, 640: 2, 24_000: 75}[samples]
    assert spectra.frame_count(samples, 320) == frames
    assert spectra.stft(torch.ones(1, samples), 1280, 320).shape[-1] == frames


# Not at the very border of two frames: there both see the same, and rounding says which is more.
@pytest.mark.parametrize("sample", [0, 160, 300, 340, 480, 4_000, 9_599])
def test_frames_are_centred_on_their_hop(sample):
    wav = torch.zeros(1, 9_600)
    wav[0, sample] = 1.0
    assert spectra.power_spectrum(wav, 1280, 320)[0].sum(0).argmax() == sample // 320


@pytest.mark.parametrize(("n_fft", "hop"), [(1280, 320), (1024, 256), (640, 320)])
@pytest.mark.parametrize("samples", [1, 7, 319, 320, 321, 1279, 1280, 1281, 5_000])
def test_the_inverse_gives_the_signal_back(n_fft, hop, samples):
    wav = torch.randn(2, samples, generator=torch.Generator().manual_seed(samples))
    back = spectra.istft(spectra.stft(wav, n_fft, hop), n_fft, hop)
    torch.testing.assert_close(back[:, :samples], wav, rtol=0, atol=1e-5)
    torch.testing.assert_close(back[:, samples:], torch.zeros(2, -samples % hop), rtol=0, atol=1e-5)


def test_the_inverse_of_a_spectrum_that_no_signal_has_is_the_nearest_in_least_squares():
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(1, 129, 12, dtype=torch.complex64, generator=generator)

    def error(wav: torch.Tensor) -> torch.Tensor:
        gap = spectra.stft(wav, 256, 64) - wanted
        both_sides = torch.full((129, 1), 2.0).index_fill(0, torch.tensor([0, 128]), 1.0)  # all 256 bins of the DFT
        return (both_sides * torch.view_as_real(gap).square().sum(-1)).sum()

    best = spectra.istft(wanted, 256, 64).requires_grad_()
    error(best).backward()
    elsewhere = torch.zeros_like(best).requires_grad_()
    error(elsewhere).backward()
    assert best.grad.abs().max() < 1e-4 * elsewhere.grad.abs().max()


@pytest.mark.parametrize(("n_fft", "hop"), [(1000, 300), (512, 512)])
def test_hops_that_have_no_inverse_are_refused(n_fft, hop):
    with pytest.raises(ValueError, match=f"{hop}.*{n_fft}"):
        spectra.istft(spectra.stft(torch.ones(1, 3000), n_fft, hop), n_fft, hop)


def test_a_clip_in_a_batch_is_transformed_as_it_is_alone():
    wav = torch.randn(3, 5_120, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [1e-3], [0.0]])
    spectrum = spectra.stft(wav, 1280, 320)
    back = spectra.istft(spectrum, 1280, 320)
    for i in range(3):
        torch.testing.assert_close(spectrum[i : i + 1], spectra.stft(wav[i : i + 1], 1280, 320), rtol=0, atol=1e-7)
        torch.testing.assert_close(back[i : i + 1], spectra.istft(spectrum[i : i + 1], 1280, 320), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("rate_hz", "n_fft", "bands", "low_hz", "high_hz"),
    [(24_000, 1280, 128, 0.0, None), (24_000, 1024, 80, 27.5, 11_000.0), (44_100, 2048, 40, 0.0, 8_000.0)],
)
def test_mel_filters_are_those_of_librosa(rate_hz, n_fft, bands, low_hz, high_hz):
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    theirs = librosa.filters.mel(sr=rate_hz, n_fft=n_fft, n_mels=bands, fmin=low_hz, fmax=high_hz)
    ours = spectra.mel_filters(rate_hz, n_fft, bands, low_hz, high_hz).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)


def test_the_mel_scale_is_linear_to_1_khz_and_then_27_steps_to_6400_hz():
    np.testing.assert_allclose(spectra.hz_to_mel(np.array([0.0, 200.0, 1000.0, 6400.0])), [0.0, 3.0, 15.0, 42.0])


def test_the_mel_scale_and_its_inverse_undo_each_other():
    hz = np.array([0.0, 1.0, 440.0, 999.9, 1000.0, 1000.1, 5000.0, 22_050.0])
    np.testing.assert_allclose(spectra.mel_to_hz(spectra.hz_to_mel(hz)), hz, rtol=1e-12)


def test_what_inference_computed_first_can_be_trained_through_later():
    spectra.window.cache_clear()
    spectra.mel_filters.cache_clear()
    wav = torch.randn(1, 3_200, generator=torch.Generator().manual_seed(0))

    def loudness(wav: torch.Tensor) -> torch.Tensor:
        return (spectra.mel_filters(24_000, 1280, 40) @ spectra.power_spectrum(wav, 1280, 320)).sum()

    try:
        with torch.inference_mode():
            loudness(wav)
        wav.requires_grad_()
        loudness(wav).backward()
    finally:
        spectra.window.cache_clear()
        spectra.mel_filters.cache_clear()
    assert wav.grad.abs().sum() > 0
