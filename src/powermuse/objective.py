"""The objective: named terms times weights. An ablation is a changed weight in a recipe."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from powermuse import stretches
from powermuse.codecs import Codec
from powermuse.losses import adversarial, flow, modulation, novelty, reconstruction
from powermuse.stretches import Stretches
from powermuse.types import BadInput, Clip, Composition, DecodedCrops, Outcome, Pair, Proposal

Term = Callable[[Outcome], Tensor]
_SIDES = ("groove", "harmony", "truth")
_ON_SOUND = ("rms", "stft", "mel", "outliers")
_MODULATION = ("modulation", "modulation_exp")


class Objective(nn.Module):
    """Weighted sum of the terms of a recipe; a term of weight zero is not computed.

    `codec` tells rates, and whether envelopes can be read off latents; `latent_mean_D`, the training set's mean of each
    channel, is taken off before novelty is measured. Raises BadInput for a name that is neither a loss term nor a
    penalty of the run's agent.
    """

    def __init__(
        self,
        weights: dict[str, float],
        penalty_names: tuple[str, ...],
        codec: type[Codec],
        latent_mean_D: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.codec = codec
        self.latent_mean_D = torch.zeros(codec.latent_dim) if latent_mean_D is None else latent_mean_D
        self.terms = loss_terms(codec, self.latent_mean_D)
        known = sorted({*self.terms, *penalty_names})
        for name in weights:
            if name not in known:
                raise BadInput(f"weights: no term is called {name!r} in this run; there are: {', '.join(known)}")
            if not math.isfinite(weights[name]):
                raise BadInput(f"weights: {name} is {weights[name]}; a finite number is wanted")
        self.weights = {name: weight for name, weight in weights.items() if weight != 0.0}
        if not self.weights:
            raise BadInput("weights: every term has weight 0: nothing to learn; name one, such as latent.groove: 1")

    @property
    def needs_sound(self) -> bool:
        """Whether a term looks at decoded waveforms."""
        return bool(self._kinds() & {*_ON_SOUND, *(() if self.codec.latents_carry_level else _MODULATION)})

    @property
    def needs_truth(self) -> bool:
        """Whether a term looks at the truth."""
        return any(name.endswith(".truth") for name in self.weights)

    @property
    def needs_adversary(self) -> bool:
        """Whether a discriminator is to judge the blends."""
        return "gan" in self.weights

    def least_frames(self, count: int) -> tuple[int, int]:
        """Frames that a crop must have at least for the terms of this objective, and its `count` stretches together."""
        if not self._kinds() & {*_MODULATION}:
            return 1, count
        frame_s = self.codec.hop_samples / self.codec.sample_rate_hz
        crop = math.ceil(modulation.LEAST_S / frame_s)
        if self.codec.latents_carry_level:
            return crop, count
        parts = math.ceil(modulation.LEAST_PARTS / count)
        return crop, crop if count == 1 else count * math.ceil(parts * modulation.PART_S / frame_s)

    def forward(self, outcome: Outcome) -> tuple[Tensor, dict[str, Tensor]]:
        """The total and every unweighted term: scalars with gradient."""
        terms = {
            name: outcome.proposal.penalties[name] if name in outcome.proposal.penalties else self.terms[name](outcome)
            for name in self.weights
        }
        total = torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()
        return total, terms

    def _kinds(self) -> set[str]:
        return {name.split(".")[0] for name in self.weights}


def loss_terms(codec: type[Codec], latent_mean_D: Tensor) -> dict[str, Term]:
    """Every loss term by the name that weights it."""
    rate_hz = codec.sample_rate_hz
    kinds: dict[str, Callable[[str, Outcome], Tensor]] = {
        "latent": lambda side, o: reconstruction.latent_l1(o.blend_BDT, _source(o, side).z_BDT),
        "rms": lambda side, o: reconstruction.rms_difference(*_sounds(o, side)),
        "stft": lambda side, o: reconstruction.multi_resolution_stft(*_sounds(o, side)),
        "mel": lambda side, o: reconstruction.log_mel_l1(*_sounds(o, side), rate_hz),
        "modulation": lambda side, o: modulation.quadratic(_envelope_correlation(codec, o, side)),
        "modulation_exp": lambda side, o: modulation.exponential(_envelope_correlation(codec, o, side)),
    }
    sided = {f"{kind}.{side}": partial(term, side) for kind, term in kinds.items() for side in _SIDES}
    return {
        **sided,
        "draft.truth": lambda o: flow.draft_error(o.composition.drafts[0], _source(o, "truth").z_BDT),
        "edges.truth": lambda o: flow.edges_error(o.composition.drafts[0], _source(o, "truth").z_BDT),
        "strokes.truth": lambda o: flow.strokes_error(o.composition.drafts[0], _source(o, "truth").z_BDT),
        "flow.truth": lambda o: flow.velocity_error(o.blend_BDT, _source(o, "truth").z_BDT, o.composition.noised),
        "notes.truth": lambda o: flow.notes_error(o.composition.notes_BQN, o.pair.notes_BQT),
        "novelty": lambda o: novelty.similarity(*_centred(o, latent_mean_D)),
        "outliers": lambda o: novelty.spectral_outliers(_sounds(o, "groove")[0], rate_hz),
        "gan": _gan,
    }


def observe(
    pair: Pair,
    proposal: Proposal,
    composition: Composition,
    codec: Codec | None,
    where: Stretches,
    fake_logits_B: Tensor | None = None,
) -> Outcome:
    """What the losses look at; decodes the stretches `where` of all clips where a codec is given."""
    if codec is None:
        return Outcome(pair, proposal, composition, None, fake_logits_B)
    with torch.no_grad():
        # Together: a recurrent decoder takes the steps of a batch for the price of one clip's.
        sources = [clip.z_BDT for clip in pair.clips]
        groove_BCN, harmony_BCN, *truth = stretches.decode(codec, torch.cat(sources), where).chunk(len(sources))
    blend_BCN = stretches.decode(codec, composition.blend_BDT, where)
    decoded = DecodedCrops(blend_BCN, groove_BCN, harmony_BCN, truth[0] if truth else None, len(where.starts))
    return Outcome(pair, proposal, composition, decoded, fake_logits_B)


def _source(outcome: Outcome, side: str) -> Clip:
    clip: Clip | None = getattr(outcome.pair, side)
    if clip is None:
        raise BadInput(
            f"weights: a term looks at the {side}, which these pairs do not have; use data.pairing=unity or triplets"
        )
    return clip


def _sounds(outcome: Outcome, side: str) -> tuple[Tensor, Tensor]:
    _source(outcome, side)
    assert outcome.decoded is not None
    return outcome.decoded.blend_BCN, getattr(outcome.decoded, f"{side}_BCN")


def _envelope_correlation(codec: type[Codec], outcome: Outcome, side: str) -> Tensor:
    if codec.latents_carry_level:
        return modulation.latent_correlation(outcome.blend_BDT, _source(outcome, side).z_BDT)
    sounds = _sounds(outcome, side)
    assert outcome.decoded is not None
    return modulation.sound_correlation(*sounds, codec.sample_rate_hz, outcome.decoded.stretches)


def _centred(outcome: Outcome, latent_mean_D: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean_D = latent_mean_D.to(outcome.blend_BDT)
    blend, groove, harmony = (
        novelty.centred(z, mean_D) for z in (outcome.blend_BDT, outcome.pair.groove.z_BDT, outcome.pair.harmony.z_BDT)
    )
    return blend, groove, harmony


def _gan(outcome: Outcome) -> Tensor:
    assert outcome.fake_logits_B is not None
    return adversarial.passes_for_real(outcome.fake_logits_B)
