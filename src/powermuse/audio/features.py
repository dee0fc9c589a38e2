"""What every clip carries beside its latents, computed from the waveform alone so that it does not depend on a codec.

Onset strength: half-wave rectified rise of a log mel spectrum (spectral flux; Böck & Widmer, DAFx 2013), summed
over eight bands. Chroma: note strengths folded to pitch classes, bass and treble apart (NNLS chroma; Mauch & Dixon,
ISMIR 2010). Level: RMS per frame in dBFS. All on one clock of 75 frames a second.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio import clock, pitches
from powermuse.audio.spectra import frame_count, mel_filters, power_spectrum

VERSION = 2
"""Raise when a feature changes: data sets made with another version are refused."""
SAMPLE_RATE_HZ, HOP_SAMPLES, FRAME_RATE_HZ = clock.SAMPLE_RATE_HZ, clock.HOP_SAMPLES, clock.FRAME_RATE_HZ
ONSET_BANDS = 8
CHROMA_ROWS = 24
"""Twelve pitch classes of the bass, then twelve of what lies above it."""

_ONSET_FFT = 1024
_ONSET_MELS = 80
_ONSET_LAG_FRAMES = 2
_FAINT = 1e-6


class Features(NamedTuple):
    """Onset strength [B, K, T] >= 0, chroma [B, 24, T] in [0, 1], level [B, T] in dBFS."""

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
    """Tuned chroma [B, 24, T]: 12 pitch classes of the bass, C first, then 12 of what lies above it. The strongest of a
    frame is 1, a silent frame is 0; drums are held down and overtones taken for their notes (`pitches`)."""
    frames = frame_count(wav_BN.shape[-1], HOP_SAMPLES)
    padded_BN = F.pad(wav_BN, (0, max(0, pitches.HOP_SAMPLES - wav_BN.shape[-1])))
    together = [torch.from_numpy(np.concatenate(pitches.chromas(pitches.strengths(w)))) for w in padded_BN.numpy()]
    coarse_BPT = torch.stack(together).to(wav_BN)
    coarse_BPT = coarse_BPT / coarse_BPT.amax(dim=1, keepdim=True).clamp_min(_FAINT)
    return coarse_BPT.repeat_interleave(pitches.HOP_SAMPLES // HOP_SAMPLES, dim=-1)[..., :frames]
