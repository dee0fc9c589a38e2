"""Taking a clip apart: percussive and harmonic parts by median filtering (Fitzgerald, DAFx 2010; margins after
Driedger, Müller & Disch, ISMIR 2014), melody and treble by what lies where. Parts need not add up to the clip."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse import disk
from powermuse.audio import clips, files
from powermuse.audio.spectra import istft, stft
from powermuse.types import BadInput

_N_FFT = 2048
_HOP = 512
_MEDIAN = 31
_ROWS_AT_ONCE = 128
_PIECE, _CONTEXT = 2048 * _HOP, 32 * _HOP
"""Samples that are taken apart at a time, some 24 s, and what is looked at on either side."""
_PERCUSSIVE_MARGIN, _HARMONIC_MARGIN = 8.0, 2.0
_TREBLE_HZ = 2000.0
_MELODY_LOW_HZ, _MELODY_HIGH_HZ = 200.0, 4000.0
_EPS = 1e-10
_RATE_HZ = 44_100
_PEAK = 0.98

OnProgress = Callable[[str, int, int], None]
"""Called with: what is done, samples done, samples in all."""


class Stems(NamedTuple):
    """Parts of a clip, each [C, N] like the clip."""

    percussive: Tensor
    """What is broad in frequency and short, 8 times over what is not."""
    harmonic: Tensor
    """What is narrow and lasts, 2 times over what is not."""
    melody: Tensor
    """The harmonic part's strongest line between 200 Hz and 4 kHz, with its neighbourhood."""
    treble: Tensor
    """Everything above 2 kHz."""


def split(wav_CN: Tensor, sample_rate_hz: int) -> Stems:
    """The four parts of a clip [C, N] at its own rate. Silence gives silence."""
    samples = wav_CN.shape[-1]
    spectrum_CFT = stft(wav_CN, _N_FFT, _HOP)
    magnitude_CFT = spectrum_CFT.abs()
    lasting_CFT = _median(magnitude_CFT, dim=-1)
    broad_CFT = _median(magnitude_CFT, dim=-2)
    percussive = _soft_mask(broad_CFT, _PERCUSSIVE_MARGIN * lasting_CFT)
    harmonic = _soft_mask(lasting_CFT, _HARMONIC_MARGIN * broad_CFT)
    hz_F = torch.linspace(0, sample_rate_hz / 2, spectrum_CFT.shape[-2])
    masks = (
        percussive,
        harmonic,
        harmonic * _line(magnitude_CFT * harmonic, hz_F),
        (hz_F >= _TREBLE_HZ).float()[:, None],
    )
    return Stems(*(istft(spectrum_CFT * mask, _N_FFT, _HOP)[..., :samples] for mask in masks))


def in_pieces(wav_CN: Tensor, sample_rate_hz: int, on_progress: OnProgress = lambda *_: None) -> Stems:
    """`split` of a clip of any length, so much at a time that memory does not grow with it but for what is told: each
    piece with as much of what lies about it as its medians see."""
    samples, parts = wav_CN.shape[-1], []
    for begin in range(0, samples, _PIECE):
        on_progress("stems", begin, samples)
        first, end = max(0, begin - _CONTEXT), min(begin + _PIECE, samples)
        found = split(wav_CN[:, first : min(end + _CONTEXT, samples)], sample_rate_hz)
        parts.append([part_CN[:, begin - first : end - first] for part_CN in found])
    on_progress("stems", samples, samples)
    return Stems(*(torch.cat(of_one, dim=-1) for of_one in zip(*parts, strict=True)))


def paths(folder: str) -> dict[str, Path]:
    """Where each part goes."""
    return {name: Path(folder) / f"{name}.wav" for name in Stems._fields}


def write(file: str, folder: str, on_progress: OnProgress = lambda *_: None) -> list[Path]:
    """Takes a sound apart at 44.1 kHz, every channel, and writes a wav of each part into a folder: all or none.

    Raises BadInput for what cannot be read or is silent, and for a folder that cannot be written to.
    """
    if Path(file).resolve() in {path.resolve() for path in paths(folder).values()}:
        raise BadInput(f"{file}: would be replaced by one of its parts; name another folder with -o")
    files.check_folder(folder)
    wav_CN = files.read(file, _RATE_HZ, mono=False)
    if clips.level_db(wav_CN) < clips.SILENCE_DB:
        raise BadInput(f"{file}: silent; there is nothing to take apart")
    parts = in_pieces(torch.from_numpy(wav_CN), _RATE_HZ, on_progress)._asdict()
    Path(folder).mkdir(parents=True, exist_ok=True)
    contents = {}
    for name, part_CN in parts.items():
        path = paths(folder)[name]
        contents[path] = files.encoded(clips.limit_peaks(part_CN.numpy(), _PEAK, _RATE_HZ), _RATE_HZ, path)
    disk.write_all(contents)
    return list(contents)


def _median(magnitude_CFT: Tensor, dim: int) -> Tensor:
    """Running median over 31 frames or bins, edges repeated."""
    moved = magnitude_CFT.transpose(dim, -1)
    padded = F.pad(moved, (_MEDIAN // 2, _MEDIAN // 2), mode="replicate")
    rows = padded.split(_ROWS_AT_ONCE, dim=-2)  # 31 values an element are held at a time
    return torch.cat([r.unfold(-1, _MEDIAN, 1).median(dim=-1).values for r in rows], dim=-2).transpose(dim, -1)


def _soft_mask(part: Tensor, rest: Tensor) -> Tensor:
    """Wiener mask of power 2: 0.5 where they are equal."""
    return part.square() / (part.square() + rest.square() + _EPS)


def _line(magnitude_CFT: Tensor, hz_F: Tensor) -> Tensor:
    """1 within a semitone of each frame's strongest bin in the melody's range, and of its first five overtones."""
    inside = ((hz_F >= _MELODY_LOW_HZ) & (hz_F <= _MELODY_HIGH_HZ)).float()[:, None]
    peak_hz_CT = hz_F[(magnitude_CFT * inside).argmax(dim=-2)]
    harmonic_of = hz_F[:, None] / peak_hz_CT[..., None, :].clamp_min(1.0)
    number = harmonic_of.round().clamp(1, 6)
    near = (harmonic_of / number - 1.0).abs() < 0.06
    return (near & (magnitude_CFT.amax(dim=-2, keepdim=True) > 0)).float()
