"""The dry run: everything that a run of a recipe will need is done once at toy size, in a temporary folder."""

import dataclasses
import math
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from powermuse import optimizers, registry, weights
from powermuse.agents import Agent
from powermuse.audio import clips, files
from powermuse.codecs import Codec
from powermuse.composing.composer import PEAK, Composer
from powermuse.data.made_up import fit_for_made_up, make_up, make_up_triplets, stand_in
from powermuse.data.sources import Source, open_data
from powermuse.objective import Objective
from powermuse.outline import blank_model
from powermuse.recipe import Recipe
from powermuse.training import checkpoint, learner, runs
from powermuse.training.checkpoint import Checkpoint
from powermuse.training.toy import BATCH, PAIRS, one_thread, toy
from powermuse.training.trainer import Progress, Trainer
from powermuse.types import BadInput, Clip, MissingExtra, Pair

_SPARE_FRAMES = 48
"""By how much made-up clips are longer than a crop, so that crops begin in several places."""
_CODEC_S, _BLEND_S = 1.0, 2.0
_LEVEL = 0.1
"""RMS of the sounds that are made up: -20 dBFS."""
_NAMED = 5
"""How many names of a longer list are told."""


class Proof(NamedTuple):
    """One thing that was shown to work: what, with which figures, in how many seconds."""

    name: str
    shown: str
    seconds: float


class Unproven(RuntimeError):
    """Something that ought to work does not, and no recipe or data set is to blame."""


def rehearse(recipe: Recipe, dataset: str = "") -> Iterator[Proof]:
    """Proves a recipe on a data set, or on made-up clips, and leaves nothing behind; each proof comes as it is done.

    Raises BadInput for what the user can change, Unproven for the rest, with the name of the proof that failed.
    """
    # At toy size a second thread waits more than it works, and on a busy machine a recurrent codec comes to a halt.
    with one_thread(), tempfile.TemporaryDirectory(prefix="powermuse-") as folder:
        rehearsal = _Rehearsal(recipe, dataset, Path(folder))
        for name in ("recipe", "data", "codec", "agent", "losses", "checkpoint", "resume", "generation"):
            begun = time.monotonic()
            with _failing_as(name):
                shown: str = getattr(rehearsal, name)()
            yield Proof(name, shown, time.monotonic() - begun)


@contextmanager
def _failing_as(name: str) -> Iterator[None]:
    """Puts the name of a proof before whatever goes wrong in it."""
    try:
        yield
    except (BadInput, MissingExtra) as error:
        raise BadInput(f"dry run, {name}: {error}") from error
    except OSError as error:
        raise BadInput(f"dry run, {name}: {error.filename or ''} {error.strerror or error}") from error
    except Unproven as error:
        raise Unproven(f"dry run, {name}: {error}") from error
    except Exception as error:
        raise Unproven(f"dry run, {name}: {type(error).__name__}: {error}") from error


class _Rehearsal:
    """The proofs, in the order of their dependence; each says what it has shown."""

    def __init__(self, full: Recipe, dataset: str, folder: Path) -> None:
        self.full, self.dataset, self.folder = full if dataset else fit_for_made_up(full), dataset, folder
        self._data, self._singles = folder / "data", folder / "singles"
        self.codec_class: type[Codec] = registry.find("codecs", full.codec.name)[1]

    def recipe(self) -> str:
        """Settings in range, a model that can be built, terms and targets that there are, crops long enough."""
        runs.check_settings(self.full)
        count = sum(p.numel() for p in self._blank_agent.parameters())
        return (
            f"{self.full.agent.name} agent of {count:,} weights, {len(self._objective.weights)} loss terms, "
            f"{len(self.full.targets)} targets"
        )

    def data(self) -> str:
        """Pairs, of the data set's clips at their full length or of made-up ones."""
        if not self.dataset:
            frames = self.toy.data.crop_frames + _SPARE_FRAMES
            make = make_up_triplets if self.full.data.pairing == "triplets" else make_up
            make(self._data, self.toy.codec, frames)
            if self.full.data.singles:
                make_up(self._singles, self.toy.codec, frames)
            level = _check_pair(self._toy_source.batch(0, PAIRS))
            return f"{PAIRS} pairs of {self.toy.data.crop_frames} frames, made-up clips of RMS {level:.2f}"
        opened = open_data(
            self.dataset, self.full.data, self.full.training.seed, orchestrations=self.full.flow.orchestrations
        )
        runs.check_codec(self.full, opened.data.header, opened.data.folder)
        level = _check_pair(opened.source.batch(0, PAIRS))
        validated = opened.validation_clips if opened.validation else "none"
        # Under the toy codec: a real decoder would take minutes over the losses.
        stand_in(self._data, opened.data.folder, self.toy.codec)
        if self.full.data.singles:
            stand_in(self._singles, Path(self.full.data.singles), self.toy.codec)
        return (
            f"{PAIRS} pairs of {self.full.data.crop_frames} frames from {len(opened.data)} clips, {validated} to "
            f"validate on, latents of RMS {level:.2f}"
        )

    def codec(self) -> str:
        """There and back: as many samples as the contract says, with a gradient where the losses need one."""
        ready = self.codec_class.at_hand(self.full.codec.options)
        choice = self.full.codec if ready and not self._codec_is_blank else self.toy.codec
        codec: Codec = registry.build("codecs", choice.name, choice.options).eval()
        samples = round(_CODEC_S * codec.sample_rate_hz)
        z_BDT = codec.encode(_noise(samples)[None]).detach().requires_grad_()
        back_BCN = codec.decode(z_BDT)
        frames = math.ceil(samples / codec.hop_samples)
        if z_BDT.shape != (1, codec.latent_dim, frames):
            raise Unproven(f"latents {list(z_BDT.shape)} instead of {[1, codec.latent_dim, frames]}")
        if off := back_BCN.shape[-1] - frames * codec.hop_samples:
            raise Unproven(f"{off} samples off")
        (slope,) = torch.autograd.grad(back_BCN.square().mean(), z_BDT)
        if not bool(torch.isfinite(back_BCN).all() & torch.isfinite(slope).all()):
            raise Unproven("a sample or a gradient is not a finite number")
        stand_in = "" if ready else ", with random weights: its own are not on this machine"
        return f"{choice.name}, encode and decode {_CODEC_S:.1f} s, {off} samples off{stand_in}"

    def agent(self) -> str:
        """Streams of the channels that the cascade was built for, masks in [0, 1], the penalties that it names."""
        trainer = self._untrained
        agent = trainer.learner.bare_model.agent
        assert isinstance(agent, Agent)
        pair = trainer.fabric.to_device(trainer.source.batch(0, BATCH))
        agent.eval()
        with torch.no_grad():
            proposal = agent(pair.groove, pair.harmony)
        agent.train()
        channels = tuple(stream.shape[1] for stream in proposal.streams)
        if channels != agent.stream_dims:
            raise Unproven(f"streams of {channels} channels, {agent.stream_dims} were promised")
        if missing := set(agent.penalty_names) - proposal.penalties.keys():
            raise Unproven(f"promises penalties that it does not give: {', '.join(sorted(missing))}")
        said = f"{self.full.agent.name}, streams of {' and '.join(map(str, channels))} channels"
        if proposal.masks is None:
            return f"{said}, no masks"
        if not all(float(m.min()) >= 0.0 and float(m.max()) <= 1.0 for m in proposal.masks):
            raise Unproven("a mask is not in [0, 1]")
        return f"{said}, masks let {' and '.join(f'{float(m.mean()):.2f}' for m in proposal.masks)} through"

    def losses(self) -> str:
        """Every term a finite number, and a gradient from them in the weights."""
        trainer = self._untrained
        total, terms, _ = trainer.learner.losses(trainer.fabric.to_device(trainer.source.batch(0, BATCH)), 0, 0)
        trainer.fabric.backward(total)
        gradients = {name: p.grad for name, p in trainer.learner.bare_model.named_parameters() if p.requires_grad}
        if bad := [name for name, value in {**terms, "total": total}.items() if not bool(torch.isfinite(value))]:
            raise Unproven(f"{', '.join(bad)} is not a finite number")
        if bad := [name for name, g in gradients.items() if g is not None and not bool(torch.isfinite(g).all())]:
            raise Unproven(f"the gradient of {_listed(bad)} is not finite")
        untouched = [name for name, g in gradients.items() if g is None or not bool(g.any())]
        if len(untouched) == len(gradients):
            raise Unproven("no weight gets a gradient")
        none = f" (none: {_listed(untouched)})" if untouched else ""
        return (
            f"{len(terms)} terms, all finite, gradients reach {len(gradients) - len(untouched)} of "
            f"{len(gradients)} tensors{none}"
        )

    def checkpoint(self) -> str:
        """A whole run, and its last checkpoint equal to what is in memory."""
        trainer = self._fit("whole")
        path = checkpoint.found(trainer.run / "checkpoints")[-1]
        kept = checkpoint.load(path).tensors
        now = {
            "model": trainer.learner.bare_model.state_dict(),
            "optimizer": optimizers.optimizer_tensors(trainer.learner.bare_optimizer, trainer.learner.bare_model),
            **trainer.learner.targets.state(),
            **({} if trainer.learner.adversary is None else trainer.learner.adversary.state()),
        }
        if other := checkpoint.differences({group: kept.get(group, {}) for group in now}, now):
            raise Unproven(f"{_listed(other)} came back different")
        return f"{path.stat().st_size / 1e6:.1f} MB written after {trainer.seen} pairs and read back equal"

    def resume(self) -> str:
        """A second run that is asked to stop half-way, as by Ctrl-C, and goes on to the state of the first."""
        self._fit("stopped", stop_at=PAIRS // 2)
        trainer = self._fit("stopped")
        ours, theirs = (_newest(self.folder / run) for run in ("stopped", "whole"))
        bits = trainer.fabric.device.type == "cpu"  # elsewhere sums may be added in another order each time
        if other := checkpoint.differences(ours.tensors, theirs.tensors, exact=bits):
            raise Unproven(f"stopped after {PAIRS // 2} of {PAIRS} pairs it came to another {_listed(other)}")
        return f"stopped after {PAIRS // 2} of {PAIRS} pairs, went on to the same weights{'' if bits else ', nearly'}"

    def generation(self) -> str:
        """Two sounds on the disk to a third, by the model that was trained."""
        composer = Composer(weights.load_model(str(self.folder / "whole")), seed=1)
        rate_hz = composer.codec.sample_rate_hz
        pair = self._toy_source.batch(0, 1)
        groove, harmony = (
            composer.listen(self._sound(clip, composer.codec, name))
            for name, clip in (("groove", pair.groove), ("harmony", pair.harmony))
        )
        blend = composer.compose(groove, harmony)
        files.write(self.folder / "blend.wav", blend.wav_CN, rate_hz)
        made_CN = files.read(self.folder / "blend.wav", rate_hz)
        if made_CN.shape[1] != round(_BLEND_S * rate_hz) or not np.isfinite(made_CN).all():
            raise Unproven(f"{made_CN.shape[1] / rate_hz:.2f} s of sound instead of {_BLEND_S} s, or no finite numbers")
        level_db = clips.level_db(made_CN)
        if level_db < clips.SILENCE_DB:
            raise Unproven(f"{level_db:.1f} dBFS: silence came out")
        return f"{made_CN.shape[1] / rate_hz:.1f} s composed from two clips, {level_db:.1f} dBFS"

    @cached_property
    def toy(self) -> Recipe:
        """What is trained here in the place of the full recipe."""
        small = toy(self.full, self._blank_agent, *self._objective.least_frames(self.full.data.decode_stretches))
        singles = str(self._singles) if self.full.data.singles else ""
        return dataclasses.replace(small, data=dataclasses.replace(small.data, singles=singles))

    @cached_property
    def _untrained(self) -> Trainer:
        return self._trainer("untrained")

    @cached_property
    def _objective(self) -> Objective:
        return learner.objective(self.full, self._blank_agent, world=1)

    @cached_property
    def _blank_agent(self) -> Agent:
        agent = blank_model(self.full).agent
        assert isinstance(agent, Agent)
        return agent

    @property
    def _codec_is_blank(self) -> bool:
        """Whether the recipe itself asks for an architecture without its weights."""
        blank = self.codec_class.blank_options
        return bool(blank) and blank.items() <= self.full.codec.options.items()

    @property
    def _toy_source(self) -> Source:
        return open_data(self._data, self.toy.data, 0, orchestrations=self.toy.flow.orchestrations).source

    def _trainer(self, run: str, on_progress: Callable[[Progress], None] = lambda _: None) -> Trainer:
        return Trainer(self.toy, str(self._data), str(self.folder / run), on_progress)

    def _fit(self, run: str, stop_at: int = 0) -> Trainer:
        """A run to its end, or to where it is asked to stop; somebody else's signal ends the dry run."""

        def stop(now: Progress) -> None:
            if now.seen == stop_at and not now.message:
                signal.raise_signal(signal.SIGINT)

        trainer = self._trainer(run, stop)
        ended = trainer.fit()
        if ended.signal and ended.seen != stop_at:
            signal.raise_signal(ended.signal)
            raise KeyboardInterrupt
        if ended.seen != (stop_at or PAIRS):
            raise Unproven(f"ended at pair {ended.seen} instead of {stop_at or PAIRS}")
        return trainer

    def _sound(self, clip: Clip, codec: Codec, name: str) -> Path:
        """A file of the sound of some latents, looped to the length of the blend."""
        rate_hz = codec.sample_rate_hz
        wav_CN = clips.loop_to(codec.decode(clip.z_BDT)[0].numpy(), round(_BLEND_S * rate_hz), rate_hz)
        wav_CN = clips.limit_peaks(wav_CN * (_LEVEL / max(clips.rms(wav_CN), 1e-9)), PEAK, rate_hz)
        path = self.folder / f"{name}.wav"
        files.write(path, wav_CN, rate_hz)
        return path


def _check_pair(pair: Pair) -> float:
    """RMS of the latents of a pair. Raises BadInput for clips that no run could learn from."""
    for side, clip in (("groove", pair.groove), ("harmony", pair.harmony)):
        for name, values in zip(clip._fields, clip, strict=True):
            if values is not None and not bool(torch.isfinite(values).all()):
                raise BadInput(f"{name.split('_')[0]} of a {side} has numbers that are not finite; prepare it again")
        if not bool((clip.onsets_BKT >= 0).all() & (clip.chroma_BPT >= 0).all() & (clip.chroma_BPT <= 1).all()):
            raise BadInput(f"onsets or chroma of a {side} are out of range; prepare it again")
    return float(torch.cat([pair.groove.z_BDT, pair.harmony.z_BDT]).square().mean().sqrt())


def _noise(samples: int) -> Tensor:
    """Seeded noise at -20 dBFS, [1, N]."""
    return _LEVEL * torch.randn(1, samples, generator=torch.Generator().manual_seed(0))


def _newest(run: Path) -> Checkpoint:
    return checkpoint.load(checkpoint.found(run / "checkpoints")[-1])


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
