"""The adversary: a discriminator of latents with its own optimiser and state (after audiocraft's AdversarialLoss).

One that hears `playing` is told, beside real and composed latents, the notes that are played and how the harmony clip
sounds: a patch that would pass for music, but not for these notes or these instruments, does not pass.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from powermuse import optimizers, weights
from powermuse.codes import colour
from powermuse.losses import adversarial
from powermuse.model import score
from powermuse.model.discriminator import Discriminator, PatchDiscriminator, in_units
from powermuse.recipe import AdversaryRecipe
from powermuse.types import Pair

_BETAS = (0.5, 0.999)
_COLOURS = (0.5, 0.9)
"""Quantiles of the harmony clip that a discriminator is told: as loud as it mostly is, and as it is when struck."""


class Adversary:
    """Owns discriminator and optimiser. The trainer asks it to judge blends, and lets it learn every few steps."""

    def __init__(self, recipe: AdversaryRecipe, latent_dim: int, learning_rate: float, weight_decay: float) -> None:
        self.recipe = recipe
        self.network = network(recipe, latent_dim)
        self.optimizer = optimizers.adamw(
            self.network.parameters(), learning_rate * recipe.rate_share, weight_decay, _BETAS
        )

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Everything that decides how it goes on, for a checkpoint: tensors by group and name."""
        return {
            "adversary": self.network.state_dict(),
            "adversary_optimizer": optimizers.optimizer_tensors(self.optimizer, self.network),
        }

    def restore(self, tensors: dict[str, dict[str, Tensor]], where: str) -> None:
        """Puts `state` back. Raises BadInput where it is not there, or is another network's."""
        weights.fit_tensors(self.network, tensors.get("adversary", {}), where)
        optimizers.restore_optimizer(self.optimizer, self.network, tensors.get("adversary_optimizer", {}))

    def told(self, pair: Pair) -> Tensor | None:
        """What it is told of a pair beside latents, planes [B, 4, D, T]: where partials lie of what sounds and of what
        is struck, none of notes that nobody knows; levels of the harmony clip. None where it hears latents alone."""
        if self.recipe.hears != "playing":
            return None
        assert pair.notes_BQT is not None, "seen to when the run is set up"
        played = score.of_roll(pair.notes_BQT, 1)
        z_BDT = pair.harmony.z_BDT
        lie_QD = score.partials(z_BDT.shape[1]).to(z_BDT)
        drawn = [torch.einsum("bqt,qd->bdt", notes_BQT, lie_QD) for notes_BQT in played]
        levels_BD = in_units(colour.code(z_BDT, _COLOURS)).chunk(len(_COLOURS), dim=1)
        return torch.stack([*drawn, *(level_BD[..., None].expand_as(z_BDT) for level_BD in levels_BD)], dim=1)

    def judge(self, blend_BDT: Tensor, told_BPDT: Tensor | None = None, learning: bool = True) -> Tensor:
        """Logits of blends, [B] or of patches [B, D / 8, T / 8], with a gradient to the blends alone; without dropout,
        always the same of the same, where nobody is `learning`."""
        self.network.requires_grad_(False)
        self.network.train(learning)
        logits_B: Tensor = self.network(blend_BDT, told_BPDT)
        self.network.train()
        self.network.requires_grad_(True)
        return logits_B

    def learn(
        self,
        real_BDT: Tensor,
        blend_BDT: Tensor,
        stop: Tensor,
        share: Callable[[nn.Module], None] = lambda _: None,
        told_BPDT: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One step of the discriminator, and how often it was right. Real clips are rolled by one in the batch, so that
        none stands beside the blend made of it; `stop` (0 or 1, on the device) keeps a bad step from its weights.
        `share` makes the gradients those of all processes; `told_BPDT` is what both are told of each pair."""
        both_BDT = torch.cat([real_BDT.detach().roll(1, 0), blend_BDT.detach()])
        both_told = None if told_BPDT is None else torch.cat([told_BPDT.roll(1, 0), told_BPDT])
        real_B, fake_B = self.network(both_BDT, both_told).chunk(2)
        loss = adversarial.told_apart(real_B, fake_B)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share(self.network)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.optimizer.found_inf = stop  # type: ignore[attr-defined]
        self.optimizer.step()
        return {
            "adversary.loss": loss.detach(),
            "adversary.right_of_real": (real_B.detach() > 0).float().mean(),
            "adversary.right_of_fake": (fake_B.detach() <= 0).float().mean(),
        }


def network(recipe: AdversaryRecipe, latent_dim: int) -> Discriminator | PatchDiscriminator:
    """An untrained discriminator."""
    if recipe.hears == "clips":
        return Discriminator(latent_dim)
    return PatchDiscriminator(latent_dim, told_planes(recipe))


def told_planes(recipe: AdversaryRecipe) -> int:
    """How many planes it is told beside latents."""
    return 2 + len(_COLOURS) if recipe.hears == "playing" else 0
