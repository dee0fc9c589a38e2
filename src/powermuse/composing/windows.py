"""A piece of any length, window by window through the model: all that each window tells is cross-faded alike."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from powermuse.agents.factors import HARMONY, RHYTHM
from powermuse.audio import clips
from powermuse.codes import harmony as chord_codes
from powermuse.metrics import chords
from powermuse.metrics.chords import Chords
from powermuse.model import score
from powermuse.model.drafter import tokens
from powermuse.model.score import Score
from powermuse.recipe import FlowRecipe
from powermuse.types import Brief, Clip, Composition, Proposal
from powermuse.weights import LoadedModel

_LAST_CHORD_FRAMES = 2 * chord_codes.FRAMES_TOGETHER
"""A last chord that is shorter is none."""


@dataclass(frozen=True)
class Joined:
    """What the windows of a piece come to."""

    layers: dict[str, Tensor]
    """Each [1, R, T]: `blend`, and, where there are such, `groove` and `harmony` (masks), `rhythm` and `chords` (codes)
    and `notes` (chances that each sounds, then that it is struck)."""
    stats: dict[str, float]
    """The agent's statistics, a mean over the windows."""
    seams_frames: list[int]
    """Where windows begin and end inside the piece."""

    @property
    def blend_BDT(self) -> Tensor:
        """The latents of the piece."""
        return self.layers["blend"]

    def looped(self, frames: int) -> "Joined":
        """The first `frames` frames of a loop that was composed longer: what is played after its end is played at its
        beginning, where the first stroke of a clip is not seen."""
        layers = {name: layer[..., :frames].clone() for name, layer in self.layers.items()}
        for name in layers.keys() & {"notes", "rhythm"}:
            tail = self.layers[name][..., frames : 2 * frames]
            head = layers[name][..., : tail.shape[-1]]
            head.copy_(torch.maximum(head, tail))
        return Joined(layers, self.stats, [seam for seam in self.seams_frames if seam < frames])

    @property
    def masks(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Groove's and harmony's, [D, T]."""
        if "groove" not in self.layers:
            return None
        return self.layers["groove"][0].numpy(), self.layers["harmony"][0].numpy()

    @property
    def rhythm_RT(self) -> np.ndarray | None:
        """The rhythm code."""
        return self.layers["rhythm"][0].numpy() if "rhythm" in self.layers else None

    def chords(self, frame_s: float) -> Chords | None:
        """Which chord the harmony code holds when: at each moment the nearest to what was cross-faded."""
        if "chords" not in self.layers:
            return None
        states_T = chord_codes.nearest(self.layers["chords"])[0].numpy()
        # The code's frames are not those of a loop: what is left of one at the end is the chord of the next round.
        last = len(states_T) - 1 - int(np.argmax(states_T[::-1] != states_T[-1]))
        if 0 <= last < len(states_T) - 1 and len(states_T) - 1 - last < _LAST_CHORD_FRAMES:
            states_T[last + 1 :] = states_T[last]
        return chords.from_states(states_T, frame_s, len(states_T) * frame_s)

    def notes(self, pool: int) -> np.ndarray | None:
        """Probability that each note sounds in each token of `pool` frames, [88, tokens]."""
        if "notes" not in self.layers:
            return None
        sounds_BQN, _ = self._chances(pool).chunk(2, dim=1)
        return sounds_BQN[0].numpy()

    def score(self, recipe: FlowRecipe) -> Score | None:
        """The score [1, 88, tokens] that the chances settle to: of one window what was played."""
        return score.settled(self._chances(recipe.pool), recipe) if "notes" in self.layers else None

    def roll(self, recipe: FlowRecipe) -> Tensor | None:
        """The same by frames, [1, 88, T]: 1 where a note sounds, 2 where it is struck. None where no note is known."""
        played = self.score(recipe)
        if played is None or not played.sounds_BQN.any():
            return None
        return score.to_roll(played, recipe.pool, self.blend_BDT.shape[-1])

    def _chances(self, pool: int) -> Tensor:
        frames_BNE = tokens(self.layers["notes"], pool)
        return frames_BNE.unflatten(-1, (-1, pool)).mean(dim=-1).transpose(1, 2)


def compose(
    loaded: LoadedModel,
    groove: Clip,
    harmony: Clip,
    brief: Brief | None,
    window: int,
    on_window: Callable[[int, int], None],
) -> Joined:
    """A piece of the length of `groove` (and `harmony`) in windows of at most `window` frames, half of which overlap.
    `on_window` is told windows done and windows in all."""
    frames, overlap = groove.z_BDT.shape[-1], window // 2
    spans = _spans(frames, window, overlap, loaded.recipe.flow.pool if loaded.recipe.composer == "flow" else 1)
    begins = [begin for begin, _ in spans]
    layers: list[dict[str, Tensor]] = []
    stats: list[dict[str, Tensor]] = []
    for done, (begin, length) in enumerate(spans):
        on_window(done, len(begins))
        proposal, composition = loaded.model(groove.crop(begin, length), harmony.crop(begin, length), brief)
        layers.append(_layers(loaded, proposal, composition))
        stats.append(proposal.stats)
    on_window(len(begins), len(begins))
    return Joined(
        {name: clips.overlap_add([each[name] for each in layers], begins, frames, overlap) for name in layers[0]},
        {name: float(torch.stack([each[name] for each in stats]).mean()) for name in stats[0]},
        sorted({edge for begin, length in spans for edge in (begin, begin + length)} - {0, frames}),
    )


def _spans(frames: int, window: int, overlap: int, pool: int) -> list[tuple[int, int]]:
    """First frame and length of every window. Each begins where a token of `pool` frames does, or the strokes of two
    windows would lie on different tokens where they overlap; so one may be a few frames longer."""
    if frames <= window:
        return [(0, frames)]
    window = max(pool, window - window % pool)
    begins = clips.window_starts(frames, window, max(1, window - overlap))
    return [(begin - begin % pool, window + begin % pool) for begin in begins]


def _layers(loaded: LoadedModel, proposal: Proposal, composition: Composition) -> dict[str, Tensor]:
    """What one window tells, each [1, R, T], notes too."""
    layers = {"blend": composition.blend_BDT}
    if proposal.masks is not None:
        layers |= dict(zip(("groove", "harmony"), proposal.masks, strict=True))
    if loaded.recipe.agent.name == "factors":
        layers |= {"rhythm": proposal.streams[RHYTHM], "chords": proposal.streams[HARMONY]}
    if composition.notes_BQN is not None:
        # As chances: where two windows disagree, a logit that is far out would decide for both.
        notes_BQT = composition.notes_BQN.sigmoid().repeat_interleave(loaded.recipe.flow.pool, dim=-1)
        layers["notes"] = notes_BQT[..., : composition.blend_BDT.shape[-1]]
    return layers
