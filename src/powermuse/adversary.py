"""The adversary: a discriminator of latents with its own optimiser and state (after audiocraft's AdversarialLoss)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from powermuse import optimizers, weights
from powermuse.losses import adversarial
from powermuse.model.discriminator import Discriminator, PatchDiscriminator
from powermuse.recipe import AdversaryRecipe

_BETAS = (0.5, 0.999)


class Adversary:
    """Owns discriminator and optimiser. The trainer asks it to judge blends, and lets it learn every few steps."""

    def __init__(self, recipe: AdversaryRecipe, latent_dim: int, learning_rate: float, weight_decay: float) -> None:
        self.recipe = recipe
        self.network = (PatchDiscriminator if recipe.hears == "patches" else Discriminator)(latent_dim)
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

    def judge(self, blend_BDT: Tensor) -> Tensor:
        """Logits of blends, [B] or of patches [B, D / 8, T / 8], with a gradient to the blends alone."""
        self.network.requires_grad_(False)
        logits_B: Tensor = self.network(blend_BDT)
        self.network.requires_grad_(True)
        return logits_B

    def learn(
        self, real_BDT: Tensor, blend_BDT: Tensor, stop: Tensor, share: Callable[[nn.Module], None] = lambda _: None
    ) -> dict[str, Tensor]:
        """One step of the discriminator, and how often it was right. Real clips are rolled by one in the batch, so that
        none stands beside the blend made of it; `stop` (0 or 1, on the device) keeps a bad step from its weights.
        `share` makes the gradients those of all processes."""
        real_B, fake_B = self.network(torch.cat([real_BDT.detach().roll(1, 0), blend_BDT.detach()])).chunk(2)
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
