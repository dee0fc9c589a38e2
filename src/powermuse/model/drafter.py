"""Stage 0 of the composing cascade: from conditions to a plan, from its score to a draft."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from powermuse.model import painter
from powermuse.model.painter import Painter
from powermuse.model.score import NOTES, Score, Staves
from powermuse.recipe import FlowRecipe

_KERNEL = 7
_ALMOST_NOTHING = 1e-3
"""Spread of weights that begin without effect, but not without a gradient to what lies before them."""
_RARE = -3.5
"""Logit of a note to begin with: of a hundred three sound."""


class Plan(NamedTuple):
    """What is made of the conditions before a note is settled: hidden tokens, a sketch in units of the flow, logits of
    the notes that sound and then of those that are struck, and planes that painters see, the levels first."""

    hidden_BNW: Tensor
    sketch_BNE: Tensor
    notes_BQN: Tensor
    told_BPDN: Tensor


class Known(NamedTuple):
    """What stage 0 makes of the conditions: hidden tokens, the draft (in units of the flow), and planes: the levels
    that channels may have, strokes, the score."""

    hidden_BNW: Tensor
    draft_BNE: Tensor
    planes_BPDN: Tensor


class Planes(NamedTuple):
    """What painters see: planes in all (but for sketch, draft and noise), and how many of them, the first, are levels
    to paint with."""

    all: int
    levels: int


class Drafter(nn.Module):
    """Stage 0: conditions to a plan, a plan and a score to a draft.

    Blocks that see all of the time plan the notes and sketch the draft; a painter finishes it from the score, with the
    levels of a palette where one of the conditions is such, with those of the last one, the colour, and with the first
    one, the rhythm, frame by frame.
    """

    def __init__(self, stream_dims: tuple[int, ...], latent_dim: int, recipe: FlowRecipe, palette: int | None) -> None:
        super().__init__()
        *running, lasting = stream_dims
        width = recipe.width
        self.recipe, self.latent_dim, self.palette = recipe, latent_dim, palette
        # Each as loud as the others, or a sparse rhythm of three bands would hardly be heard beside six hundred levels.
        self.inward = nn.ModuleList(
            nn.Sequential(nn.Linear(dim * recipe.pool, width), nn.LayerNorm(width)) for dim in running
        )
        self.mood = nn.Sequential(nn.Linear(lasting, width), nn.SiLU(), nn.Linear(width, width))
        self.missing = nn.Parameter(0.02 * torch.randn(len(stream_dims), width))
        self.orchestration = nn.Embedding(1 + len(recipe.orchestrations), width)
        self.blocks = _blocks(recipe.draft_layers, recipe)
        self.norm = nn.LayerNorm(width)
        self.sketch, self.notes = nn.Linear(width, latent_dim * recipe.pool), nn.Linear(width, 2 * NOTES)
        nn.init.constant_(self.notes.bias, _RARE)
        self.staves = Staves(latent_dim, recipe.pool, width)
        levels = lasting // latent_dim + (0 if palette is None else stream_dims[palette] // latent_dim)
        self.paints = Planes(levels + running[0] * recipe.pool + Staves.planes, levels)
        self.painter = Painter(
            self.paints.all + recipe.pool, levels, latent_dim, recipe, recipe.paint_layers, share=1.0 / levels
        )

    def plan(self, streams: tuple[Tensor, ...], kept_BC: Tensor | None, wanted_B: Tensor | None = None) -> Plan:
        """`kept_BC` is 0 where a condition is not to be known; None keeps all. `wanted_B` counts orchestrations from 1;
        0, or None, leaves them open."""
        *running, lasting = (self._in_units(i, stream) for i, stream in enumerate(streams))
        heard = [to(tokens(stream, self.recipe.pool)) for to, stream in zip(self.inward, running, strict=True)]
        x_BNW = torch.stack([self._told(i, x_BNW, kept_BC) for i, x_BNW in enumerate(heard)]).sum(dim=0)
        mood_BW = self._told(len(running), self.mood(lasting[..., 0])[:, None], kept_BC)[:, 0]
        open_B = torch.zeros(len(mood_BW), dtype=torch.long, device=mood_BW.device)
        played_BW = self.orchestration(open_B if wanted_B is None else wanted_B)
        x_BNW, mood_BW = x_BNW + played_BW[:, None], mood_BW + played_BW
        for block in self.blocks:
            x_BNW = block(x_BNW, mood_BW)
        hidden_BNW = self.norm(x_BNW)
        told_BPDN = torch.cat([self._palette(streams, kept_BC), self._rhythm(streams[0], kept_BC)], dim=1)
        return Plan(hidden_BNW, self.sketch(hidden_BNW), self.notes(hidden_BNW).transpose(1, 2), told_BPDN)

    def forward(self, plan: Plan, score: Score) -> Known:
        """The draft of a plan, as the score has it."""
        staves_BPDN, together_BNW = self.staves(score)
        planes_BPDN = torch.cat([plan.told_BPDN, staves_BPDN], dim=1)
        given_BPDN = torch.cat([planes_BPDN, painter.planes(plan.sketch_BNE, self.latent_dim)], dim=1)
        # What was planned is a belief; what is played is known.
        hidden_BNW = plan.hidden_BNW + together_BNW
        painted_BNE = painter.from_planes(self.painter(given_BPDN, hidden_BNW))
        return Known(hidden_BNW, plan.sketch_BNE + painted_BNE, planes_BPDN)

    def _rhythm(self, stream_BRT: Tensor, kept_BC: Tensor | None) -> Tensor:
        """[B, R pool, D, N]: a plane for each row of the first stream and frame of a token, the same in all channels;
        0 where it is not known."""
        row_BNE = tokens(stream_BRT, self.recipe.pool)
        if kept_BC is not None:
            row_BNE = kept_BC[:, 0, None, None] * row_BNE
        return row_BNE.transpose(1, 2)[:, :, None].expand(-1, -1, self.latent_dim, -1)

    def _palette(self, streams: tuple[Tensor, ...], kept_BC: Tensor | None) -> Tensor:
        """[B, levels, D, N] in units of the flow, 0 where a condition is not known: of colour, then of palette."""
        at = [len(streams) - 1] if self.palette is None else [len(streams) - 1, self.palette]
        frames, pool = streams[0].shape[-1], self.recipe.pool
        middle_N = (torch.arange(0, frames, pool, device=streams[0].device) + pool // 2).clamp_max(frames - 1)
        found = []
        for i in at:
            count = streams[i].shape[1] // self.latent_dim * self.latent_dim
            levels_BRT = self._in_units(i, streams[i])[:, :count]
            levels_BLDN = levels_BRT[..., middle_N].unflatten(1, (-1, self.latent_dim))
            found.append(levels_BLDN if kept_BC is None else kept_BC[:, i, None, None, None] * levels_BLDN)
        return torch.cat(found, dim=1)

    def _in_units(self, i: int, stream_BRT: Tensor) -> Tensor:
        """What comes in latent units, a palette and the last stream, in those of the flow."""
        if i == self.palette:
            known_B1T = stream_BRT[:, -1:]
            unit_BRT = known_B1T * (stream_BRT[:, :-1] - self.recipe.centre) / self.recipe.spread
            return torch.cat([unit_BRT, known_B1T], dim=1)
        lasts = i == self.missing.shape[0] - 1
        return (stream_BRT - self.recipe.centre) / self.recipe.spread if lasts else stream_BRT

    def _told(self, i: int, x_BNW: Tensor, kept_BC: Tensor | None) -> Tensor:
        if kept_BC is None:
            return x_BNW
        kept_B11 = kept_BC[:, i, None, None]
        return kept_B11 * x_BNW + (1.0 - kept_B11) * self.missing[i]


class Block(nn.Module):
    """Depthwise convolution, attention in every second one, and a feed-forward, each scaled and shifted by the mood."""

    def __init__(self, recipe: FlowRecipe, attends: bool) -> None:
        super().__init__()
        width = recipe.width
        self.heads = recipe.heads
        self.near = nn.Conv1d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.mood = nn.Linear(width, 2 * width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.look = nn.Linear(width, 3 * width) if attends else None
        self.seen = nn.Linear(width, width) if attends else None
        inner = round(recipe.ffn_multiple * width)
        self.ffn = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.gain = nn.Parameter(torch.ones(2, width))
        nn.init.normal_(self.mood.weight, std=_ALMOST_NOTHING)
        nn.init.zeros_(self.mood.bias)

    def forward(self, x_BNW: Tensor, mood_BW: Tensor) -> Tensor:
        """[B, N, W] -> [B, N, W]."""
        scale_BW, shift_BW = self.mood(F.silu(mood_BW)).chunk(2, dim=-1)
        if self.look is not None and self.seen is not None:
            q, k, v = self.look(self.norms[0](x_BNW)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            seen = F.scaled_dot_product_attention(q, k, v)
            x_BNW = x_BNW + self.gain[0] * self.seen(seen.transpose(1, 2).flatten(2))
        near_BNW = self.near(x_BNW.transpose(1, 2)).transpose(1, 2)
        moved_BNW = self.norms[1](near_BNW) * (1.0 + scale_BW[:, None]) + shift_BW[:, None]
        out: Tensor = x_BNW + self.gain[1] * self.ffn(moved_BNW)
        return out


def tokens(x_BDT: Tensor, pool: int) -> Tensor:
    """Frames taken `pool` at a time: [B, D, T] -> [B, ceil(T / pool), D pool]; the last token is filled with its last
    frame."""
    spare = -x_BDT.shape[-1] % pool
    if spare:
        x_BDT = torch.cat([x_BDT, x_BDT[..., -1:].expand(-1, -1, spare)], dim=-1)
    return x_BDT.unflatten(-1, (-1, pool)).permute(0, 2, 1, 3).flatten(2)


def _blocks(count: int, recipe: FlowRecipe) -> nn.ModuleList:
    return nn.ModuleList(Block(recipe, attends=i % 2 == 1) for i in range(count))
