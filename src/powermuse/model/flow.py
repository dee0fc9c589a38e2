"""The composing cascade: stage 0 drafts from codes, stage 1 refines the draft by conditional flow matching.

Latents are taken `pool` frames at a time, as tokens. Stage 0 settles which notes are played and paints them, a
regression: what codes and notes leave open comes out as a mean. Stage 1 goes from noise, or from noise around the
draft, to latents along straight lines (Lipman et al., ICLR 2023): at time t it sees (1 - t) noise + t latents, and what
stage 0 knows, and answers the latents themselves; the velocity follows (Li & He, arXiv:2511.13720). In training each
condition is dropped at random, so that in generation each has a guidance of its own (Ho & Salimans 2022; per condition
as in JASCO, arXiv:2406.10970).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from powermuse.model import painter, score
from powermuse.model.drafter import Drafter, Known, Plan, Planes, tokens
from powermuse.model.painter import Painter
from powermuse.model.score import Score
from powermuse.recipe import FlowRecipe
from powermuse.types import BadInput, Brief, Composition, Noised, Proposal

_TIMES = 64
_NOTHING_SAID = Brief()


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
        self.painting = True
        """Whether a draft is to be painted; else the sketch stands for it."""

    def score_alone(self) -> None:
        """From now on nothing is painted: what is learnt is which notes are played."""
        self.draft_alone()
        for part in (self.drafter.sketch, self.drafter.staves, self.drafter.painter):
            part.requires_grad_(False)
        self.painting = False

    def draft_alone(self) -> None:
        """From now on nothing reaches the second stage, neither tokens nor gradients: the draft is the blend."""
        if self.refiner is not None:
            self.refiner.requires_grad_(False)
        self.refines = False

    def forward(self, proposal: Proposal, brief: Brief = _NOTHING_SAID) -> Composition:
        """With `brief.noised`, the latents that one step finds behind the noise; without, a composition from noise of
        torch's global random state (in evaluation), or the draft (in training, or without a second stage). The draft is
        painted from `brief.notes_BQT` where those are known, else from its own score."""
        streams, noised, wanted_B = proposal.streams, brief.noised, brief.orchestration_B
        frames = streams[0].shape[-1]
        kept_BC = self._kept(streams) if self.training else None
        plan = self.drafter.plan(streams, kept_BC, self._left_open(wanted_B))
        plans = [(1.0, plan)] if self.training else self._views(plan, streams, wanted_B)
        notes_BQN = self._leant(_mean([(share, view.notes_BQN) for share, view in plans]), proposal.chord_BPT)
        if not self.painting:
            sketch_BDT = self._latents(plan.sketch_BNE, frames)
            return self._answer(sketch_BDT, sketch_BDT, notes_BQN, noised)
        played = self._played(notes_BQN, brief.notes_BQT)
        views = [(share, self.drafter(view, played)) for share, view in plans]
        known = views[0][1]
        draft_BNE = _mean([(share, view.draft_BNE) for share, view in views])
        if self.refiner is None or not self.refines or (noised is None and (self.training or self.recipe.steps == 0)):
            heard_BNE = draft_BNE
        elif noised is not None:
            heard_BNE = self.refiner(self._on_the_way(noised, known), noised.time_B, known)
        elif self.recipe.begin == "draft":
            # It leans its draft, not its steps: without a condition it would begin elsewhere.
            heard_BNE = self._composed([(1.0, known._replace(draft_BNE=draft_BNE))])
        else:
            heard_BNE = self._composed(views)
        draft_BDT, blend_BDT = self._latents(known.draft_BNE, frames), self._latents(heard_BNE, frames)
        return self._answer(draft_BDT, blend_BDT, notes_BQN, noised)

    def _answer(self, draft_BDT: Tensor, blend_BDT: Tensor, notes_BQN: Tensor, noised: Noised | None) -> Composition:
        ones_B = draft_BDT.new_ones(len(draft_BDT))
        return Composition(blend_BDT, (draft_BDT, blend_BDT), (ones_B, ones_B), notes_BQN, noised)

    def _leant(self, notes_BQN: Tensor, chord_BPT: Tensor | None) -> Tensor:
        """In generation, log odds that lean to the notes of the chord that holds. Raises BadInput where none is
        told."""
        if self.training or self.recipe.leaning == 0.0:
            return notes_BQN
        if chord_BPT is None:
            raise BadInput(f"flow.leaning is {self.recipe.leaning:g}; the agent tells no chords to lean to; set 0")
        return notes_BQN + self.recipe.leaning * score.belonging(chord_BPT, self.recipe.pool)

    def _played(self, notes_BQN: Tensor, right_BQT: Tensor | None) -> Score:
        """The score that is painted: where the right one is given, that; else what the logits settle to."""
        own = score.settled(notes_BQN.sigmoid(), self.recipe)
        if right_BQT is None:
            return own
        right = score.of_roll(right_BQT.to(notes_BQN), self.recipe.pool)
        known_B11 = (right_BQT.amin(dim=(1, 2)) >= 0.0)[:, None, None]
        return Score(*(torch.where(known_B11, given, found) for given, found in zip(right, own, strict=True)))

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

    def _composed(self, views: list[tuple[float, Known]]) -> Tensor:
        """Tokens [B, N, E] from noise to music: Euler steps, each the mean of several views by their shares."""
        assert self.refiner is not None
        known = views[0][1]
        x_BNE = self._begin(torch.randn_like(known.draft_BNE), known)
        times = torch.linspace(0.0, 1.0, self.recipe.steps + 1).tolist()
        for now, then in pairwise(times):
            time_B = x_BNE.new_full((len(x_BNE),), now)
            clean_BNE = _mean([(share, self.refiner(x_BNE, time_B, view)) for share, view in views])
            x_BNE = x_BNE + (then - now) * (clean_BNE - x_BNE) / (1.0 - now)
        return x_BNE

    def _views(self, plan: Plan, streams: tuple[Tensor, ...], wanted_B: Tensor | None) -> list[tuple[float, Plan]]:
        """What is planned of all factors, first, and without some of them, each with its share (`guidance_shares`)."""
        shares = guidance_shares(self.recipe.guidance)
        found = [(shares.pop(frozenset(), 0.0), plan)]
        for dropped, share in shares.items():
            kept_BC = streams[0].new_ones(len(streams[0]), len(streams))
            kept_BC[:, [place for i in dropped for place in self.factors[i]]] = 0.0
            found.append((share, self.drafter.plan(streams, kept_BC, wanted_B)))
        return found

    def _tokens(self, z_BDT: Tensor) -> Tensor:
        unit_BDT = (z_BDT - self.recipe.centre) / self.recipe.spread
        return tokens(unit_BDT, self.recipe.pool)

    def _latents(self, x_BNE: Tensor, frames: int) -> Tensor:
        unit_BDT = x_BNE.unflatten(-1, (self.latent_dim, self.recipe.pool)).permute(0, 2, 1, 3).flatten(2)
        return unit_BDT[..., :frames] * self.recipe.spread + self.recipe.centre


class Refiner(nn.Module):
    """Stage 1: noised tokens [B, N, E], a time, and what is known, to clean tokens."""

    def __init__(self, latent_dim: int, recipe: FlowRecipe, paints: Planes) -> None:
        super().__init__()
        width = recipe.width
        self.latent_dim = latent_dim
        self.time = nn.Sequential(nn.Linear(_TIMES, width), nn.SiLU(), nn.Linear(width, width))
        self.painter = Painter(paints.all + 2 * recipe.pool, paints.levels, latent_dim, recipe, recipe.refine_layers)

    def forward(self, x_BNE: Tensor, time_B: Tensor, known: Known) -> Tensor:
        """The tokens that the noised ones come from; at first the draft, from which it learns to depart."""
        seen_BNW = known.hidden_BNW + self.time(_waves(time_B))[:, None]
        drafted_BPDN = painter.planes(known.draft_BNE, self.latent_dim)
        given_BPDN = torch.cat([known.planes_BPDN, drafted_BPDN, painter.planes(x_BNE, self.latent_dim)], dim=1)
        return known.draft_BNE + painter.from_planes(self.painter(given_BPDN, seen_BNW))


def guidance_shares(guidance: Sequence[float]) -> dict[frozenset[int], float]:
    """How much what is composed without some factors (by their numbers) counts; shares sum to 1, none is 0.

    A guidance of -1 to 0 weakens its factor: of two that are weakened each is left out as if by a throw of its own, so
    that two of -1 leave nothing of either. One above 0 leans away from what is composed without it.
    """
    shares = {frozenset[int](): 1.0}
    for i, amount in enumerate(guidance):
        if amount < 0.0:
            kept = {dropped: (1.0 + amount) * share for dropped, share in shares.items()}
            shares = kept | {dropped | {i}: -amount * share for dropped, share in shares.items()}
    weakened = dict(shares)
    for i, amount in enumerate(guidance):
        if amount > 0.0:
            for dropped, share in weakened.items():
                shares[dropped] += amount * share
                shares[dropped | {i}] = shares.get(dropped | {i}, 0.0) - amount * share
    return {dropped: share for dropped, share in shares.items() if share != 0.0}


def _mean(views: list[tuple[float, Tensor]]) -> Tensor:
    """By their shares, which sum to 1; one alone as it is."""
    (share, found), *others = views
    if others or share != 1.0:
        found = share * found
    for share, view in others:
        found = found + share * view
    return found


def _waves(time_B: Tensor) -> Tensor:
    """Times in [0, 1] as sines and cosines, [B, 64]."""
    rate = torch.exp(torch.linspace(0.0, 6.0, _TIMES // 2, device=time_B.device))
    angle_BR = time_B[:, None] * rate
    return torch.cat([angle_BR.sin(), angle_BR.cos()], dim=-1)


def _check(recipe: FlowRecipe, stream_dims: tuple[int, ...], latent_dim: int, factors: int) -> None:
    """Raises BadInput for sizes that make no composer."""
    for name in ("width", "heads", "pool", "draft_layers", "paint_channels", "ffn_multiple", "spread"):
        if getattr(recipe, name) <= 0:
            raise BadInput(f"flow: {name} must be above 0, not {getattr(recipe, name)}")
    if not (0.0 < recipe.strikes < 2.0 and 0.0 < recipe.holds < 1.0):
        raise BadInput(
            f"flow: strikes must lie between 0 and 2, holds between 0 and 1, not {recipe.strikes} and {recipe.holds}"
        )
    if not math.isfinite(recipe.leaning):
        raise BadInput(f"flow: leaning must be a number, not {recipe.leaning}")
    if recipe.width % recipe.heads:
        raise BadInput(f"flow: {recipe.heads} heads do not divide a width of {recipe.width}")
    if "" in recipe.orchestrations or len(set(recipe.orchestrations)) < len(recipe.orchestrations):
        raise BadInput(f"flow: orchestrations want names, each once, not {recipe.orchestrations}")
    if recipe.orchestration and recipe.orchestration not in recipe.orchestrations:
        known = ", ".join(recipe.orchestrations) or "it knows none"
        raise BadInput(f"flow.orchestration: {recipe.orchestration!r} is not one that the model knows ({known})")
    if len(recipe.guidance) > factors:
        raise BadInput(f"flow: {len(recipe.guidance)} strengths of guidance for {factors} conditions")
    if stream_dims[-1] < latent_dim:
        raise BadInput(f"flow: the last stream has {stream_dims[-1]} channels; a level of all {latent_dim} is wanted")
