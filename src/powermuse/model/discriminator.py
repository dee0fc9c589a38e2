"""Discriminators of latents, real ones or composed ones: of whole clips, or patch by patch."""

import torch
from torch import Tensor, nn

from powermuse.model.layers import Dropout

_LAYERS = ((256, 3, 2), (512, 5, 2), (512, 7, 2), (256, 9, 1))  # channels, kernel, stride


class Discriminator(nn.Module):
    """Four convolutions, the mean over time, two linear layers: 3,802,881 weights at D = 128."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = latent_dim
        for width, kernel, stride in _LAYERS:
            layers += [nn.Conv1d(channels, width, kernel, stride, kernel // 2), nn.LeakyReLU(0.2), Dropout(0.3)]
            channels = width
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(channels, 128), nn.LeakyReLU(0.2), Dropout(0.3), nn.Linear(128, 1))

    def forward(self, z_BDT: Tensor, told_BPDT: Tensor | None = None) -> Tensor:
        """Logits [B]: above zero means real. Of what is told it makes nothing."""
        out: Tensor = self.head(self.convolutions(z_BDT).mean(dim=-1))[:, 0]
        return out


_PATCHES = ((16, 2), (32, 2), (64, 2), (64, 1))  # channels, stride over channels of the latents and over time
_PATCH_KERNEL = 5


class PatchDiscriminator(nn.Module):
    """Convolutions over a picture of latents, channels and time (Isola et al., CVPR 2017): each answer sees 77 channels
    and 77 frames. It judges how things sound, a regression's blur above all, not what is played; but where it is told
    that in so many `planes` beside the picture, whether this is how it would sound (Mirza & Osindero,
    arXiv:1411.1784)."""

    def __init__(self, latent_dim: int, planes: int = 0) -> None:
        super().__init__()
        channels, pad = 1 + planes, _PATCH_KERNEL // 2
        # A bass does not sound like a bell: the first layer knows where it is.
        self.place = nn.Parameter(torch.zeros(_PATCHES[0][0], -(-latent_dim // _PATCHES[0][1]), 1))
        self.layers = nn.ModuleList()
        for width, stride in _PATCHES:
            self.layers.append(nn.Conv2d(channels, width, _PATCH_KERNEL, stride, pad))
            channels = width
        self.head = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, z_BDT: Tensor, told_BPDT: Tensor | None = None) -> Tensor:
        """Logits [B, D / 8, T / 8]: above zero means real."""
        h_BCDT = in_units(z_BDT[:, None])
        if told_BPDT is not None:
            h_BCDT = torch.cat([h_BCDT, told_BPDT], dim=1)
        for i, layer in enumerate(self.layers):
            h_BCDT = layer(h_BCDT) + (self.place if i == 0 else 0.0)
            h_BCDT = nn.functional.leaky_relu(h_BCDT, 0.2)
        out: Tensor = self.head(h_BCDT)[:, 0]
        return out


def in_units(z: Tensor) -> Tensor:
    """Latents about 0, their spread 1."""
    return (z - _CENTRE) / _SPREAD


_CENTRE, _SPREAD = 5.0, 4.0
"""Of the latents of music."""
