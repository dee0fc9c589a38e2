"""The staircase from two sounds to a blend: listen, encode, compose window by window, decode, set the level."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from powermuse import disk, registry
from powermuse.audio import clips, files
from powermuse.audio.align import Alignment
from powermuse.codecs import Codec
from powermuse.composing import loops, streams, windows
from powermuse.metrics.chords import Chords
from powermuse.model.score import Score
from powermuse.recipe import FlowRecipe
from powermuse.types import BadInput, Brief, Clip
from powermuse.weights import LoadedModel, window_frames

SHORTEST_S = 0.5
MOST_GAIN = 3.0
PEAK = 0.98
_LEVEL_STEPS = 3
Length = Literal["longer", "shorter", "groove", "harmony"]
OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, steps done, steps in all."""


@dataclass(frozen=True)
class Sound:
    """A source as it was read: mono [1, N] at the codec's rate, and at the level the model wants."""

    path: str
    sha256: str
    wav_CN: np.ndarray
    levelled_CN: np.ndarray
    level_db: float
    """Of the file, or of the part of it that was taken, as it was read; so is the next."""
    seconds: float
    looped: bool = False


@dataclass(frozen=True)
class Blend:
    """What came out, with all that a report tells of it."""

    wav_CN: np.ndarray
    sample_rate_hz: int
    hop_samples: int
    """Samples of a latent frame."""
    groove: Sound
    harmony: Sound
    stats: dict[str, float]
    """The agent's statistics, weighted over the windows."""
    masks: tuple[np.ndarray, np.ndarray] | None
    """Groove's and harmony's, [D, T], where the agent has masks."""
    seams_frames: list[int]
    """Where windows begin and end inside the piece."""
    gain: float
    """From the decoded level to the written one."""
    limited: bool
    """Whether the bounds of gain and peak left the level more than 0.5 dB below the one wanted."""
    model: LoadedModel
    seed: int
    orchestration: str = ""
    """The way to orchestrate that it was made by; empty of a model that does not tell ways apart."""
    rhythm_RT: np.ndarray | None = None
    """The rhythm code that passed, where the agent lets codes alone pass: onsets from low to high, then level."""
    chords: Chords | None = None
    """The chords that passed, there too."""
    notes_QN: np.ndarray | None = None
    """Probability that each of 88 notes from A0 sounds, [88, tokens], where the composer tells it."""
    score: tuple[np.ndarray, np.ndarray] | None = None
    """Which of these notes sound in each token, and which are struck there, both [88, tokens] and bool, there too."""
    loop_s: float | None = None
    """Exact seconds of the bars that it is made of, where it is to be repeated: then its end leads to its beginning."""
    alignment: Alignment | None = None
    """What was done to the sources before, where something was wanted."""

    @property
    def frame_s(self) -> float:
        """Seconds of a latent frame, a column of `masks` and of `rhythm_RT`."""
        return self.hop_samples / self.sample_rate_hz

    @property
    def token_s(self) -> float:
        """Seconds of a column of `notes_QN` and of `score`."""
        return self.model.recipe.flow.pool * self.frame_s


class Composer:
    """Composes with one model; made once, used for many pairs."""

    def __init__(self, model: LoadedModel, seed: int = 0) -> None:
        self.model, self.seed = model, seed
        self.codec = _seeded_codec(model, seed)
        flows = model.recipe.composer == "flow"
        self.orchestration = _orchestration(model.recipe.flow, seed) if flows else 0
        self.window = window_frames(model.recipe)

    @torch.inference_mode()
    def compose(
        self,
        groove: Sound,
        harmony: Sound,
        length: Length = "longer",
        on_progress: OnProgress = lambda *_: None,
        alignment: Alignment | None = None,
    ) -> Blend:
        """The blend of two sounds. `length`: whose length it has; the shorter sound is looped, the longer cut. Where
        `alignment` has put both on the same bars, it loops: it is composed longer, and its tail faded into its head."""
        samples = _target_samples(groove, harmony, length)
        bars = None if alignment is None else alignment.bars
        loop_s = None if bars is None else round(samples / self.codec.sample_rate_hz / bars.seconds) * bars.seconds
        longer = samples if loop_s is None else samples + round(loops.OVERLAP_S * self.codec.sample_rate_hz)
        on_progress("encode", 0, 2)
        groove, harmony = (self._fit(sound, samples) for sound in (groove, harmony))
        # What comes after the end of a loop is its beginning, whatever a longer source plays there.
        clip_a, clip_b = (self._encode(self._fit(sound, longer)) for sound in (groove, harmony))
        on_progress("encode", 2, 2)
        window = self.window + -(-(longer - samples) // self.codec.hop_samples)
        torch.manual_seed(self.seed)
        brief = Brief(orchestration_B=torch.tensor([self.orchestration])) if self.orchestration else None
        joined = windows.compose(
            self.model, clip_a, clip_b, brief, window, lambda done, total: on_progress("compose", done, total)
        )
        on_progress("decode", 0, 1)
        decoded_BCN = streams.decode(joined.blend_BDT, self.codec, joined.roll(self.model.recipe.flow))
        wav_CN = decoded_BCN[0, :, :longer].numpy()
        on_progress("decode", 1, 1)
        if loop_s is not None:
            wav_CN = loops.folded(wav_CN, samples)
            joined = joined.looped(-(-samples // self.codec.hop_samples))
        wav_CN, gain, limited = at_level(
            wav_CN, groove.wav_CN, harmony.wav_CN, self.codec.sample_rate_hz, loop_s is not None
        )
        return Blend(
            wav_CN,
            self.codec.sample_rate_hz,
            self.codec.hop_samples,
            groove,
            harmony,
            joined.stats,
            joined.masks,
            joined.seams_frames,
            gain,
            limited,
            self.model,
            self.seed,
            ["", *self.model.recipe.flow.orchestrations][self.orchestration],
            joined.rhythm_RT,
            joined.chords(self.codec.hop_samples / self.codec.sample_rate_hz),
            joined.notes(self.model.recipe.flow.pool),
            _as_arrays(joined.score(self.model.recipe.flow)),
            loop_s,
            alignment,
        )

    def listen(self, path: str | os.PathLike[str], begin_s: float = 0.0, end_s: float | None = None) -> Sound:
        """Reads one source, or a part of it. Raises BadInput where it cannot be read, is too short or silent."""
        rate_hz = self.codec.sample_rate_hz
        whole_CN = clips.without_offset(files.read(path, rate_hz))
        wav_CN = whole_CN[:, round(begin_s * rate_hz) : None if end_s is None else round(end_s * rate_hz)]
        seconds = wav_CN.shape[1] / rate_hz
        if seconds < SHORTEST_S:
            raise BadInput(f"{path}: lasts {seconds:.2g} s; at least {SHORTEST_S} s is wanted")
        try:
            levelled, level_db = clips.normalise_level(wav_CN)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
        return Sound(files.told(path), disk.sha256(path), wav_CN, levelled, level_db, seconds)

    def _fit(self, sound: Sound, samples: int) -> Sound:
        rate = self.codec.sample_rate_hz
        wav_CN, levelled = (clips.loop_to(w, samples, rate) for w in (sound.wav_CN, sound.levelled_CN))
        looped = sound.wav_CN.shape[1] < samples
        return Sound(sound.path, sound.sha256, wav_CN, levelled, sound.level_db, sound.seconds, looped)

    def _encode(self, sound: Sound) -> Clip:
        return streams.encode(torch.from_numpy(sound.levelled_CN)[None], self.codec)


def at_level(
    blend: np.ndarray, groove: np.ndarray, harmony: np.ndarray, sample_rate_hz: int, is_loop: bool = False
) -> tuple[np.ndarray, float, bool]:
    """The blend at sqrt((rms_g^2 + rms_h^2) / 2), its gain at most 3, its peaks limited below full scale; the gain,
    and whether the bounds kept the level more than 0.5 dB below that."""

    def limit(wav_CN: np.ndarray) -> np.ndarray:
        return clips.limit_peaks(wav_CN, PEAK, sample_rate_hz)

    wanted = math.sqrt((clips.rms(groove) ** 2 + clips.rms(harmony) ** 2) / 2)
    gain = 1.0
    limited = blend
    for _ in range(_LEVEL_STEPS):  # what the limiter takes away is given back, within the bound
        gain = min(gain * wanted / max(clips.rms(limited), 1e-9), MOST_GAIN)
        louder = blend * np.float32(gain)
        limited = loops.around(limit, louder, sample_rate_hz) if is_loop else limit(louder)
    return limited, gain, clips.rms(limited) < wanted * 10 ** (-0.5 / 20)


def _as_arrays(score: Score | None) -> tuple[np.ndarray, np.ndarray] | None:
    if score is None:
        return None
    return score.sounds_BQN[0].bool().numpy(), score.struck_BQN[0].bool().numpy()


def _target_samples(groove: Sound, harmony: Sound, length: Length) -> int:
    a, b = groove.wav_CN.shape[1], harmony.wav_CN.shape[1]
    return {"longer": max(a, b), "shorter": min(a, b), "groove": a, "harmony": b}[length]


def _orchestration(flow: FlowRecipe, seed: int) -> int:
    """Number of the orchestration that is wanted, counted from 1: the one that the recipe names, or by the seed each in
    its turn; 0 where the model tells none apart. Raises BadInput for a name that the model does not know."""
    names = flow.orchestrations
    if flow.orchestration and flow.orchestration not in names:
        known = ", ".join(names) or "none"
        raise BadInput(f"flow.orchestration: {flow.orchestration!r} is not one that the model knows ({known})")
    if flow.orchestration:
        return 1 + names.index(flow.orchestration)
    return 1 + seed % len(names) if names else 0


def _seeded_codec(model: LoadedModel, seed: int) -> Codec:
    """The model's codec; one that decodes with random phases draws them from `seed`."""
    choice = model.recipe.codec
    seeded = {"seed": seed} if "seed" in registry.defaults("codecs", choice.name) else {}
    codec: Codec = registry.build("codecs", choice.name, {**choice.options, **seeded})
    return codec.eval()


def report_paths(out: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Where the report and the picture of a blend go: beside it, with its name."""
    return Path(out).with_suffix(".json"), Path(out).with_suffix(".png")
