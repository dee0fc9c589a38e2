"""Clips taken apart into rhythm, harmony and timbre, and a new pattern composed of the parts."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from powermuse.agents import Agent, masked_streams, rms
from powermuse.losses import novelty
from powermuse.model.layers import TransformerBlock, sinusoids
from powermuse.types import BadInput, Clip, Proposal

_KERNELS = {"rhythm": (3, 5), "harmony": (7, 9), "timbre": (15, 21)}
COMPONENTS = tuple(f"{side}.{part}" for side in ("groove", "harmony") for part in _KERNELS)
"""Order of the six components: groove's rhythm, harmony, timbre, then the harmony clip's."""


@dataclass(frozen=True)
class Config:
    """Options of the compositional agent."""

    width: int = 64
    """Channels of each component."""
    composer_width: int = 512
    composer_layers: int = 4
    heads: int = 8
    dropout: float = 0.1


class CompositionalAgent(Agent):
    """The composed pattern takes the groove's place: 14,515,078 weights with the defaults at D = 128, of which each
    clip's extractor has 722,048."""

    penalty_names = ("component.novelty", "component.balance")
    toy_options: ClassVar[dict[str, Any]] = {"width": 8, "composer_width": 16, "composer_layers": 1, "heads": 2}

    def __init__(self, config: Config, latent_dim: int) -> None:
        super().__init__()
        for name in ("width", "composer_width", "heads"):
            if getattr(config, name) < 1:
                raise BadInput(f"agent compositional: {name} must be above 0, not {getattr(config, name)}")
        if config.composer_layers < 0:
            raise BadInput(f"agent compositional: composer_layers must not be below 0, not {config.composer_layers}")
        if not 0.0 <= config.dropout < 1.0:
            raise BadInput(f"agent compositional: dropout must be from 0 to below 1, not {config.dropout}")
        if config.composer_width % config.heads or config.composer_width % 2:
            raise BadInput(
                f"agent compositional: composer_width ({config.composer_width}) must be even, and {config.heads} heads "
                "divide it"
            )
        self.config = config
        self.stream_dims = (latent_dim, latent_dim)
        self.extractors = nn.ModuleList(Extractor(latent_dim, config.width) for _ in range(2))
        joint = len(COMPONENTS) * config.width
        self.selector = nn.Sequential(nn.Conv1d(joint, 256, 1), nn.LeakyReLU(0.2), nn.Conv1d(256, len(COMPONENTS), 1))
        self.composer = PatternComposer(joint, latent_dim, config)

    def forward(self, groove: Clip, harmony: Clip) -> Proposal:
        """The composed pattern at the groove's RMS, and the harmony's latents, as streams."""
        components_BKWT = torch.cat([self.extractors[0](groove.z_BDT), self.extractors[1](harmony.z_BDT)], dim=1)
        weights_BKT = self.selector(components_BKWT.flatten(1, 2)).softmax(dim=1)
        pattern_BDT = self.composer((components_BKWT * weights_BKT[:, :, None]).flatten(1, 2))
        # Untrained, the pattern has RMS 0.2 against 5.7: the cascade would hear the harmony alone.
        pattern_BDT = pattern_BDT * (rms(groove.z_BDT) / rms(pattern_BDT))
        streams, residual = masked_streams(pattern_BDT, harmony.z_BDT)
        penalties = {
            "component.novelty": novelty.similarity(pattern_BDT, groove.z_BDT, harmony.z_BDT),
            "component.balance": source_balance(weights_BKT),
        }
        return Proposal(streams, residual, penalties, statistics(components_BKWT, weights_BKT))


class Extractor(nn.Module):
    """Three branches of growing reach: [B, D, T] -> [B, 3, W, T]."""

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(Branch(latent_dim, width, kernels) for kernels in _KERNELS.values())

    def forward(self, z_BDT: Tensor) -> Tensor:
        """Rhythm, harmony and timbre components."""
        return torch.stack([branch(z_BDT) for branch in self.branches], dim=1)


class Branch(nn.Module):
    """Two convolutions with a 1x1 skip from the input, then BatchNorm."""

    def __init__(self, latent_dim: int, width: int, kernels: tuple[int, int]) -> None:
        super().__init__()
        first, second = kernels
        self.convolutions = nn.Sequential(
            nn.Conv1d(latent_dim, 128, first, padding=first // 2), nn.LeakyReLU(0.2),
            nn.Conv1d(128, width, second, padding=second // 2), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.skip = nn.Conv1d(latent_dim, width, 1)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, z_BDT: Tensor) -> Tensor:
        """[B, D, T] -> [B, W, T]."""
        out: Tensor = self.norm(self.convolutions(z_BDT) + self.skip(z_BDT))
        return out


class PatternComposer(nn.Module):
    """A transformer from the weighted components to latents: [B, 6 W, T] -> [B, D, T]."""

    def __init__(self, joint: int, latent_dim: int, config: Config) -> None:
        super().__init__()
        width = config.composer_width
        self.inward = nn.Linear(joint, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, 4 * width, config.dropout, 0.0) for _ in range(config.composer_layers)
        )
        self.outward = nn.Sequential(
            nn.Linear(width, width // 2), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(width // 2, latent_dim)
        )

    def forward(self, components_BWT: Tensor) -> Tensor:
        """The composed pattern."""
        x_BTW = self.inward(components_BWT.transpose(1, 2))
        x_BTW = x_BTW + sinusoids(x_BTW.shape[1], x_BTW.shape[2]).to(x_BTW)
        for block in self.blocks:
            x_BTW = block(x_BTW)
        out: Tensor = self.outward(x_BTW).transpose(1, 2)
        return out


def source_balance(weights_BKT: Tensor) -> Tensor:
    """(share of the groove's components - 0.5)^2, from selection weights [B, 6, T] that sum to one over the six."""
    return (weights_BKT[:, : len(COMPONENTS) // 2].sum(dim=1).mean() - 0.5).square()


def statistics(components_BKWT: Tensor, weights_BKT: Tensor) -> dict[str, Tensor]:
    """Energy and mean selection weight of each component, and how far the weights are from uniform (0 to 1)."""
    with torch.no_grad():
        energy_K = components_BKWT.square().mean(dim=(0, 2, 3))
        chosen_K = weights_BKT.mean(dim=(0, 2))
        entropy = -(weights_BKT * weights_BKT.clamp_min(1e-9).log()).sum(dim=1).mean()
        told = {f"component.{name}.weight": chosen_K[i] for i, name in enumerate(COMPONENTS)}
        told |= {f"component.{name}.energy": energy_K[i] for i, name in enumerate(COMPONENTS)}
        return {**told, "component.decided": 1.0 - entropy / math.log(len(COMPONENTS))}
