"""A small net that hears where the bars of a grid of equal beats begin, and whether it is the music's grid at all.

What sounds is told beat by beat, in twelfths of a beat, so that a tempo is no part of it (after Krebs, Böck, Dorfer &
Widmer, ISMIR 2016, who hear downbeats so), with how much each beat is like those around it. It learnt of rendered
songs (`bench/bars.py`).
"""

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from powermuse.audio import features
from powermuse.audio.features import Features

TICKS = 12
"""Parts of a beat: sixteenths and triplets have each a whole number of them."""
METRES = (3, 4)
"""Beats of a bar that are looked for: bars of two are taken two at a time, bars of six as two of three."""
BARS = tuple((beats, first) for beats in METRES for first in range(beats))
"""What may be: beats of a bar, and which beat of the grid, from 0, is the first of one."""
LEAST_FRAMES = 240
"""It learnt of no shorter clip."""
_LAGS = 8
"""Beats away that a beat is compared with, in either direction."""
_TONES = 12
ROWS = features.ONSET_BANDS * TICKS + 3 * 2 * _LAGS + 2 * _TONES
_CHANNELS = 48
_DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)
_METRE_WEIGHT = 3.0
_FAINT, _FAINT_CHROMA = 1e-6, 1e-3
WEIGHTS = Path(str(resources.files("powermuse.audio") / "assets/barnet.safetensors"))


class Beats(NamedTuple):
    """Equal beats from the first on, in frames."""

    first: float
    period: float

    def count(self, frames: int) -> int:
        """How many of them lie within so many frames, one at least."""
        return max(1, int((frames - 1 - self.first) / self.period) + 1)


class Told(NamedTuple):
    """What is heard of a grid: the logarithm of the chance of each of `BARS`, and how well the grid fits (a logarithm
    of odds, to be compared with another grid's of the same clip)."""

    bars_H: np.ndarray
    fits: float


class Heads(NamedTuple):
    """Of each grid the scores of `BARS`, [B, 7], to be put through a softmax, and how well it fits, [B]."""

    bars_BH: Tensor
    fits_B: Tensor


class BarNet(nn.Module):
    """Rows of beats [B, N, ROWS], and [B, N], 1 where there is a beat, to what there is to hear."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.inward = nn.Conv1d(ROWS, _CHANNELS, 1)
        self.layers = nn.ModuleList(_Layer(dilation, dropout) for dilation in _DILATIONS)
        self.outward = nn.Conv1d(_CHANNELS, len(METRES), 1)
        self.metre = nn.Linear(_CHANNELS, len(METRES))
        self.fits = nn.Linear(_CHANNELS, 1)

    def forward(self, rows_BNR: Tensor, there_BN: Tensor) -> Heads:
        """See the class."""
        h_BCN = self.inward(rows_BNR.transpose(1, 2))
        for layer in self.layers:
            h_BCN = layer(h_BCN, there_BN)
        h_BCN = h_BCN * there_BN[:, None]
        mean_BC = h_BCN.sum(dim=-1) / there_BN.sum(dim=-1, keepdim=True)
        first_B2N = self.outward(h_BCN) * there_BN[:, None]
        fits_B1 = self.fits(nn.functional.gelu(mean_BC))
        return Heads(_of_bars(first_B2N, _METRE_WEIGHT * self.metre(mean_BC)), fits_B1[:, 0])


class _Layer(nn.Module):
    """Three taps some beats apart, then a mix of channels, beside a way past them."""

    def __init__(self, dilation: int, dropout: float) -> None:
        super().__init__()
        self.taps = nn.Conv1d(_CHANNELS, 2 * _CHANNELS, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(_CHANNELS, _CHANNELS, 1)
        self.norm = nn.LayerNorm(_CHANNELS)  # each beat by itself: what a batch is filled up with must not count
        self.dropout = nn.Dropout(dropout)

    def forward(self, h_BCN: Tensor, there_BN: Tensor) -> Tensor:
        """[B, C, N] -> [B, C, N]; beyond the beats that are there it sees zeros, as beyond the ends."""
        level_BCN = self.norm(h_BCN.transpose(1, 2)).transpose(1, 2) * there_BN[:, None]
        out: Tensor = h_BCN + self.mix(self.dropout(nn.functional.glu(self.taps(level_BCN), dim=1)))
        return out


def _of_bars(first_B2N: Tensor, metre_B2: Tensor) -> Tensor:
    """[B, 7]: what speaks for each of `BARS`: its first beats against all beats, and its metre."""
    found = []
    for beats, first in BARS:
        of_metre_BN = first_B2N[:, METRES.index(beats)]
        against_B = of_metre_BN[:, first::beats].sum(dim=-1) - of_metre_BN.sum(dim=-1) / beats
        found.append(against_B + metre_B2[:, METRES.index(beats)])
    return torch.stack(found, dim=1)


def rows(strokes_NKI: np.ndarray, chroma_NP: np.ndarray) -> np.ndarray:
    """[N, ROWS] from onsets by beats, bands and ticks (`strokes`) and the mean chroma of each beat (`chords`)."""
    strong = max(float(strokes_NKI.mean()), _FAINT)
    pattern_NE = np.log1p(strokes_NKI / strong).reshape(len(strokes_NKI), -1)
    bass_NP = _unit(chroma_NP[:, :_TONES], _FAINT_CHROMA)
    treble_NP = _unit(chroma_NP[:, _TONES:], _FAINT_CHROMA)
    alike = [_alike(unit) for unit in (_unit(pattern_NE, _FAINT), bass_NP, treble_NP)]
    # Seen from the tone that the bass has most: no key is another's.
    home = int(bass_NP.sum(axis=0).argmax())
    turned = [np.roll(tones_NP, -home, axis=1) for tones_NP in (bass_NP, treble_NP)]
    return np.concatenate([pattern_NE, *alike, *turned], axis=1).astype(np.float32)


def strokes(onsets_KT: np.ndarray, beats: Beats, count: int) -> np.ndarray:
    """[N, K, TICKS]: the onsets of so many beats, summed over ticks, each of which lies about its time."""
    borders = beats.first + beats.period * (np.arange(count * TICKS + 1) - 0.5) / TICKS
    return _summed(onsets_KT, borders).reshape(len(onsets_KT), count, TICKS).transpose(1, 0, 2)


def chords(chroma_PT: np.ndarray, beats: Beats, count: int) -> np.ndarray:
    """[N, 24]: the mean chroma of each of so many beats."""
    borders = beats.first + beats.period * np.arange(count + 1)
    return _summed(chroma_PT, borders).T / beats.period


def _summed(x_RT: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """The sum of each row from one border to the next, in frames; 0 beyond the ends."""
    sums_RT = np.concatenate([np.zeros((len(x_RT), 1)), x_RT.cumsum(axis=1, dtype=np.float64)], axis=1)
    inside = borders.clip(0.0, x_RT.shape[1])
    whole = np.floor(inside).astype(np.int64).clip(0, x_RT.shape[1] - 1)
    part = inside - whole
    found_RE = np.diff(sums_RT[:, whole] * (1.0 - part) + sums_RT[:, whole + 1] * part, axis=1)
    # What a sum of much and a sum of as much differ by may lie below nothing by a rounding.
    found: np.ndarray = found_RE.clip(0.0).astype(np.float32)
    return found


def _unit(x_NE: np.ndarray, faint: float) -> np.ndarray:
    found: np.ndarray = x_NE / np.maximum(np.linalg.norm(x_NE, axis=1, keepdims=True), faint)
    return found


def _alike(unit_NE: np.ndarray) -> np.ndarray:
    """[N, 2 lags]: the cosine of each beat with those 1, 2, ... before it and after it, 0 where there is none."""
    count = len(unit_NE)
    found = np.zeros((count, 2, _LAGS), np.float32)
    for lag in range(1, min(_LAGS, count - 1) + 1):
        cosine = (unit_NE[lag:] * unit_NE[:-lag]).sum(axis=1)
        found[lag:, 0, lag - 1] = cosine
        found[:-lag, 1, lag - 1] = cosine
    return found.reshape(count, -1)


def hear(heard: Features, beats: Beats) -> Told:
    """What is heard of a grid in one clip (a batch of one). Raises FileNotFoundError where the weights of the package
    are missing."""
    onsets_KT, chroma_PT = heard.onsets_BKT[0].numpy(), heard.chroma_BPT[0].numpy()
    count = beats.count(onsets_KT.shape[1])
    told_1NR = torch.from_numpy(rows(strokes(onsets_KT, beats, count), chords(chroma_PT, beats, count)))[None]
    with torch.inference_mode():
        heads = _trained()(told_1NR, told_1NR.new_ones(1, count))
    return Told(heads.bars_BH[0].log_softmax(dim=-1).numpy(), float(heads.fits_B[0]))


@lru_cache(maxsize=1)
def _trained() -> BarNet:
    net = BarNet()
    net.load_state_dict({name: tensor.float() for name, tensor in safetensors.torch.load_file(WEIGHTS).items()})
    return net.eval()
