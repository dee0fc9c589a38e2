"""Signs: what a validation logs whatever the weights of the recipe are, so that the doctor can always tell."""

import torch
from torch import Tensor, nn

from powermuse.agents import rms
from powermuse.losses.novelty import centred, frame_cosine
from powermuse.types import Outcome, Pair, Proposal


def observed(outcome: Outcome, latent_mean_D: Tensor) -> dict[str, Tensor]:
    """Scalars of a batch, without gradient.

    similarity.*: |cosine| per frame, the training set's channel means removed, of the blend to groove, harmony and
    their plain sum, and of the sources to each other, which is what unrelated clips have; left out where a damaged clip
    leaves no finite mean, which must not stop a run that does not look at it. level.ratio: RMS of the blend over
    sqrt((rms_g^2 + rms_h^2) / 2). level.residual_scale: the scale factor that the bare residual would need.
    """
    with torch.no_grad():
        blend, groove, harmony = outcome.blend_BDT, outcome.pair.groove.z_BDT, outcome.pair.harmony.z_BDT
        told = {"level.ratio": (rms(blend) / _joint(groove, harmony)).mean()}
        if (residual := outcome.proposal.residual_BDT) is not None:
            told["level.residual_scale"] = (_joint(*outcome.proposal.streams) / rms(residual)).mean()
        if bool(torch.isfinite(latent_mean_D).all()):
            mean_D = latent_mean_D.to(blend)
            b, g, h, both = (centred(z, mean_D) for z in (blend, groove, harmony, 0.5 * (groove + harmony)))
            pairs = {"groove": (b, g), "harmony": (b, h), "sum": (b, both), "sources": (g, h)}
            told |= {f"similarity.{name}": frame_cosine(*pair) for name, pair in pairs.items()}
        return told


def swap_response(agent: nn.Module, pair: Pair, outcome: Outcome) -> dict[str, Tensor]:
    """How far the groove's mask moves when the harmony is another clip of the batch, with gradient; empty for agents
    without masks and for a batch of one."""
    if outcome.proposal.masks is None or len(pair.groove.z_BDT) < 2:
        return {}
    other: Proposal = agent(pair.groove, pair.harmony.map(lambda x: x.roll(1, 0)))
    assert other.masks is not None
    return {"swap_response": (other.masks[0] - outcome.proposal.masks[0]).abs().mean()}


def _joint(*latents: Tensor) -> Tensor:
    return torch.stack([rms(z).square() for z in latents]).mean(dim=0).sqrt()
