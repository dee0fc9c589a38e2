"""Novelty and spectral outliers: values by hand, gradients on silence."""

import math

import pytest
import torch

from powermuse.losses import novelty


def test_a_copy_is_1_and_its_negative_too():
    z = torch.randn(2, 16, 9)
    assert float(novelty.frame_cosine(z, z)) == pytest.approx(1.0, abs=1e-4)
    assert float(novelty.frame_cosine(z, -z)) == pytest.approx(1.0, abs=1e-4)


def test_a_clip_half_copied_and_half_inverted_is_no_news():
    z = torch.randn(1, 16, 10)
    half = torch.cat([z[..., :5], -z[..., 5:]], dim=-1)
    assert float(novelty.frame_cosine(half, z)) == pytest.approx(1.0, abs=1e-4)


def test_right_angles_are_0_and_45_degrees_are_half_the_root_of_2():
    a, b = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    a[:, 0], b[:, 1] = 3.0, 2.0
    assert float(novelty.frame_cosine(a, b)) == 0.0
    assert float(novelty.frame_cosine(a, a + 1.5 * b)) == pytest.approx(math.sqrt(0.5), abs=1e-4)


def test_similarity_halves_what_it_finds_in_both_sources():
    a, b = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    a[:, 0], b[:, 1] = 1.0, 1.0
    assert float(novelty.similarity(a, a, b)) == pytest.approx(0.5, abs=1e-4)


def test_frame_cosine_agrees_with_torch():
    a, b = torch.randn(3, 12, 7), torch.randn(3, 12, 7)
    wanted = torch.nn.functional.cosine_similarity(a, b, dim=1).abs().mean()
    torch.testing.assert_close(novelty.frame_cosine(a, b), wanted, rtol=1e-4, atol=1e-5)


def test_gradients_are_finite_on_silence():
    z = torch.zeros(1, 4, 5, requires_grad=True)
    novelty.frame_cosine(z, torch.zeros(1, 4, 5)).backward()
    wav = torch.zeros(1, 1, 4096, requires_grad=True)
    novelty.spectral_outliers(wav, 24_000).backward()
    assert torch.isfinite(z.grad).all() and torch.isfinite(wav.grad).all()


@pytest.mark.parametrize("hz", [2000.0, 4000.0, 6000.0])
def test_a_whistle_in_an_outlier_band_costs_a_third_and_elsewhere_nothing(hz):
    time_s = torch.arange(24_000) / 24_000
    whistle, beside = (0.3 * torch.sin(2 * math.pi * f * time_s)[None, None] for f in (hz, hz + 900.0))
    noise = 0.001 * torch.randn(1, 1, 24_000, generator=torch.Generator().manual_seed(0))
    assert float(novelty.spectral_outliers(whistle + noise, 24_000)) == pytest.approx(1 / 3, abs=0.05)
    assert float(novelty.spectral_outliers(beside + noise, 24_000)) < 0.05
