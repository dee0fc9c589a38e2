"""The composing cascade: stage 0 drafts from codes, stage 1 refines the draft by conditional flow matching.

Latents are taken `pool` frames at a time, as tokens. Stage 0 is a regression: what the codes leave open comes out as a
mean. Stage 1 goes from noise, or from noise around the draft, to latents along straight lines (Lipman et al., ICLR
2023): at time t it sees (1 - t) noise + t latents, and what stage 0 knows, and answers the latents themselves; the
velocity follows (Li & He, arXiv:2511.13720). In training each condition is dropped at random, so that in generation
each has a guidance of its own (Ho & Salimans 2022; per condition as in JASCO, arXiv:2406.10970).
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from powermuse.model import painter
from powermuse.model.painter import Painter
from powermuse.recipe import FlowRecipe
from powermuse.types import BadInput, Brief, Composition, Noised, Proposal

NOTES = 88
"""Of a piano, from A0: what the note head tells of every token."""
_TIMES = 64
_KERNEL = 7
_NOTHING_SAID = Brief()
_ALMOST_NOTHING = 1e-3
"""Spread of weights that begin without effect, but not without a gradient to what lies before them."""


class Known(NamedTuple):
    """What stage 0 makes of the conditions: hidden tokens, the draft (in units of the flow), note logits, and planes of
    the levels that channels may have."""

    hidden_BNW: Tensor
    draft_BNE: Tensor
    notes_BNQ: Tensor
    palette_BPDN: Tensor


class Planes(NamedTuple):
    """What painters see: planes in all (but for noise), and how many of them, the first, are levels to paint with."""

    all: int
    levels: int


class FlowCascade(nn.Module):
    """Streams of an agent, [B, C_i, T] each, the last in latent units and the same in every frame; latents out."""

    def __init__(
        self,
        stream_dims: tuple[int, ...],
        latent_dim: int,
        recipe: FlowRecipe,
        palette: int | None = None,
        factors: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        super().__init__()
        self.factors = factors or tuple((i,) for i in range(len(stream_dims)))
        _check(recipe, stream_dims, latent_dim, len(self.factors))
        self.recipe, self.latent_dim = recipe, latent_dim
        self.drafter = Drafter(stream_dims, latent_dim, recipe, palette)
        self.refiner = Refiner(latent_dim, recipe, self.drafter.paints) if recipe.refine_layers else None
        self.refines = self.refiner is not None
        """Whether the second stage is to be run."""

    def draft_alone(self) -> None:
        """From now on nothing reaches the second stage, neither tokens nor gradients: the draft is the blend."""
        if self.refiner is not None:
            self.refiner.requires_grad_(False)
        self.refines = False

    def forward(self, proposal: Proposal, brief: Brief = _NOTHING_SAID) -> Composition:
        """With `brief.noised`, the latents that one step finds behind the noise; without, a composition from noise of
        torch's global random state (in evaluation), or the draft (in training, or without a second stage)."""
        streams, noised, wanted_B = proposal.streams, brief.noised, brief.orchestration_B
        frames = streams[0].shape[-1]
        known = self.drafter(streams, self._kept(streams) if self.training else None, self._left_open(wanted_B))
        draft_BDT = self._latents(known.draft_BNE, frames)
        without = [] if self.training else self._without(streams, wanted_B)
        guided = _guided(known, without)
        if self.refiner is None or not self.refines or (noised is None and (self.training or self.recipe.steps == 0)):
            heard_BNE = guided.draft_BNE
        elif noised is not None:
            heard_BNE = self.refiner(self._on_the_way(noised, known), noised.time_B, known)
        elif self.recipe.begin == "draft":
            # It leans its draft, not its steps: without a condition it would begin elsewhere.
            heard_BNE = self._composed(guided, [])
        else:
            heard_BNE = self._composed(known, without)
        blend_BDT, notes_BQN = self._latents(heard_BNE, frames), guided.notes_BNQ.transpose(1, 2)
        ones_B = draft_BDT.new_ones(len(draft_BDT))
        return Composition(blend_BDT, (draft_BDT, blend_BDT), (ones_B, ones_B), notes_BQN, noised)

    def _on_the_way(self, noised: Noised, known: Known) -> Tensor:
        """Tokens [B, N, E] at the time of each clip, on a straight line from where the flow begins to the music."""
        at_B11 = noised.time_B[:, None, None]
        begin_BNE = self._begin(tokens(noised.noise_BDT, self.recipe.pool), known)
        return (1.0 - at_B11) * begin_BNE + at_B11 * self._tokens(noised.music_BDT)

    def _begin(self, noise_BNE: Tensor, known: Known) -> Tensor:
        """Where the flow begins: noise, around the draft where it is to begin there."""
        centre_BNE = known.draft_BNE.detach() if self.recipe.begin == "draft" else 0.0
        return centre_BNE + self.recipe.noise * noise_BNE

    def _kept(self, streams: tuple[Tensor, ...]) -> Tensor:
        """[B, conditions]: 0 where a condition of a clip is dropped; now and then all of them."""
        batch, device = len(streams[0]), streams[0].device
        kept_BC = torch.rand(batch, len(streams), device=device) >= self.recipe.drop
        return (kept_BC & (torch.rand(batch, 1, device=device) >= self.recipe.drop_all)).to(streams[0])

    def _left_open(self, wanted_B: Tensor | None) -> Tensor | None:
        """The orchestrations that are wanted, in training now and then none."""
        if wanted_B is None or not self.training:
            return wanted_B
        return torch.where(torch.rand(len(wanted_B), device=wanted_B.device) < self.recipe.drop, 0, wanted_B)

    def _composed(self, known: Known, without: list[tuple[float, Known]]) -> Tensor:
        """Tokens [B, N, E] from noise to music: Euler steps, guided away from what each condition's absence gives."""
        assert self.refiner is not None
        x_BNE = self._begin(torch.randn_like(known.draft_BNE), known)
        times = torch.linspace(0.0, 1.0, self.recipe.steps + 1).tolist()
        for now, then in pairwise(times):
            time_B = x_BNE.new_full((len(x_BNE),), now)
            told_BNE = clean_BNE = self.refiner(x_BNE, time_B, known)
            for strength, other in without:
                clean_BNE = clean_BNE + strength * (told_BNE - self.refiner(x_BNE, time_B, other))
            x_BNE = x_BNE + (then - now) * (clean_BNE - x_BNE) / (1.0 - now)
        return x_BNE

    def _without(self, streams: tuple[Tensor, ...], wanted_B: Tensor | None) -> list[tuple[float, Known]]:
        """For every factor with a guidance: its strength, and what is known without it."""
        found = []
        for i, strength in enumerate(self.recipe.guidance):
            if strength != 0.0:
                kept_BC = streams[0].new_ones(len(streams[0]), len(streams))
                kept_BC[:, list(self.factors[i])] = 0.0
                found.append((strength, self.drafter(streams, kept_BC, wanted_B)))
        return found

    def _tokens(self, z_BDT: Tensor) -> Tensor:
        unit_BDT = (z_BDT - self.recipe.centre) / self.recipe.spread
        return tokens(unit_BDT, self.recipe.pool)

    def _latents(self, x_BNE: Tensor, frames: int) -> Tensor:
        unit_BDT = x_BNE.unflatten(-1, (self.latent_dim, self.recipe.pool)).permute(0, 2, 1, 3).flatten(2)
        return unit_BDT[..., :frames] * self.recipe.spread + self.recipe.centre


class Drafter(nn.Module):
    """Stage 0: conditions to hidden tokens, a draft, and notes.

    Blocks that see all of the time sketch the draft; a painter finishes it, with the levels of a palette where one of
    the conditions is such, and with those of the last one, the colour.
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
        self.sketch, self.notes = nn.Linear(width, latent_dim * recipe.pool), nn.Linear(width, NOTES)
        levels = lasting // latent_dim + (0 if palette is None else stream_dims[palette] // latent_dim)
        self.paints = Planes(levels + recipe.pool, levels)
        self.painter = Painter(*self.paints, latent_dim, recipe, recipe.paint_layers, share=1.0 / levels)

    def forward(self, streams: tuple[Tensor, ...], kept_BC: Tensor | None, wanted_B: Tensor | None = None) -> Known:
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
        palette_BPDN = self._palette(streams, kept_BC)
        sketch_BNE = self.sketch(hidden_BNW)
        given_BPDN = torch.cat([palette_BPDN, painter.planes(sketch_BNE, self.latent_dim)], dim=1)
        draft_BNE = sketch_BNE + painter.from_planes(self.painter(given_BPDN, hidden_BNW))
        return Known(hidden_BNW, draft_BNE, self.notes(hidden_BNW), palette_BPDN)

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


class Refiner(nn.Module):
    """Stage 1: noised tokens [B, N, E], a time, and what is known, to clean tokens."""

    def __init__(self, latent_dim: int, recipe: FlowRecipe, paints: Planes) -> None:
        super().__init__()
        width = recipe.width
        self.latent_dim = latent_dim
        self.time = nn.Sequential(nn.Linear(_TIMES, width), nn.SiLU(), nn.Linear(width, width))
        self.painter = Painter(paints.all + recipe.pool, paints.levels, latent_dim, recipe, recipe.refine_layers)

    def forward(self, x_BNE: Tensor, time_B: Tensor, known: Known) -> Tensor:
        """The tokens that the noised ones come from; at first the draft, from which it learns to depart."""
        seen_BNW = known.hidden_BNW + self.time(_waves(time_B))[:, None]
        drafted_BPDN = painter.planes(known.draft_BNE, self.latent_dim)
        given_BPDN = torch.cat([known.palette_BPDN, drafted_BPDN, painter.planes(x_BNE, self.latent_dim)], dim=1)
        return known.draft_BNE + painter.from_planes(self.painter(given_BPDN, seen_BNW))


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


def _guided(known: Known, without: list[tuple[float, Known]]) -> Known:
    """Draft and note logits, away from what they would be without each condition that has a guidance."""
    draft_BNE, notes_BNQ = known.draft_BNE, known.notes_BNQ
    for strength, other in without:
        draft_BNE = draft_BNE + strength * (known.draft_BNE - other.draft_BNE)
        notes_BNQ = notes_BNQ + strength * (known.notes_BNQ - other.notes_BNQ)
    return known._replace(draft_BNE=draft_BNE, notes_BNQ=notes_BNQ)


def tokens(x_BDT: Tensor, pool: int) -> Tensor:
    """Frames taken `pool` at a time: [B, D, T] -> [B, ceil(T / pool), D pool]; the last token is filled with its last
    frame."""
    spare = -x_BDT.shape[-1] % pool
    if spare:
        x_BDT = torch.cat([x_BDT, x_BDT[..., -1:].expand(-1, -1, spare)], dim=-1)
    return x_BDT.unflatten(-1, (-1, pool)).permute(0, 2, 1, 3).flatten(2)


def _blocks(count: int, recipe: FlowRecipe) -> nn.ModuleList:
    return nn.ModuleList(Block(recipe, attends=i % 2 == 1) for i in range(count))


def _waves(time_B: Tensor) -> Tensor:
    """Times in [0, 1] as sines and cosines, [B, 64]."""
    rate = torch.exp(torch.linspace(0.0, 6.0, _TIMES // 2, device=time_B.device))
    angle_BR = time_B[:, None] * rate
    return torch.cat([angle_BR.sin(), angle_BR.cos()], dim=-1)


def _check(recipe: FlowRecipe, stream_dims: tuple[int, ...], latent_dim: int, factors: int) -> None:
    """Raises BadInput for sizes that make no composer."""
    for name in ("width", "heads", "pool", "draft_layers", "ffn_multiple", "spread"):
        if getattr(recipe, name) <= 0:
            raise BadInput(f"flow: {name} must be above 0, not {getattr(recipe, name)}")
    if recipe.width % recipe.heads:
        raise BadInput(f"flow: {recipe.heads} heads do not divide a width of {recipe.width}")
    if "" in recipe.orchestrations or len(set(recipe.orchestrations)) < len(recipe.orchestrations):
        raise BadInput(f"flow: orchestrations want names, each once, not {recipe.orchestrations}")
    if len(recipe.guidance) > factors:
        raise BadInput(f"flow: {len(recipe.guidance)} strengths of guidance for {factors} conditions")
    if stream_dims[-1] < latent_dim:
        raise BadInput(f"flow: the last stream has {stream_dims[-1]} channels; a level of all {latent_dim} is wanted")
