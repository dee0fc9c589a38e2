"""What every clip carries beside its latents, computed from the waveform alone so that it does not depend on a codec.

Onset strength: half-wave rectified rise of a log mel spectrum (spectral flux; Böck & Widmer, DAFx 2013), summed
over eight bands. Chroma: spectral energy folded to pitch classes after the tuning of the clip is estimated from its
spectral peaks (Müller & Ewert, ISMIR 2011). Level: RMS per frame in dBFS. All on one clock of 75 frames a second.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio.spectra import frame_count, mel_filters, power_spectrum

VERSION = 1
"""Raise when a feature changes: data sets made with another version are refused."""
SAMPLE_RATE_HZ = 24_000
HOP_SAMPLES = 320
FRAME_RATE_HZ = SAMPLE_RATE_HZ / HOP_SAMPLES
ONSET_BANDS = 8
PITCH_CLASSES = 12

_ONSET_FFT = 1024
_ONSET_MELS = 80
_ONSET_LAG_FRAMES = 2
_CHROMA_FFT = 6400  # 3.75 Hz a bin: neighbouring semitones part above 65 Hz
_CHROMA_HOPS = 4  # a frame of chroma each 53 ms is plenty for a window of 267 ms; repeated to the common clock
_CHROMA_LOW_HZ, _CHROMA_HIGH_HZ = 55.0, 2100.0
_CHROMA_BINS = 565  # up to just beyond the highest pitch looked at
_A4_HZ = 440.0


class Features(NamedTuple):
    """Onset strength [B, K, T] >= 0, chroma [B, 12, T] in [0, 1], level [B, T] in dBFS."""

    onsets_BKT: Tensor
    chroma_BPT: Tensor
    level_BT: Tensor


def extract(wav_BN: Tensor) -> Features:
    """All features of mono clips at 24 kHz, on T = ceil(N / 320) frames."""
    return Features(onset_strength(wav_BN), chroma(wav_BN), frame_level_db(wav_BN))


def onset_strength(wav_BN: Tensor) -> Tensor:
    """Rise of the compressed level (log10 units) over two frames (27 ms), mean of each band: [B, 8, T], >= 0."""
    power_BFT = power_spectrum(wav_BN, _ONSET_FFT, HOP_SAMPLES)
    mel_BMT = mel_filters(SAMPLE_RATE_HZ, _ONSET_FFT, _ONSET_MELS, 27.5, 11_000.0).to(wav_BN) @ power_BFT
    # Compression against the clip's own level, so that the onsets of a quiet recording are as strong as a loud one's.
    loudest = mel_BMT.amax(dim=(1, 2), keepdim=True).clamp_min(1e-10)
    log_BMT = torch.log10(1.0 + 1e4 * mel_BMT / loudest)
    before = F.pad(log_BMT, (_ONSET_LAG_FRAMES, 0))[..., : log_BMT.shape[-1]]
    rise_BMT = (log_BMT - before).clamp_min(0.0)
    # A clip that begins or ends inside a note has no onset at its border.
    rise_BMT[..., :_ONSET_LAG_FRAMES] = 0.0
    rise_BMT[..., -_ONSET_LAG_FRAMES:] = 0.0
    bands = rise_BMT.unflatten(1, (ONSET_BANDS, _ONSET_MELS // ONSET_BANDS))
    return bands.mean(dim=2)


def onset_envelope(onsets_BKT: Tensor) -> Tensor:
    """One onset curve [B, T] from all bands."""
    return onsets_BKT.mean(dim=1)


def frame_level_db(wav_BN: Tensor) -> Tensor:
    """RMS of each hop in dBFS, at least -100: [B, T]."""
    frames = frame_count(wav_BN.shape[-1], HOP_SAMPLES)
    padded = F.pad(wav_BN, (0, frames * HOP_SAMPLES - wav_BN.shape[-1]))
    power_BT = padded.unflatten(-1, (frames, HOP_SAMPLES)).square().mean(dim=-1)
    return 10.0 * torch.log10(power_BT.clamp_min(1e-10))


def chroma(wav_BN: Tensor) -> Tensor:
    """Tuned chroma [B, 12, T], C first; each frame's strongest class is 1, a silent frame is 0."""
    power_BFT = power_spectrum(wav_BN, _CHROMA_FFT, _CHROMA_HOPS * HOP_SAMPLES)[:, :_CHROMA_BINS]
    tuning_B = tuning_semitones(power_BFT)
    folded = [
        _chroma_filters(round(float(t) * 20) / 20).to(wav_BN) @ p for t, p in zip(tuning_B, power_BFT, strict=True)
    ]
    amplitude_BPT = torch.stack(folded).sqrt()
    strongest = amplitude_BPT.amax(dim=1, keepdim=True)
    coarse_BPT = torch.where(strongest < 1e-5, 0.0, amplitude_BPT / strongest.clamp_min(1e-5))
    return coarse_BPT.repeat_interleave(_CHROMA_HOPS, dim=-1)[..., : frame_count(wav_BN.shape[-1], HOP_SAMPLES)]


def tuning_semitones(power_BFT: Tensor) -> Tensor:
    """Deviation of each clip from A4 = 440 Hz, [B], in [-0.5, 0.5) semitones.

    The circular mean over the peaks of the clip's mean spectrum, from the power that chroma looks at.
    """
    mean_BF = power_BFT.mean(dim=-1)
    peak = (mean_BF > mean_BF.roll(1, -1)) & (mean_BF > mean_BF.roll(-1, -1))
    pitch_F = _bin_pitch()
    usable = torch.isfinite(pitch_F)
    # Parabolic refinement on log power places each peak between its bins.
    log_BF = torch.log(mean_BF.clamp_min(1e-20))
    left, right = log_BF.roll(1, -1), log_BF.roll(-1, -1)
    shift = 0.5 * (left - right) / (left - 2 * log_BF + right - 1e-9)
    hz_BF = (torch.arange(mean_BF.shape[-1]) + shift.clamp(-0.5, 0.5)) * (SAMPLE_RATE_HZ / _CHROMA_FFT)
    angle = 2 * math.pi * 12 * torch.log2(hz_BF.clamp_min(1.0) / _A4_HZ)
    weight = torch.where(peak & usable, mean_BF.sqrt(), 0.0)
    return torch.atan2((weight * torch.sin(angle)).sum(-1), (weight * torch.cos(angle)).sum(-1)) / (2 * math.pi)


def _bin_pitch() -> Tensor:
    """MIDI pitch of each bin, NaN outside the range that chroma looks at."""
    hz = torch.arange(_CHROMA_BINS) * (SAMPLE_RATE_HZ / _CHROMA_FFT)
    pitch = 69.0 + 12.0 * torch.log2(hz.clamp_min(1.0) / _A4_HZ)
    return torch.where((hz >= _CHROMA_LOW_HZ) & (hz <= _CHROMA_HIGH_HZ), pitch, torch.nan)


@lru_cache(maxsize=32)
def _chroma_filters(tuning: float) -> Tensor:
    """[12, F]: a Gaussian of 0.35 semitones around each pitch class, weighted down from 500 Hz outwards in octaves."""
    pitch_F = _bin_pitch() - tuning
    distance = (pitch_F[None] - torch.arange(12)[:, None] + 6.0) % 12.0 - 6.0
    octaves_from_500_hz = (pitch_F - 71.2) / 12.0
    weight = torch.exp(-0.5 * (distance / 0.35) ** 2) * torch.exp(-0.5 * (octaves_from_500_hz / 1.5) ** 2)
    return torch.nan_to_num(weight, nan=0.0)
