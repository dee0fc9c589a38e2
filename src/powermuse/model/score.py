"""The score that a composer plays from: which notes sound in each token and which are struck there.

A draft that is painted from codes alone hedges between all the notes that might come, and strikes none of them. So the
notes are settled first, and what sounds is painted from them (in two steps, as Hawthorne et al., ISMIR 2022, synthesise
spectrograms from notes). In training the painter plays the notes of the truth, where they are known.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from powermuse.recipe import FlowRecipe

NOTES = 88
"""Of a piano, from A0."""
_LOWEST_HZ, _LOWEST_CLASS = 27.5, 9
_HARMONICS = 12
_FADES_S = (0.12, 0.6)
"""Time constants of what is left of a stroke: of its noise, and of a plucked or struck string."""
_FRAME_S = 1.0 / 75.0
_TOP_HZ = 12_000.0
_WIDTH = 0.7
"""Of a partial, in channels."""


class Score(NamedTuple):
    """Both [B, 88, N] of 0 and 1: the notes that sound in each token, and those that are struck in it."""

    sounds_BQN: Tensor
    struck_BQN: Tensor


def of_roll(notes_BQT: Tensor, pool: int) -> Score:
    """The score of a roll of `data.rolls` (1 where a note sounds, 2 where it is struck), by tokens of `pool` frames."""
    spare = -notes_BQT.shape[-1] % pool
    highest_BQN = F.pad(notes_BQT, (0, spare), mode="replicate").unflatten(-1, (-1, pool)).amax(dim=-1)
    return Score((highest_BQN > 0.0).to(notes_BQT), (highest_BQN > 1.0).to(notes_BQT))


def to_roll(score: Score, pool: int, frames: int) -> Tensor:
    """The roll [B, 88, T] of so many frames that a score of tokens of `pool` frames is of: a token's stroke lies on its
    first frame."""
    roll_BQT = score.sounds_BQN.repeat_interleave(pool, dim=-1)
    roll_BQT[..., ::pool] += (score.struck_BQN > 0.0) * (2.0 - score.sounds_BQN)
    return roll_BQT[..., :frames]


def settled(chances_BQN: Tensor, recipe: FlowRecipe) -> Score:
    """The score that chances [B, 2 * 88, N] in [0, 1] of what sounds, then of what is struck, come to.

    A note is struck where its chance, with that of the likelier token beside (a stroke on a border is half in either),
    comes to `recipe.strikes` and is a peak. It sounds from there, or from the beginning of the piece, as long as its
    chance stays above `recipe.holds`; once it has faded it does not come back unstruck.
    """
    sounds_BQN, strikes_BQN = chances_BQN.chunk(2, dim=1)
    before_BQN, after_BQN = F.pad(strikes_BQN, (1, 0))[..., :-1], F.pad(strikes_BQN, (0, 1))[..., 1:]
    peak_BQN = (strikes_BQN > before_BQN) & (strikes_BQN >= after_BQN)
    struck_BQN = peak_BQN & (strikes_BQN + torch.maximum(before_BQN, after_BQN) > recipe.strikes)
    held_BQN = sounds_BQN > recipe.holds
    # Of every token the last one that struck, and the last that did not hold: it sounds where the stroke is the later.
    place_N = torch.arange(chances_BQN.shape[-1], device=chances_BQN.device)
    starts_BQN = struck_BQN.clone()
    starts_BQN[..., 0] |= held_BQN[..., 0]
    began_BQN = torch.where(starts_BQN, place_N, -1).cummax(dim=-1).values
    ended_BQN = torch.where(~held_BQN & ~starts_BQN, place_N, -1).cummax(dim=-1).values
    return Score((began_BQN > ended_BQN).to(chances_BQN), struck_BQN.to(chances_BQN))


def belonging(chord_BPT: Tensor, pool: int) -> Tensor:
    """[B, 2 * 88, N]: how each note that may sound, then that may be struck, belongs to the chord of its token, from
    how pitch classes do in each frame (`Proposal.chord_BPT`)."""
    spare = -chord_BPT.shape[-1] % pool
    mean_BPN = F.pad(chord_BPT, (0, spare), mode="replicate").unflatten(-1, (-1, pool)).mean(dim=-1)
    return mean_BPN[:, (torch.arange(NOTES) + _LOWEST_CLASS) % 12].repeat(1, 2, 1)


class Staves(nn.Module):
    """A score as painters see it: planes over channels and tokens, where partials of what sounds, is struck and fades
    away lie; and what each token is told of all its notes at once."""

    planes = 2 * (2 + len(_FADES_S))

    def __init__(self, latent_dim: int, pool: int, width: int) -> None:
        super().__init__()
        self.token_s = pool * _FRAME_S
        self.latent_dim = latent_dim
        states = 2 + len(_FADES_S)
        self.together = nn.Linear(states * NOTES, width)
        # One plane of all partials and one of the fundamentals for each state of a note, to begin with.
        begin = torch.zeros(states, NOTES, self.planes, latent_dim)
        for state in range(states):
            begin[state, :, 2 * state] = partials(latent_dim, _HARMONICS)
            begin[state, :, 2 * state + 1] = partials(latent_dim, 1)
        self.where = nn.Parameter(begin.flatten(0, 1).flatten(1))

    def forward(self, score: Score) -> tuple[Tensor, Tensor]:
        """Planes [B, planes, D, N], and what is to be added to hidden tokens, [B, N, W]."""
        states_BRN = torch.cat([score.sounds_BQN, score.struck_BQN, *self._fading(score)], dim=1)
        states_BNR = states_BRN.transpose(1, 2)
        drawn_BNE = states_BNR @ self.where
        planes_BPDN = drawn_BNE.unflatten(-1, (self.planes, self.latent_dim)).permute(0, 2, 3, 1)
        return planes_BPDN, self.together(states_BNR)

    def _fading(self, score: Score) -> list[Tensor]:
        """What is left of each note's last stroke while it sounds, 1 when it is struck, at each of the fades."""
        place_N = torch.arange(score.struck_BQN.shape[-1], device=score.struck_BQN.device)
        last_BQN = torch.where(score.struck_BQN > 0.0, place_N, -1).cummax(dim=-1).values
        alive_BQN = score.sounds_BQN * (last_BQN >= 0)
        age_s_BQN = self.token_s * (place_N - last_BQN).to(score.sounds_BQN)
        return [alive_BQN * torch.exp(-age_s_BQN / fade_s) for fade_s in _FADES_S]


def partials(latent_dim: int, harmonics: int = _HARMONICS) -> Tensor:
    """[88, D]: where a note's partials lie among Slaney's mel bands up to 12 kHz, the k-th 1 / sqrt(k) strong. For
    another kind of latents merely where its training begins."""
    note_hz = _LOWEST_HZ * 2.0 ** (torch.arange(NOTES) / 12.0)
    found_QD = torch.zeros(NOTES, latent_dim)
    channel_D = torch.arange(latent_dim)
    for k in range(1, harmonics + 1):
        mel_Q1 = _mel(k * note_hz)[:, None] / _mel(torch.tensor(_TOP_HZ)) * (latent_dim + 1) - 1.0
        near_QD = torch.exp(-0.5 * ((channel_D - mel_Q1) / _WIDTH).square()) / math.sqrt(k)
        found_QD = torch.maximum(found_QD, near_QD)
    return found_QD


def _mel(hz: Tensor) -> Tensor:
    """Slaney's scale: linear to 1 kHz, then logarithmic."""
    return torch.where(hz < 1000.0, 3.0 * hz / 200.0, 15.0 + 27.0 * torch.log(hz / 1000.0) / math.log(6.4))
