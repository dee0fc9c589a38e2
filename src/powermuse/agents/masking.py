"""Learned masks: each clip looks at the other by cross-attention and says what it gives."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from powermuse.agents import Agent, masked_streams, rms
from powermuse.losses import masks
from powermuse.types import BadInput, Clip, Proposal


@dataclass(frozen=True)
class Config:
    """Options of the masking agent."""

    hidden: int = 256
    """Width of the encoders and of the cross-attention."""
    heads: int = 4
    dropout: float = 0.1
    """On what cross-attention adds."""
    form: Literal["claims", "split"] = "claims"
    """`claims`: a sigmoid for each clip, as in the prototype. `split`: one mask and its complement, from the difference
    of the claims, standardised per channel and centred per clip: no channel and no clip can be given away for good."""
    sharpness: float = 8.0
    """split: slope of the mask in standard deviations of the difference of claims; overlap is about 0.4 / sharpness."""
    hard: bool = False
    """Masks of 0 and 1, each element to the stronger claim; gradients go straight through to both heads."""


class MaskingAgent(Agent):
    """Two encoders, one cross-attention used both ways, two heads: 1,083,904 weights with the defaults at D = 128."""

    penalty_names = (
        "mask.overlap", "mask.coverage", "mask.diversity", "mask.balance", "mask.clip_balance", "mask.channel_balance",
        "mask.onsets.groove", "mask.onsets.harmony",
    )  # fmt: skip
    toy_options: ClassVar[dict[str, Any]] = {"hidden": 16, "heads": 2}

    def __init__(self, config: Config, latent_dim: int) -> None:
        super().__init__()
        if config.heads < 1 or config.hidden < 2 or config.hidden % config.heads or config.hidden % 2:
            raise BadInput(f"agent masking: hidden ({config.hidden}) must be even, and {config.heads} heads divide it")
        if config.sharpness <= 0.0:
            raise BadInput(f"agent masking: sharpness must be above 0, not {config.sharpness}")
        if not 0.0 <= config.dropout < 1.0:
            raise BadInput(f"agent masking: dropout must be from 0 to below 1, not {config.dropout}")
        self.config = config
        self.stream_dims = (latent_dim, latent_dim)
        self.encoders = nn.ModuleList(_encoder(latent_dim, config.hidden) for _ in range(2))
        self.look = CrossAttention(config.hidden, config.heads, config.dropout)
        self.standardise = nn.BatchNorm1d(latent_dim, affine=False) if config.form == "split" else nn.Identity()
        self.heads = nn.ModuleList(_mask_head(config.hidden, latent_dim) for _ in range(2))

    def forward(self, groove: Clip, harmony: Clip) -> Proposal:
        """Masked latents at the RMS they had, penalties and statistics of the masks really used."""
        groove_mask, harmony_mask = self.masks(groove.z_BDT, harmony.z_BDT)
        streams, residual = masked_streams(_masked(groove.z_BDT, groove_mask), _masked(harmony.z_BDT, harmony_mask))
        used = (groove_mask, harmony_mask)
        penalties = {
            "mask.overlap": masks.overlap(*used),
            "mask.coverage": masks.coverage(*used),
            "mask.diversity": masks.temporal_diversity(*used),
            "mask.balance": masks.balance(*used),
            "mask.clip_balance": masks.clip_balance(groove_mask) + masks.clip_balance(harmony_mask),
            "mask.channel_balance": masks.channel_balance(groove_mask) + masks.channel_balance(harmony_mask),
            "mask.onsets.groove": 1.0 - masks.onset_gap(groove_mask, groove.onsets_BKT),
            "mask.onsets.harmony": 1.0 - masks.onset_gap(harmony_mask, harmony.onsets_BKT),
        }
        return Proposal(streams, residual, penalties, masks.statistics(*used), used)

    def masks(self, groove_BDT: Tensor, harmony_BDT: Tensor) -> tuple[Tensor, Tensor]:
        """Masks [B, D, T] in [0, 1] of groove and harmony."""
        a_BTH = self.encoders[0](groove_BDT).transpose(1, 2)
        b_BTH = self.encoders[1](harmony_BDT).transpose(1, 2)
        seen_a, seen_b = a_BTH + self.look(a_BTH, b_BTH), b_BTH + self.look(b_BTH, a_BTH)
        claim_a, claim_b = self.heads[0](seen_a.transpose(1, 2)), self.heads[1](seen_b.transpose(1, 2))
        if self.config.form == "split":
            soft_a = (self.config.sharpness * self._lead(claim_a - claim_b)).sigmoid()
            soft_b = 1.0 - soft_a
        else:
            soft_a, soft_b = claim_a.sigmoid(), claim_b.sigmoid()
        if not self.config.hard:
            return soft_a, soft_b
        groove_wins = (soft_a >= soft_b).to(soft_a.dtype)
        return groove_wins + (soft_a - soft_a.detach()), 1.0 - groove_wins + (soft_b - soft_b.detach())

    def _lead(self, difference_BDT: Tensor) -> Tensor:
        """The difference of claims in units of its channel's spread over the data, without the clip's own mean."""
        lead_BDT: Tensor = self.standardise(difference_BDT)
        return lead_BDT - lead_BDT.mean(dim=(1, 2), keepdim=True)


class CrossAttention(nn.Module):
    """Multi-head attention of x over y, through scaled_dot_product_attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTH: Tensor, y_BTH: Tensor) -> Tensor:
        """[B, T, H] that x draws from y."""
        q, k, v = self._split(self.query(x_BTH)), self._split(self.key(y_BTH)), self._split(self.value(y_BTH))
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        return out

    def _split(self, x_BTH: Tensor) -> Tensor:
        return x_BTH.unflatten(-1, (self.heads, -1)).transpose(1, 2).contiguous()


def _encoder(latent_dim: int, hidden: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(latent_dim, hidden, 3, padding=1), nn.ReLU(), nn.Conv1d(hidden, hidden, 3, padding=1), nn.ReLU()
    )


def _mask_head(hidden: int, latent_dim: int) -> nn.Module:
    return nn.Sequential(nn.Conv1d(hidden, hidden // 2, 3, padding=1), nn.ReLU(), nn.Conv1d(hidden // 2, latent_dim, 1))


def _masked(z_BDT: Tensor, mask_BDT: Tensor) -> Tensor:
    """The masked latents at the RMS that the clip had before."""
    masked = z_BDT * mask_BDT
    return masked * (rms(z_BDT) / rms(masked))
