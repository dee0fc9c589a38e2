"""The latent discriminator: real latents or composed ones."""

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

    def forward(self, z_BDT: Tensor) -> Tensor:
        """Logits [B]: above zero means real."""
        out: Tensor = self.head(self.convolutions(z_BDT).mean(dim=-1))[:, 0]
        return out
