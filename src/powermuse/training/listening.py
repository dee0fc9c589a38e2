"""Listening along: at each validation the first validation pair, always the same, as sound and as a picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from powermuse import disk, registry
from powermuse.audio import clips, files
from powermuse.codecs import Codec
from powermuse.composing import report
from powermuse.composing.composer import PEAK, at_level
from powermuse.data.sources import Source
from powermuse.training.learner import Learner
from powermuse.training.tracking import Heard
from powermuse.types import BadInput

_MOST_S = 8.0
_SIDES = ("groove", "harmony")


class Listening:
    """Composes the pair and keeps it in RUN/listen. Changes no number of the run, and never ends it: what cannot be
    heard is said once. Opening at `seen` removes what a process that was killed has kept of what came after it."""

    def __init__(self, run: Path, seen: int, learner: Learner, source: Source, say: Callable[[str], None]) -> None:
        self.folder, self.learner, self.source, self.say = run / "listen", learner, source, say
        self.recipe = learner.recipe
        training = self.recipe.training
        # As many as a validation looks at, of which one is heard: a compiled model is not compiled once more for it.
        self.size = min(max(1, training.batch // learner.parallel.world), training.validation_pairs)
        self._codec: Codec | None = None
        self._sources: list[np.ndarray] = []
        self._on = True
        disk.remove_unfinished(self.folder)
        for path in self.folder.glob("[0-9]*"):
            if path.stem > self._path(seen).stem:
                path.unlink()

    def hear(self, seen: int, loss: float, best_at: int) -> Heard | None:
        """The pair as the model of `seen` composes it, which has this validation loss; None where that fails."""
        if not self._on:
            return None
        device = self.learner.fabric.device
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                heard = self._heard(seen, loss, best_at)
            self._prune(seen, best_at)
        except Exception as error:  # a full disk, a font, no memory, no codec: nothing here is worth the run
            self._on = False
            self.say(f"listening to the validation pair failed: {error or type(error).__name__}; the run goes on")
            return None
        return heard

    def _heard(self, seen: int, loss: float, best_at: int) -> Heard:
        if self._codec is None:
            self._codec = self._decoder()
        rate_hz = self._codec.sample_rate_hz
        pair = self.learner.fabric.to_device(self.source.batch(0, self.size))
        paths = {"blend": self._path(seen)}
        if not self._sources:
            paths |= {name: self.folder / f"{name}.flac" for name in _SIDES}
            self._sources = [self._sound(clip.z_BDT) for clip in (pair.groove, pair.harmony)]
        groove, harmony = self._sources
        blend, *_ = at_level(self._sound(self.learner.compose(pair)), groove, harmony, rate_hz)
        sounds = {side: clips.limit_peaks(wav, PEAK, rate_hz) for side, wav in zip(_SIDES, self._sources, strict=True)}
        sounds["blend"] = blend
        # Beside a discriminator of patches the newest is kept, whatever its loss.
        best = ", the best so far" if seen == best_at and not self.learner.sharpens else ""
        title = f"{self.recipe.name} after {seen:,} pairs: validation loss {loss:.4g}{best}"
        picture = paths["blend"].with_suffix(".png")
        self.folder.mkdir(exist_ok=True)
        contents = {path: files.encoded(sounds[name], rate_hz, path) for name, path in paths.items()}
        disk.write_all({**contents, picture: _draw(title, sounds, rate_hz)})
        return Heard(seen, paths, picture, rate_hz)

    def _sound(self, z_BDT: Tensor) -> np.ndarray:
        """The waveform [1, N] of the first clip of a batch, its beginning."""
        assert self._codec is not None
        frames = round(_MOST_S * self._codec.frame_rate_hz)
        wav_CN: np.ndarray = self._codec.decode(z_BDT[:1, :, :frames])[0].float().cpu().numpy()
        return wav_CN

    def _decoder(self) -> Codec:
        """The codec of the losses that listen, or another. Raises BadInput where it would have to be fetched."""
        if self.learner.codec is not None:
            return self.learner.codec
        choice = self.recipe.codec
        if not registry.find("codecs", choice.name)[1].at_hand(choice.options):
            raise BadInput(f"the weights of codec {choice.name} are not on this machine")
        return self.learner.make_codec()

    def _prune(self, seen: int, best_at: int) -> None:
        """Leaves the first, the best, the newest, and in any case what was just heard, which the trackers want."""
        heard = sorted(self.folder.glob("[0-9]*.flac"))
        kept = {heard[0], self._path(best_at), self._path(seen), *heard[-self.recipe.tracking.listen :]}
        for path in set(heard) - kept:
            path.unlink()
            path.with_suffix(".png").unlink(missing_ok=True)

    def _path(self, seen: int) -> Path:
        return self.folder / f"{seen:012d}.flac"


def _draw(title: str, sounds: dict[str, np.ndarray], sample_rate_hz: int) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(len(sounds), 1, sharex=True)
    report.draw_spectrograms(axes, sounds, sample_rate_hz)
    axes[-1].set_xlabel("seconds")
    figure.suptitle(title, parse_math=False)
    return report.png(figure)
