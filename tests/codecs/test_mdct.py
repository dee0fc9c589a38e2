import math

import numpy as np
import pytest
import torch

from powermuse.codecs.mdct import MdctCodec

HOP = 320
CODEC = MdctCodec()


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("samples", [1, 320, 321, 640, 24_000])
def test_energy_is_kept_both_ways(samples):
    wav = noise(samples)
    z = CODEC.encode(wav)
    assert z.norm().item() == pytest.approx(57 * wav.norm().item(), rel=1e-5)
    anything = torch.randn(1, HOP, 7, generator=torch.Generator().manual_seed(1))
    assert CODEC.decode(anything).norm().item() == pytest.approx(anything.norm().item() / 57, rel=1e-5)


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 641, 24_000])
def test_the_clip_comes_back_exactly_with_zeros_after_it(samples):
    wav = noise(samples)
    back = CODEC.decode(CODEC.encode(wav))
    torch.testing.assert_close(back[..., :samples], wav, rtol=0, atol=1e-6)
    torch.testing.assert_close(back[..., samples:], torch.zeros(1, 1, -samples % HOP), rtol=0, atol=1e-6)


def test_any_latents_come_back_exactly():
    z = 5.7 * torch.randn(2, HOP, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(CODEC.encode(CODEC.decode(z)), z, rtol=0, atol=5e-5)


@pytest.mark.parametrize("hz", [100.0, 1000.0, 6000.0, 11_900.0])
def test_a_tone_lives_in_the_channels_of_its_pitch(hz):
    wav = torch.sin(2 * math.pi * hz * torch.arange(24_000, dtype=torch.float64) / 24_000).float()[None, None]
    energy = CODEC.encode(wav)[0, :, 2:-2].square().mean(dim=1)
    channel = hz / (12_000 / HOP)  # 37.5 Hz each
    near = (torch.arange(HOP) + 0.5 - channel).abs() < 2.0
    assert energy[near].sum() > 0.99 * energy.sum()


def test_inner_frames_are_the_mdct_of_the_textbook():
    """Princen & Bradley's sum with the sine window over twice the hop; the sign of each channel and the direction of
    time, in which textbooks differ, are read off the first frame."""
    wav = noise(HOP * 7)
    z = CODEC.encode(wav)[0].double().numpy() / 57
    n, k = np.arange(2 * HOP), np.arange(HOP)
    window = np.sin(math.pi / (2 * HOP) * (n + 0.5))
    cosines = math.sqrt(2 / HOP) * np.cos(math.pi / HOP * np.outer(k + 0.5, n + 0.5 + HOP / 2))
    blocks = [wav[0, 0, frame * HOP - HOP // 2 :][: 2 * HOP].double().numpy() * window for frame in range(1, 6)]
    forwards, backwards = (np.stack([cosines @ block[::step] for block in blocks], axis=1) for step in (1, -1))
    gap = {id(x): np.abs(np.abs(x[:, 0]) - np.abs(z[:, 1])).max() for x in (forwards, backwards)}
    textbook = min((forwards, backwards), key=lambda x: gap[id(x)])
    signs = np.sign(textbook[:, :1] * z[:, 1:2])
    np.testing.assert_allclose(z[:, 1:6], signs * textbook, rtol=0, atol=1e-6)


def test_a_change_reaches_its_own_frame_and_one_neighbour_and_never_wraps_around():
    changed = noise(HOP * 6)
    changed[..., -10:] += 0.1  # the outer border has no neighbour
    touched = (CODEC.encode(changed) - CODEC.encode(noise(HOP * 6)))[0].abs().amax(dim=0) > 1e-4
    assert touched.tolist() == [False] * 5 + [True]
    changed = noise(HOP * 6)
    changed[..., 3 * HOP + 5] += 0.1
    touched = (CODEC.encode(changed) - CODEC.encode(noise(HOP * 6)))[0].abs().amax(dim=0) > 1e-4
    assert touched.tolist() == [False, False, True, True, False, False]
