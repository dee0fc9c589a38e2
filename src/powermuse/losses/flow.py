"""What a composer by flow matching learns from: its draft, the velocity of its flow, its notes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.losses.modulation import correlation
from powermuse.types import BadInput, Noised

_UNIT = 4.0
"""Standard deviation of the latents of music: errors are told in it."""
_LEAST_LEFT = 0.2
"""1 - t is not taken for less: near the end the velocity is the error of the latents over next to nothing."""
_STRIKE_WEIGHT = 5.0
"""Of strokes, which are so much rarer than what sounds."""
_OCTAVE = 12
_HEARD_BELOW_LOUDEST = 12.0
"""40 dB in latents of the mel codec: what is fainter is not heard as a stroke."""
_ONSET_LAG = 2
"""Frames over which a level rises."""


def draft_error(draft_BDT: Tensor, truth_BDT: Tensor) -> Tensor:
    """Mean of |e| + e^2 / 2 of the draft's error e, in standard deviations of music."""
    error_BDT = (draft_BDT - truth_BDT) / _UNIT
    return (error_BDT.abs() + 0.5 * error_BDT.square()).mean()


def edges_error(draft_BDT: Tensor, truth_BDT: Tensor) -> Tensor:
    """Mean error of the change from frame to frame, in standard deviations of music; 0 of a single frame. It is least
    where a stroke that may come a frame sooner or later is left out: a heavy weight makes strokes fainter (LOG.md)."""
    if draft_BDT.shape[-1] < 2:
        return 0.0 * draft_BDT.sum()
    return ((draft_BDT - truth_BDT).diff(dim=-1) / _UNIT).abs().mean()


def strokes_error(draft_BDT: Tensor, truth_BDT: Tensor) -> Tensor:
    """1 - r, mean over clips, of the onset envelopes' correlation r: [0, 2]; 1 where either has no strokes, 0 of less
    than three frames. It sees what is struck between strokes, as a discriminator has it.

    The envelope is the mean rise over two frames of what lies within 40 dB of the clip's loudest band, as
    `audio.features` hears it, here of latents that are levels (`codecs.mel`).
    """
    if draft_BDT.shape[-1] <= _ONSET_LAG:
        return 0.0 * draft_BDT.sum()
    strokes = [_onset_envelope(z_BDT) for z_BDT in (draft_BDT, truth_BDT)]
    return 1.0 - correlation(*strokes).mean()


def _onset_envelope(z_BDT: Tensor) -> Tensor:
    """[B, T - 2]."""
    loudest_B11 = z_BDT.amax(dim=(1, 2), keepdim=True).detach()
    heard_BDT = F.softplus(z_BDT - loudest_B11 + _HEARD_BELOW_LOUDEST)
    rise_BDT = (heard_BDT[..., _ONSET_LAG:] - heard_BDT[..., :-_ONSET_LAG]).clamp_min(0.0)
    return rise_BDT.mean(dim=1)


def velocity_error(clean_BDT: Tensor, truth_BDT: Tensor, noised: Noised | None) -> Tensor:
    """Mean squared error of the velocity that leads from noise to latents, in standard deviations of music: that of the
    latents found behind noise at time t, over (1 - t)^2 (Lipman et al., ICLR 2023, eq. 14, told in latents).

    Raises BadInput where nothing was noised: the composer of the run is no flow.
    """
    if noised is None:
        raise BadInput(
            "weights: flow.truth wants composer=flow with flow.refine_layers above 0, and pairs with a truth"
        )
    squared_B = ((clean_BDT - truth_BDT) / _UNIT).square().mean(dim=(1, 2))
    return (squared_B / (1.0 - noised.time_B).clamp_min(_LEAST_LEFT).square()).mean()


def notes_error(logits_BQN: Tensor | None, notes_BQT: Tensor | None) -> Tensor:
    """Cross-entropy of logits [B, 176, N], of notes that sound and of those that are struck, against a roll [B, 88, T]
    (see `Pair`), in bits a token and octave, those of strokes five times; a mean over the clips whose notes are known
    (none of them -1), 0 where there is no such clip. Raises BadInput where one of the two is not there, or the T frames
    are not N whole tokens."""
    if logits_BQN is None or notes_BQT is None:
        raise BadInput("weights: notes.truth wants composer=flow, and rendered triplets with data.notes=true")
    frames, tokens = notes_BQT.shape[-1], logits_BQN.shape[-1]
    if frames % tokens:
        raise BadInput(f"weights: notes.truth wants data.crop_frames ({frames}) to be a multiple of flow.pool")
    roll_BQN = notes_BQT.to(logits_BQN).unflatten(-1, (tokens, -1)).amax(dim=-1)
    known_B = (roll_BQN.amin(dim=(1, 2)) >= 0.0).to(logits_BQN)
    wanted_BQN = torch.cat([roll_BQN > 0.0, roll_BQN > 1.0], dim=1).to(logits_BQN)
    error_BQN = F.binary_cross_entropy_with_logits(logits_BQN, wanted_BQN, reduction="none")
    sounds_BQN, strikes_BQN = error_BQN.chunk(2, dim=1)
    error_B = _OCTAVE * (sounds_BQN + _STRIKE_WEIGHT * strikes_BQN).mean(dim=(1, 2)) / math.log(2.0)
    return (known_B * error_B).sum() / known_B.sum().clamp_min(1.0)
