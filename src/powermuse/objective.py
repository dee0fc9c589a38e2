"""The objective: named terms times weights. An ablation is a changed weight in a recipe."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from powermuse.codecs import Codec
from powermuse.losses import reconstruction
from powermuse.types import BadInput, Clip, Composition, DecodedCrops, Outcome, Pair, Proposal

Term = Callable[[Outcome], Tensor]
_AGAINST = ("groove", "harmony", "truth")


class Objective(nn.Module):
    """Weighted sum of the terms of a recipe; a term of weight zero is not computed.

    Raises BadInput for a name that is neither a loss term nor a penalty of the run's agent.
    """

    def __init__(self, weights: dict[str, float], penalty_names: tuple[str, ...], sample_rate_hz: int) -> None:
        super().__init__()
        self.terms = loss_terms(sample_rate_hz)
        known = {*self.terms, *penalty_names}
        for name in weights:
            if name not in known:
                raise BadInput(
                    f"weights: no term is called {name!r} in this run; there are: {', '.join(sorted(known))}"
                )
            if not math.isfinite(weights[name]):
                raise BadInput(f"weights: {name} is {weights[name]}; a finite number is wanted")
        self.weights = {name: weight for name, weight in weights.items() if weight != 0.0}
        if not self.weights:
            raise BadInput("weights: every term has weight 0: nothing to learn; name one, such as latent.groove: 1")

    @property
    def needs_sound(self) -> bool:
        """Whether a term looks at decoded waveforms."""
        return any(name.split(".")[0] in ("rms", "stft", "mel") for name in self.weights)

    @property
    def needs_truth(self) -> bool:
        """Whether a term looks at the truth."""
        return any(name.endswith(".truth") for name in self.weights)

    def forward(self, outcome: Outcome) -> tuple[Tensor, dict[str, Tensor]]:
        """The total (scalar, with gradient) and every unweighted term (scalars, without)."""
        terms = {
            name: outcome.proposal.penalties[name] if name in outcome.proposal.penalties else self.terms[name](outcome)
            for name in self.weights
        }
        total = torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()
        return total, {name: value.detach() for name, value in terms.items()}


def loss_terms(sample_rate_hz: int) -> dict[str, Term]:
    """Every loss term by the name that weights it."""
    kinds: dict[str, Callable[[str, Outcome], Tensor]] = {
        "latent": lambda side, o: reconstruction.latent_l1(o.blend_BDT, _source(o, side).z_BDT),
        "rms": lambda side, o: reconstruction.rms_difference(*_sounds(o, side)),
        "stft": lambda side, o: reconstruction.multi_resolution_stft(*_sounds(o, side)),
        "mel": lambda side, o: reconstruction.log_mel_l1(*_sounds(o, side), sample_rate_hz),
    }
    return {f"{kind}.{side}": partial(term, side) for kind, term in kinds.items() for side in _AGAINST}


def observe(
    pair: Pair, proposal: Proposal, composition: Composition, codec: Codec | None, start: int, frames: int
) -> Outcome:
    """What the losses look at; decodes `frames` frames from `start` of all clips where a codec is given."""
    if codec is None:
        return Outcome(pair, proposal, composition)
    window = slice(start, start + frames)
    with torch.no_grad():
        groove_BCN, harmony_BCN = (codec.decode(clip.z_BDT[..., window]) for clip in (pair.groove, pair.harmony))
        truth_BCN = None if pair.truth is None else codec.decode(pair.truth.z_BDT[..., window])
    blend_BCN = codec.decode(composition.blend_BDT[..., window])
    return Outcome(pair, proposal, composition, DecodedCrops(blend_BCN, groove_BCN, harmony_BCN, truth_BCN))


def _source(outcome: Outcome, side: str) -> Clip:
    clip: Clip | None = getattr(outcome.pair, side)
    if clip is None:
        raise BadInput(f"weights: a term looks at the {side}, which these pairs do not have; use data.pairing=unity")
    return clip


def _sounds(outcome: Outcome, side: str) -> tuple[Tensor, Tensor]:
    _source(outcome, side)
    assert outcome.decoded is not None
    return outcome.decoded.blend_BCN, getattr(outcome.decoded, f"{side}_BCN")
