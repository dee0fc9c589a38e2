"""Codes instead of clips: the rhythm of one, the chords and the colour of the other, and nothing else of either.

Where one clip alone gives chords and colour, the voicing of its chords, which has both, may pass too.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from powermuse.agents import Agent
from powermuse.codes import colour, rhythm, voicing
from powermuse.codes import harmony as chords
from powermuse.types import BadInput, Clip, Proposal

FACTORS = ("rhythm", "harmony", "colour")

RHYTHM, HARMONY, VOICING = 0, 1, 2
"""Places of the streams; the colour is the last."""


_MOST_JITTER = 5.0
"""A gain of e^5 already leaves one band of an onset."""


@dataclass(frozen=True)
class Config:
    """Options of the factors agent."""

    bands: int = 3
    """Adaptive bands of the rhythm code."""
    steps: int = 5
    """Steps that onset strengths are rounded to."""
    harmony_detail: chords.Detail = "chords"
    """What the harmony code tells beside the names of chords (`codes.harmony.told`)."""
    harmony_hold_s: float = 0.0
    """How long a chord of the harmony code holds at least."""
    voicing_quantiles: list[float] = field(default_factory=lambda: list(voicing.QUANTILES))
    colour_quantiles: list[float] = field(default_factory=lambda: list(colour.QUANTILES))
    rhythm_from: list[float] = field(default_factory=lambda: [1.0, 0.0])
    """Strength of the factor from the groove and from the harmony clip."""
    harmony_from: list[float] = field(default_factory=lambda: [0.0, 1.0])
    colour_from: list[float] = field(default_factory=lambda: [0.0, 1.0])
    voicing: bool = True
    """Whether the voicing of the chords may pass, where one clip alone gives harmony and colour."""
    voicing_drop: float = 0.2
    """Training only: chance that a clip's voicing is left open."""
    jitter: float = 0.3
    """Training only: spread of the random gain (as a logarithm) of each onset band before rhythm is read."""


class FactorsAgent(Agent):
    """Streams: rhythm [B, bands + 1, T], harmony [B, 49, T], voicing [B, Q D + 1, T] where it may pass, colour
    [B, Q D, T] (the same in every frame); and which pitch classes belong to the chord that holds, [B, 12, T], as the
    harmony code tells it. No weights.

    Neither clip's latents pass: only quantiles of the latents reach the composer, over all of the time as colour, over
    the time of each chord as voicing. There is no residual, so a mix of the clips cannot come out.
    """

    toy_options: ClassVar[dict[str, Any]] = {"voicing_drop": 0.0}

    def __init__(self, config: Config, latent_dim: int) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.strengths = {name: _strengths(name, getattr(config, f"{name}_from")) for name in FACTORS}
        voiced = (voicing.rows(latent_dim, config.voicing_quantiles),) if config.voicing else ()
        self.palette = VOICING if config.voicing else None
        # A voicing tells of chords and of colour: without either it is not there.
        self.factors = ((RHYTHM,), (HARMONY, VOICING), (VOICING + 1, VOICING)) if config.voicing else ()
        lasting = colour.rows(latent_dim, config.colour_quantiles)
        self.stream_dims = (rhythm.rows(config.bands), chords.ROWS, *voiced, lasting)

    def forward(self, groove: Clip, harmony: Clip) -> Proposal:
        """The codes of the factors, each from the clips that it is to come from; in full precision, whatever the rest
        is computed in."""
        device = groove.z_BDT.device.type  # of shapes alone, without numbers, there is no precision
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            return self._told(groove, harmony)

    def _told(self, groove: Clip, harmony: Clip) -> Proposal:
        clips = (groove, harmony)
        rhythm_BRT = self._rhythms(self._wanted("rhythm", clips))
        chordal = self._wanted("harmony", clips)
        held_s = self.config.harmony_hold_s
        states = [chords.held_for(chords.states(clip.chroma_BPT), held_s) for clip in chordal]
        detail = self.config.harmony_detail
        told = [
            chords.told(clip.chroma_BPT, states_BT, detail) for clip, states_BT in zip(chordal, states, strict=True)
        ]
        harmony_BRT = self._mean("harmony", told)
        voiced = (self._voicing(chordal[0], states[0]),) if self.config.voicing else ()
        colour_BC = self._mean("colour", [self._colour(clip) for clip in self._wanted("colour", clips)])
        streams = (rhythm_BRT, harmony_BRT, *voiced, colour_BC[..., None].expand(-1, -1, rhythm_BRT.shape[-1]))
        stats = _stats(rhythm_BRT, harmony_BRT)
        return Proposal(streams, None, {}, stats, chord_BPT=chords.belonging(harmony_BRT))

    def _wanted(self, factor: str, clips: tuple[Clip, Clip]) -> list[Clip]:
        return [clip for clip, strength in zip(clips, self.strengths[factor], strict=True) if strength > 0.0]

    def _rhythms(self, clips: list[Clip]) -> Tensor:
        """The rhythm of one clip, scaled by its strength; of two the stronger stroke of each moment, the one of the
        larger share at its full strength. Beside another clip, strokes count as what they are beside that one's: alone,
        the hiss of a pad is as strong as a drum."""
        shares = [s for s in self.strengths["rhythm"] if s > 0.0]
        codes = [self._rhythm(clip) for clip in clips]
        if len(clips) == 1:
            return min(shares[0], 1.0) * codes[0]
        full_CB = torch.stack([rhythm.full_strength(clip.onsets_BKT, self.config.bands) for clip in clips])
        louder_CB = rhythm.relative(full_CB, full_CB.amax(dim=0))
        parts = []
        for share, louder_B, code_BRT in zip(shares, louder_CB, codes, strict=True):
            onsets_BRT, level_B1T = code_BRT[:, :-1], code_BRT[:, -1:]
            parts.append(share / max(shares) * torch.cat([louder_B[:, None, None] * onsets_BRT, level_B1T], dim=1))
        return torch.stack(parts).amax(dim=0)

    def _mean(self, factor: str, codes: list[Tensor]) -> Tensor:
        """One code of those that a factor comes from, by their shares."""
        strengths = [s for s in self.strengths[factor] if s > 0.0]
        share = [s / sum(strengths) for s in strengths]
        return torch.stack([s * code for s, code in zip(share, codes, strict=True)]).sum(dim=0)

    def _rhythm(self, clip: Clip) -> Tensor:
        onsets_BKT = clip.onsets_BKT
        if self.training and self.config.jitter:
            gain_BK1 = (self.config.jitter * torch.randn_like(onsets_BKT[..., :1])).exp()
            onsets_BKT = onsets_BKT * gain_BK1
        return rhythm.code(onsets_BKT, clip.level_BT, self.config.bands, self.config.steps)

    def _voicing(self, clip: Clip, states_BT: Tensor) -> Tensor:
        """Of the clip that gives the chords, where it alone gives chords and colour; else left open."""
        alone = all(sum(s > 0.0 for s in self.strengths[name]) == 1 for name in ("harmony", "colour"))
        same = [s > 0.0 for s in self.strengths["harmony"]] == [s > 0.0 for s in self.strengths["colour"]]
        if not (alone and same):
            return voicing.unknown(clip.z_BDT, self.config.voicing_quantiles)
        code_BRT = voicing.code(clip.z_BDT, states_BT, chords.FRAMES_TOGETHER, self.config.voicing_quantiles)
        if not self.training:
            return code_BRT
        kept_B = torch.rand(len(code_BRT), device=code_BRT.device) >= self.config.voicing_drop
        return code_BRT * kept_B[:, None, None]

    def _colour(self, clip: Clip) -> Tensor:
        """In training of a random half of the clip: the colour is not to say what the whole of it plays."""
        z_BDT = clip.z_BDT
        if self.training:
            half = max(1, z_BDT.shape[-1] // 2)
            start = int(torch.randint(z_BDT.shape[-1] - half + 1, ()))
            z_BDT = z_BDT[..., start : start + half]
        return colour.code(z_BDT, self.config.colour_quantiles)


def _check(config: Config) -> None:
    """Raises BadInput for options that make no code."""
    if config.bands < 1 or config.steps < 1:
        raise BadInput(f"agent factors: bands ({config.bands}) and steps ({config.steps}) must be above 0")
    for name in ("voicing_quantiles", "colour_quantiles"):
        quantiles = getattr(config, name)
        if not quantiles or not all(0.0 <= q <= 1.0 for q in quantiles):
            raise BadInput(f"agent factors: {name} takes numbers from 0 to 1, one at least, not {quantiles}")
    if not 0.0 <= config.voicing_drop <= 1.0:
        raise BadInput(f"agent factors: voicing_drop must be from 0 to 1, not {config.voicing_drop}")
    if not 0.0 <= config.jitter <= _MOST_JITTER:
        raise BadInput(f"agent factors: jitter must be from 0 to {_MOST_JITTER:g}, not {config.jitter}")


def _stats(rhythm_BRT: Tensor, harmony_BRT: Tensor) -> dict[str, Tensor]:
    """Mean of the onset bands; chord changes a clip; share of the time without a chord."""
    changed_BT = (harmony_BRT[:, :24].diff(dim=-1) != 0).any(dim=1)
    return {
        "rhythm.density": rhythm_BRT[:, :-1].mean().detach(),
        "harmony.changes": changed_BT.float().sum(dim=-1).mean().detach(),
        "harmony.none": harmony_BRT[:, -1].mean().detach(),
    }


def _strengths(factor: str, given: list[float]) -> tuple[float, float]:
    if len(given) != 2 or min(given) < 0.0 or max(given) == 0.0:
        raise BadInput(
            f"agent factors: {factor}_from takes two strengths, from groove and harmony, not below 0 and not both 0; "
            f"not {given}"
        )
    return given[0], given[1]
