"""The modulation cost: anchors, both forms, two ways to an envelope."""

import math

import numpy as np
import pytest
import torch

from powermuse.losses import modulation


def noise_bursts(seed: int, seconds: float = 16.0) -> torch.Tensor:
    """Noise whose loudness changes at random every quarter second, [1, 1, N]."""
    generator = torch.Generator().manual_seed(seed)
    loudness = torch.rand(round(seconds * 4), generator=generator).repeat_interleave(6000)
    return (loudness * torch.randn(len(loudness), generator=generator))[None, None]


def test_the_exponential_form_has_the_anchors_of_the_reference():
    one = torch.ones(1)
    assert float(modulation.exponential(0 * one)) == 0.0
    assert float(modulation.exponential(one)) == pytest.approx(6.9, abs=0.01)
    assert float(modulation.quadratic(one)) == 1.0 and float(modulation.quadratic(-0.5 * one)) == 0.25


def test_the_gradient_of_the_quadratic_form_is_at_most_2():
    c = torch.linspace(-1, 1, 21, requires_grad=True)
    (modulation.quadratic(c) * len(c)).backward()
    assert float(c.grad.abs().max()) == pytest.approx(2.0)


def test_a_copy_correlates_fully_and_unrelated_bursts_hardly():
    a, b = noise_bursts(1), noise_bursts(2)
    assert float(modulation.sound_correlation(a, a, 24_000)) == pytest.approx(1.0, abs=1e-4)
    # 64 independent loudnesses: the correlation of chance has a standard deviation of 1/8.
    assert abs(float(modulation.sound_correlation(a, b, 24_000))) < 0.4


def test_correlation_agrees_with_numpy():
    a, b = torch.randn(1, 50), torch.randn(1, 50)
    assert float(modulation.correlation(a, b)) == pytest.approx(np.corrcoef(a[0], b[0])[0, 1], abs=1e-5)


def test_the_envelope_is_the_peak_of_each_part():
    wav = torch.zeros(1, 1, 24_000 * 8)
    wav[0, 0, 1536 * 3 + 7] = -0.5
    ramp = torch.zeros_like(wav)
    ramp[0, 0, 1536 * 3 : 1536 * 4] = 0.25
    assert float(modulation.sound_correlation(wav, ramp, 24_000)) == pytest.approx(1.0, abs=1e-3)


def test_an_envelope_read_from_latents_follows_their_norm():
    z = torch.zeros(1, 8, 40)
    z[:, :, 10:15] = 2.0
    envelope = modulation.latent_envelope(z)
    assert envelope.shape == (1, 8)
    assert float(envelope[0, 2]) == pytest.approx(2.0 * math.sqrt(8), abs=1e-4) and float(envelope[0, 5]) < 1e-3


def test_less_than_eight_seconds_are_refused():
    with pytest.raises(ValueError, match="8 s"):
        modulation.sound_correlation(torch.zeros(1, 1, 24_000), torch.zeros(1, 1, 24_000), 24_000)


@pytest.mark.parametrize("cost", [modulation.quadratic, modulation.exponential])
def test_gradients_are_finite_on_silence_and_on_a_copy(cost):
    for x in (torch.zeros(1, 8, 60), torch.rand(1, 8, 60)):
        z = x.clone().requires_grad_()
        cost(modulation.latent_correlation(z, x)).backward()
        assert torch.isfinite(z.grad).all()


def test_stretches_of_a_clip_are_compared_as_one_envelope():
    # Two clips of three stretches of five parts: what counts is the contour over all fifteen, not within a stretch.
    part = 1536
    levels = torch.rand(2, 15, generator=torch.Generator().manual_seed(1))
    others = torch.rand(2, 15, generator=torch.Generator().manual_seed(2))
    a, b = (x.repeat_interleave(part, dim=1).view(6, 1, 5 * part) for x in (levels, others))
    expected = [np.corrcoef(levels[i], others[i])[0, 1] for i in range(2)]
    assert modulation.sound_correlation(a, b, 24_000, stretches=3).tolist() == pytest.approx(expected, abs=1e-5)


def test_fewer_than_fifteen_parts_are_refused():
    short = torch.zeros(3, 1, 4 * 1536)
    with pytest.raises(ValueError, match="15 parts"):
        modulation.sound_correlation(short, short, 24_000, stretches=3)
