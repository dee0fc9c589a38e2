"""Distances of sounds and latents: known values, equality, silence, and other people's implementations."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from powermuse.audio import spectra
from powermuse.losses import reconstruction

RATE_HZ = 24_000


def _log_mel(blend: Tensor, wanted: Tensor) -> Tensor:
    return reconstruction.log_mel_l1(blend, wanted, RATE_HZ)


SOUND_DISTANCES = [
    pytest.param(reconstruction.rms_difference, id="rms"),
    pytest.param(reconstruction.multi_resolution_stft, id="stft"),
    pytest.param(_log_mel, id="mel"),
]


def _noise(seed: int, samples: int = 9_600, batch: int = 1) -> Tensor:
    return torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(seed))


def test_latent_l1_is_the_mean_absolute_difference():
    blend = torch.tensor([[[1.0, -2.0], [0.0, 4.0]]])
    assert float(reconstruction.latent_l1(blend, torch.zeros(1, 2, 2))) == 1.75
    assert float(reconstruction.latent_l1(blend, blend)) == 0.0


def test_rms_difference_is_taken_for_each_clip_before_the_mean():
    # 0.3 and 0.1 apart: 0.2; the RMS over both clips at once would be 0.224.
    wanted = _noise(0, batch=2)
    apart = torch.tensor([0.3, -0.1])[:, None, None]
    assert float(reconstruction.rms_difference(wanted + apart, wanted)) == pytest.approx(0.2, abs=1e-5)


@pytest.mark.parametrize("distance", SOUND_DISTANCES)
def test_equal_sounds_are_at_distance_0(distance, music):
    # Up to the floor that keeps gradients finite: 1e-4 in rms.
    sound = music(0.5)[None]
    assert float(distance(sound, sound)) == pytest.approx(0.0, abs=1.01e-4)


@pytest.mark.parametrize("distance", SOUND_DISTANCES)
def test_two_silences_are_near_each_other(distance):
    silence = torch.zeros(2, 1, 9_600)
    assert float(distance(silence, silence)) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("gain", [2.0, 0.25])
def test_noise_at_another_gain_is_as_far_as_arithmetic_says(gain):
    # Far above the floors: convergence |gain - 1|, log magnitude |ln gain|; log mel (of power) 2 |ln gain|.
    sound = _noise(1)
    stft = abs(gain - 1.0) + abs(math.log(gain))
    assert float(reconstruction.multi_resolution_stft(gain * sound, sound)) == pytest.approx(stft, rel=1e-3)
    assert float(_log_mel(100.0 * gain * sound, 100.0 * sound)) == pytest.approx(2.0 * abs(math.log(gain)), rel=1e-3)


@pytest.mark.parametrize("distance", SOUND_DISTANCES)
def test_a_rising_level_of_noise_is_a_rising_distance(distance, music):
    sound, noise = music(0.5)[None], _noise(2, 12_000)
    steps = [float(distance(sound + level * noise, sound)) for level in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)]
    assert steps == sorted(steps) and steps[-1] > 0.1


@pytest.mark.parametrize("silent", ["blend", "wanted", "both"])
@pytest.mark.parametrize("distance", SOUND_DISTANCES)
def test_silence_has_a_finite_gradient(distance, silent):
    blend, wanted = _noise(3), _noise(4)
    blend, wanted = (blend * (silent == "wanted")).requires_grad_(), wanted * (silent == "blend")
    cost = distance(blend, wanted)
    cost.backward()
    assert cost.isfinite() and blend.grad.isfinite().all()


@pytest.mark.parametrize("distance", SOUND_DISTANCES)
def test_a_batch_costs_the_mean_of_its_clips(distance):
    blend, wanted = _noise(5, batch=3), _noise(6, batch=3)
    alone = [float(distance(blend[k : k + 1], wanted[k : k + 1])) for k in range(3)]
    assert float(distance(blend, wanted)) == pytest.approx(sum(alone) / 3, rel=1e-5)


@pytest.mark.parametrize(
    "distance",
    [
        pytest.param(reconstruction.multi_resolution_stft, id="stft"),
        pytest.param(_log_mel, id="mel"),
    ],
)
def test_a_distance_first_taken_without_gradient_can_be_trained_on_afterwards(distance):
    spectra.window.cache_clear()
    spectra.mel_filters.cache_clear()
    blend, wanted = _noise(7), _noise(8)
    try:
        with torch.inference_mode():
            distance(blend, wanted)
        blend.requires_grad_()
        distance(blend, wanted).backward()
    finally:  # other tests shall not suffer
        spectra.window.cache_clear()
        spectra.mel_filters.cache_clear()
    assert float(blend.grad.abs().max()) > 0


def test_the_stft_distance_is_auralosss():
    """auraloss centres frames on multiples of the hop, we on the middle of each hop: it hears the sound half a hop
    early, and both then see the same frames of a sound that begins and ends in silence. It takes one norm over the
    batch: one clip here. Its floor stands at another level: the sounds are far above both, or exactly 0."""
    auraloss = pytest.importorskip("auraloss", reason="auraloss is not installed: pip install 'powermuse[dev]'")
    sounds = [torch.nn.functional.pad(100.0 * _noise(seed, 8_192), (4_096, 4_096)) for seed in (9, 10)]
    theirs = [
        float(auraloss.freq.STFTLoss(n, n // 4, n, eps=1e-8)(*(sound[..., n // 8 :] for sound in sounds)))
        for n in (512, 1024, 2048)
    ]
    assert float(reconstruction.multi_resolution_stft(*sounds)) == pytest.approx(sum(theirs) / 3, rel=1e-3)


def test_the_mel_distance_is_that_of_librosas_filters_on_torchs_stft(music):
    librosa = pytest.importorskip("librosa", reason="librosa is not installed: pip install 'powermuse[eval]'")
    filters = librosa.filters.mel(sr=RATE_HZ, n_fft=1024, n_mels=80, fmin=0.0, fmax=8_000.0)

    def log_mel(wav_BCN: Tensor) -> np.ndarray:
        hann = torch.hann_window(1024)
        padded = torch.nn.functional.pad(wav_BCN[0, 0], (384, 384))  # frames centred on their hops, silence outside
        spectrum = torch.stft(padded, 1024, 256, window=hann, center=False, return_complex=True).numpy()
        level = 2.0 / float(hann.sum())  # a full-scale sine reads 1
        return np.log(filters / filters.max() @ np.abs(level * spectrum) ** 2 + 1e-5)

    blend, wanted = music(0.512, seed=1)[None], music(0.512, seed=2)[None]
    theirs = np.abs(log_mel(blend) - log_mel(wanted)).mean()
    assert float(_log_mel(blend, wanted)) == pytest.approx(theirs, rel=1e-4)


def test_the_mel_distance_hears_up_to_8_khz():
    time_s = torch.arange(9_600) / RATE_HZ
    high, low = (torch.sin(2 * math.pi * hz * time_s)[None, None] for hz in (10_000.0, 5_000.0))
    hann = torch.hann_window(9_600)  # no click at the borders
    silence = torch.zeros(1, 1, 9_600)
    assert float(_log_mel(high * hann, silence)) < 0.01
    assert float(_log_mel(low * hann, silence)) > 0.1
