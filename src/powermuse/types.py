"""The words that cross every border: clips, pairs, proposals, outcomes, and the two ways to fail.

Legend of the shape letters, used as suffixes of tensor names:

    B batch   C audio channels   N samples   D latent channels   T latent frames
    M mel bands   F frequency bins   K onset bands   P rows of chroma (24)   Q notes of a piano (88)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the two ways to fail are wanted at once, torch takes a second
    from torch import Tensor


class BadInput(ValueError):
    """What the user gave cannot be used; the message is one line that says what was found and what would be right."""


class MissingExtra(ImportError):
    """An optional dependency is needed; the message names the command that installs it."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need} needs an optional dependency: pip install 'powermuse[{extra}]'")
        self.need, self.extra = need, extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.need, self.extra)  # it may come from a worker process


class Clip(NamedTuple):
    """A batch of clips of equal length: latents and the codec-independent features on the same frame clock."""

    z_BDT: Tensor
    """Latents, scaled so that music has an RMS of about 5.7; 0 is silence in the mel codec."""
    onsets_BKT: Tensor
    """Onset strength per band, >= 0 (see `audio.features`)."""
    chroma_BPT: Tensor
    """Strength of the pitch classes in [0, 1]: 12 of the bass, C first, then 12 of what lies above; the strongest of a
    frame is 1 (all 0 in silence)."""
    level_BT: Tensor
    """Level of each frame in dBFS (RMS), at least -100."""
    beats_BT: Tensor | None = None
    """1 on the frame of a beat, 2 on a downbeat, else 0; None where beats are not known."""

    def crop(self, start: int, frames: int) -> Clip:
        """The same `frames` frames from `start` of every field."""
        window = slice(start, start + frames)
        return Clip(*(None if x is None else x[..., window] for x in self))  # type: ignore[arg-type]

    def map(self, change: Callable[[Tensor], Tensor]) -> Clip:
        """`change` applied to every tensor: a move to a device, a cast."""
        return Clip(*(None if x is None else change(x) for x in self))  # type: ignore[arg-type]


class Pair(NamedTuple):
    """What one training example consists of; `truth` itself never reaches a model's forward."""

    groove: Clip
    harmony: Clip
    truth: Clip | None = None
    notes_BQT: Tensor | None = None
    """2 where a note of the truth is struck, 1 where it sounds on, else 0, A0 to C8, drums left out; -1 throughout a
    clip whose notes are not known; None where they are not asked for."""
    orchestration_B: Tensor | None = None
    """Which of `flow.orchestrations` the truth was made by, counted from 1; 0 where that is not known."""

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Groove, harmony and, where there is one, truth."""
        return tuple(clip for clip in (self.groove, self.harmony, self.truth) if clip is not None)


class Proposal(NamedTuple):
    """What an agent lets through to the cascade."""

    streams: tuple[Tensor, ...]
    """Each [B, D_i, T]: masked latents, composed latents or codes."""
    residual_BDT: Tensor | None
    """What the cascade refines; None where nothing of the sources may pass."""
    penalties: dict[str, Tensor]
    """Unweighted scalars with gradient, by the name of their weight."""
    stats: dict[str, Tensor]
    """Scalars for the log; those that a target may bind carry their gradient."""
    masks: tuple[Tensor, Tensor] | None = None
    """The masks [B, D, T] in [0, 1] that were really used, groove then harmony, where there are any."""
    chord_BPT: Tensor | None = None
    """Which pitch classes [B, 12, T], C first, belong to the chord that holds: 1, or -1 for those that do not; 0 where
    no chord does. None where none is told."""


class Noised(NamedTuple):
    """What a flow learns from: music, noise, and how far on the way from one to the other a clip is to be met. The
    composer may look at that point of the way alone."""

    music_BDT: Tensor
    noise_BDT: Tensor
    """Of unit variance."""
    time_B: Tensor
    """0 is noise alone, 1 music alone."""


class Brief(NamedTuple):
    """What a composer is told beside the proposal."""

    noised: Noised | None = None
    """In training by flow matching: what music is to be found behind."""
    orchestration_B: Tensor | None = None
    """Which of `flow.orchestrations` is wanted, counted from 1; 0, or None, leaves it open."""
    notes_BQT: Tensor | None = None
    """The notes that are to be played, as `Pair` has them; its own where they are not known, or None."""


class Composition(NamedTuple):
    """What a cascade answers."""

    blend_BDT: Tensor
    drafts: tuple[Tensor, ...]
    """The output of each stage, the last of which is the blend."""
    scales: tuple[Tensor, ...]
    """RMS scale factor [B] of each stage (1 where a stage does not scale)."""
    notes_BQN: Tensor | None = None
    """[B, 176, N], for each token of the composer, where it tells them: logits of the notes A0 to C8 that sound, then
    of those that are struck."""
    noised: Noised | None = None
    """What the blend was found behind, in training by flow matching."""


@dataclass(frozen=True)
class Outcome:
    """All that a loss may look at."""

    pair: Pair
    proposal: Proposal
    composition: Composition
    decoded: DecodedCrops | None = None
    fake_logits_B: Tensor | None = None
    """What the discriminator makes of the blends, where there is one; above zero means real."""

    @property
    def blend_BDT(self) -> Tensor:
        """The latents that came out, [B, D, T]."""
        return self.composition.blend_BDT


class DecodedCrops(NamedTuple):
    """The same short stretches of blend, groove, harmony and truth as waveforms [B * S, C, N], those of a clip one
    after another."""

    blend_BCN: Tensor
    groove_BCN: Tensor
    harmony_BCN: Tensor
    truth_BCN: Tensor | None
    stretches: int = 1
    """S, how many of each clip."""
