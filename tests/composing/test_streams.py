import math

import numpy as np
import pytest
import torch
from torch import Tensor

import sounds
from powermuse import registry
from powermuse.audio import features
from powermuse.codecs import Codec
from powermuse.composing import streams

ODD = 7.513  # seconds that no hop divides


def codec(name: str) -> Codec:
    options = {"inversion_steps": 8, "phase_steps": 8} if name == "mel" else {}
    built: Codec = registry.build("codecs", name, options)
    return built.eval()


def wav(seconds: float = ODD) -> Tensor:
    return torch.from_numpy(sounds.song(seconds, 3))[None]


class Watched(Codec):
    """A codec that notes how much it is given at once."""

    def __init__(self, inner: Codec) -> None:
        super().__init__()
        self.inner, self.lengths = inner, []
        self.sample_rate_hz, self.hop_samples, self.latent_dim = (
            inner.sample_rate_hz,
            inner.hop_samples,
            inner.latent_dim,
        )

    def encode(self, wav_BCN: Tensor) -> Tensor:
        self.lengths.append(-(-wav_BCN.shape[-1] // self.hop_samples))
        return self.inner.encode(wav_BCN)

    def decode(self, z_BDT: Tensor) -> Tensor:
        self.lengths.append(z_BDT.shape[-1])
        return self.inner.decode(z_BDT)


@pytest.mark.parametrize("name", ["mel", "mdct"])
@pytest.mark.parametrize("piece", [100, 188])
def test_encoding_in_pieces_is_encoding_the_whole(monkeypatch, name, piece):
    monkeypatch.setattr(streams, "PIECE_FRAMES", piece)
    found = streams.encode(wav(), codec(name))
    torch.testing.assert_close(found.z_BDT, codec(name).encode(wav()), rtol=0, atol=2e-4)
    wanted = features.extract(wav()[:, 0])
    torch.testing.assert_close(found.level_BT, wanted.level_BT, rtol=0, atol=1e-4)
    assert found.onsets_BKT.shape == wanted.onsets_BKT.shape
    # Onsets are relative to the loudest of a piece, chroma to its tuning: nearly, not exactly, those of the whole.
    assert np.corrcoef(found.onsets_BKT.flatten(), wanted.onsets_BKT.flatten())[0, 1] > 0.99
    assert (found.chroma_BPT - wanted.chroma_BPT).abs().mean() < 0.01


def test_what_is_shorter_than_a_piece_is_not_cut():
    watched = Watched(codec("mdct"))
    z = streams.encode(wav(), watched).z_BDT
    streams.decode(z, watched)
    assert watched.lengths == [z.shape[-1], z.shape[-1]]


def test_no_codec_sees_more_than_a_piece_and_its_context(monkeypatch):
    monkeypatch.setattr(streams, "PIECE_FRAMES", 100)
    watched = Watched(codec("mdct"))
    z = streams.encode(wav(12.0), watched).z_BDT
    assert len(watched.lengths) == 9 and max(watched.lengths) <= 100 + 2 * 32
    watched.lengths.clear()
    assert streams.decode(z, watched).shape[-1] == 900 * 320
    assert set(watched.lengths) == {97}  # twelve, each overlapping the next by 24 frames, come to 900


def jumps(sound: Tensor, places: list[int], reach: int = 120) -> float:
    """The largest second difference within 5 ms of the places over the largest elsewhere."""
    second = np.abs(np.diff(sound[0, 0].numpy(), n=2))
    near = np.zeros(len(second), dtype=bool)
    for place in places:
        near[place - reach : place + reach] = True
    return float(second[near].max() / second[~near].max())


@pytest.mark.parametrize("name", ["mel", "mdct"])
def test_decoded_pieces_join_without_a_click(monkeypatch, name):
    sine = 0.14 * torch.sin(2 * math.pi * 80 * torch.arange(8 * sounds.RATE_HZ) / sounds.RATE_HZ)
    z = codec(name).encode(sine[None, None])
    begins = range(72, 505, 72)  # each piece of 96 frames begins 24 frames before the last one ends
    borders = [f * 320 for begin in begins for f in (begin, begin + 24)]
    monkeypatch.setattr(streams, "PIECE_FRAMES", 100)
    joined = streams.decode(z, codec(name))
    assert joined.shape[-1] == 600 * 320
    assert jumps(joined, borders) < 1.3
    butted = torch.cat([codec(name).decode(part) for part in z.split(76, dim=-1)], dim=-1)
    assert jumps(butted, [begin * 320 for begin in range(76, 501, 76)]) > 2  # what a click looks like


def test_each_piece_is_decoded_with_its_own_notes(monkeypatch):
    z, roll_BQT = codec("mel").encode(wav(4.0)), torch.zeros(1, 88, 300)
    roll_BQT[0, 40, 150:] = 1.0
    whole = streams.decode(z, codec("mel"), roll_BQT)
    assert torch.equal(whole, codec("mel").decode_played(z, roll_BQT))
    assert not torch.equal(whole, streams.decode(z, codec("mel")))
    monkeypatch.setattr(streams, "PIECE_FRAMES", 100)
    heard: list[Tensor] = []
    watched = Watched(codec("mel"))
    monkeypatch.setattr(watched, "decode_played", lambda z, roll: heard.append(roll) or watched.inner.decode(z))
    streams.decode(z, watched, roll_BQT)
    assert [part[0, 40].sum().item() for part in heard] == [0.0, 12.0, 81.0, 93.0]


@pytest.mark.parametrize("frames", [101, 110, 176, 177, 250])
def test_nothing_is_softer_where_pieces_of_unrelated_phases_meet(monkeypatch, frames):
    monkeypatch.setattr(streams, "PIECE_FRAMES", 100)
    noise = 0.1 * torch.randn(1, 1, frames * 320, generator=torch.Generator().manual_seed(1))
    watched = Watched(codec("mel"))
    z = codec("mel").encode(noise)
    joined = streams.decode(z, watched)
    assert sum(watched.lengths) - 24 * (len(watched.lengths) - 1) == frames and max(watched.lengths) <= 100
    whole = codec("mel").decode(z)
    parts = [wav[0, 0].unfold(0, 32 * 320, 16 * 320).square().mean(dim=-1) for wav in (joined, whole)]
    # A cross-fade of a third of a second loses up to 3 dB in its middle, and less than half of that over .4 s.
    assert float((10 * torch.log10(parts[0] / parts[1])).min()) > -2.2


def test_an_exact_codec_gives_the_sound_back_in_pieces_too(monkeypatch):
    sound = wav(8.0)
    monkeypatch.setattr(streams, "PIECE_FRAMES", 100)
    back = streams.decode(streams.encode(sound, codec("mdct")).z_BDT, codec("mdct"))
    assert (back - sound).square().mean() < 1e-5 * sound.square().mean()
