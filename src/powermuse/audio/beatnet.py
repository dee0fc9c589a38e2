"""A small net that hears beats, downbeats and the key of a clip; it learnt them of rendered songs (`bench/align.py`).

Dilated convolutions over onsets and changes of chroma (as in Davies & Böck, EUSIPCO 2019), which do not know one key
from another; the key by a template that is turned to each tonic in its turn.
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

TONICS = 12
MODES = ("major", "minor")
_CHANNELS, _LAYERS = 40, 11
_HIDDEN = 32
_PACES = 96
_CHANGES_FRAMES = (4, 16)
"""Chroma is compared with what it was so many frames ago: 53 and 213 ms."""
_ROWS = features.ONSET_BANDS + 2 * len(_CHANGES_FRAMES)
_FAINT = 1e-6
_SPEEDS = (1.0, 0.82, 0.9, 1.11, 1.22)
"""Clips are heard at, the first as they are: what is found at all of them is oftener right (`bench/align.py`)."""
_SURE = 9.0
"""Log odds beyond which a single hearing is not believed."""
SLOWEST_BPM, FASTEST_BPM = 30.0, 240.0
BINS_AN_OCTAVE = 24
BINS = 3 * BINS_AN_OCTAVE + 1
WEIGHTS = Path(str(resources.files("powermuse.audio") / "assets/beatnet.safetensors"))


class Pulse(NamedTuple):
    """What is heard of a clip: probabilities of a beat and of a downbeat at each frame [T], 75 a second, of the tempo
    by the bins of `tempi_bpm`, and of the 24 keys [12, 2], C major first; both sum to 1."""

    beat_T: np.ndarray
    downbeat_T: np.ndarray
    tempo_S: np.ndarray
    key_PM: np.ndarray


class Heads(NamedTuple):
    """Logits: of beat and downbeat [B, 2, T], of tempi [B, BINS], of keys [B, 12, 2]."""

    beats_B2T: Tensor
    tempo_BS: Tensor
    keys_BPM: Tensor


def tempi_bpm() -> np.ndarray:
    """[BINS]: the middle of each bin."""
    return SLOWEST_BPM * 2.0 ** (np.arange(BINS) / BINS_AN_OCTAVE)


class BeatNet(nn.Module):
    """Onsets [B, 8, T] and chroma [B, 24, T] to what there is to hear."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Conv1d(_ROWS, _CHANNELS, 3, padding=1)
        self.layers = nn.ModuleList(_Layer(2**i) for i in range(_LAYERS))
        self.outward = nn.Conv1d(_CHANNELS, 2, 1)
        nn.init.constant_(self.outward.bias, -3.0)  # type: ignore[arg-type]
        # What a beat is, among its halves, doubles and thirds, the whole of a clip tells, not a moment of it.
        self.pace = nn.Sequential(nn.Conv1d(_CHANNELS, _PACES, 1), nn.GELU())
        self.tempo = nn.Linear(_PACES, BINS)
        self.key = nn.Sequential(nn.Linear(2 * 2 * TONICS, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, len(MODES)))

    def forward(self, onsets_BKT: Tensor, chroma_BPT: Tensor) -> Heads:
        """See the class."""
        h_BCT = self.inward(_rows(onsets_BKT, chroma_BPT))
        for layer in self.layers:
            h_BCT = layer(h_BCT)
        tempo_BS = self.tempo(self.pace(h_BCT).mean(dim=-1))
        return Heads(self.outward(h_BCT), tempo_BS, self._keys(chroma_BPT))

    def _keys(self, chroma_BPT: Tensor) -> Tensor:
        """Of how much each pitch class sounds in bass and treble, over all and at its end, seen from each tonic."""
        last = max(1, chroma_BPT.shape[-1] // 8)
        means_B4P = torch.stack([chroma_BPT.mean(dim=-1), chroma_BPT[..., -last:].mean(dim=-1)], dim=1)
        means_BRP = means_B4P.unflatten(-1, (2, TONICS)).flatten(1, 2)
        means_BRP = means_BRP / means_BRP.sum(dim=-1, keepdim=True).clamp_min(_FAINT)
        seen = [self.key(means_BRP.roll(-tonic, dims=-1).flatten(1)) for tonic in range(TONICS)]
        return torch.stack(seen, dim=1)


class _Layer(nn.Module):
    """Three taps far apart, then a mix of channels, beside a way past them."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.taps = nn.Conv1d(_CHANNELS, 2 * _CHANNELS, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(_CHANNELS, _CHANNELS, 1)
        self.norm = nn.GroupNorm(1, _CHANNELS)

    def forward(self, h_BCT: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        out: Tensor = h_BCT + self.mix(nn.functional.glu(self.taps(self.norm(h_BCT)), dim=1))
        return out


def _rows(onsets_BKT: Tensor, chroma_BPT: Tensor) -> Tensor:
    """What the net hears: onsets against the clip's own strength, and how much bass and treble change."""
    strong_B11 = onsets_BKT.mean(dim=(1, 2), keepdim=True).clamp_min(_FAINT)
    rows = [torch.log1p(onsets_BKT / strong_B11)]
    for frames in _CHANGES_FRAMES:
        before = nn.functional.pad(chroma_BPT, (frames, 0), mode="replicate")[..., : chroma_BPT.shape[-1]]
        rows.append((chroma_BPT - before).abs().unflatten(1, (2, TONICS)).mean(dim=2))
    return torch.cat(rows, dim=1)


def hear(heard: Features) -> list[Pulse]:
    """Of each clip of a batch, listened to at several speeds, whose log odds are averaged. Raises FileNotFoundError
    where the weights of the package are missing."""
    net = _trained()
    with torch.inference_mode():
        found = [_at_speed(net, heard, speed) for speed in _SPEEDS]
    beats_B2T = torch.stack([heads.beats_B2T for heads in found]).mean(dim=0).sigmoid().numpy()
    tempo_BS = torch.stack([heads.tempo_BS for heads in found]).mean(dim=0).softmax(dim=-1).numpy()
    keys_BPM = found[0].keys_BPM.flatten(1).softmax(dim=-1).view_as(found[0].keys_BPM).numpy()
    return [
        Pulse(beats[0], beats[1], tempo, key) for beats, tempo, key in zip(beats_B2T, tempo_BS, keys_BPM, strict=True)
    ]


def _at_speed(net: BeatNet, heard: Features, speed: float) -> Heads:
    """What is heard of clips that are played so much faster, told of the clips as they are."""
    frames = heard.onsets_BKT.shape[-1]
    if speed == 1.0:
        return _bounded(net(heard.onsets_BKT, heard.chroma_BPT))
    played = max(1, round(frames / speed))
    heads = _bounded(net(_lasting(heard.onsets_BKT, played), _lasting(heard.chroma_BPT, played)))
    octaves_S = np.log2(tempi_bpm())
    rows = [np.interp(octaves_S + np.log2(frames / played), octaves_S, row) for row in heads.tempo_BS.numpy()]
    return Heads(_lasting(heads.beats_B2T, frames), torch.from_numpy(np.stack(rows)).float(), heads.keys_BPM)


def _bounded(heads: Heads) -> Heads:
    """No single hearing outvotes the others."""
    return heads._replace(beats_B2T=heads.beats_B2T.clamp(-_SURE, _SURE), tempo_BS=heads.tempo_BS.log_softmax(dim=-1))


def _lasting(rows_BRT: Tensor, frames: int) -> Tensor:
    """Rows over so many frames."""
    return nn.functional.interpolate(rows_BRT, size=frames, mode="linear", align_corners=False)


@lru_cache(maxsize=1)
def _trained() -> BeatNet:
    net = BeatNet()
    stored = {name: tensor.float() for name, tensor in safetensors.torch.load_file(WEIGHTS).items()}
    net.load_state_dict(stored)
    return net.eval()
