"""The trainer. `seen`, the number of training pairs consumed, is the only clock: every random choice is a function of
it and of the seed, so that a run that was stopped, however roughly, goes on to the same numbers."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from powermuse import disk, optimizers, registry, stretches, weights
from powermuse.adversary import Adversary
from powermuse.agents import Agent
from powermuse.chance import number
from powermuse.codecs import Codec
from powermuse.data.pairs import PairSource, validation_source
from powermuse.data.shards import Dataset
from powermuse.objective import Objective, observe
from powermuse.recipe import Recipe
from powermuse.targets import Targets
from powermuse.training import checkpoint, health, runs, signs, tracking
from powermuse.training.checkpoint import Checkpoint
from powermuse.training.curriculum import noisy
from powermuse.training.monitor import Monitor
from powermuse.training.signals import stop_signals
from powermuse.types import BadInput, Outcome, Pair


class Progress(NamedTuple):
    """What a progress bar shows."""

    seen: int
    pairs: int
    scalars: dict[str, float]
    message: str = ""


class Ended(NamedTuple):
    """How a run came to its end; `signal` is 0 unless it was asked to stop."""

    seen: int
    best: float
    signal: int


class Trainer:
    """Trains one recipe on one data set into one run folder; started again on the same folder it goes on.

    Raises BadInput for a recipe, data set and run that do not fit together, NotFinite when a number stops being one.
    """

    def __init__(self, recipe: Recipe, dataset: str, run: str, on_progress: Callable[[Progress], None]) -> None:
        self.recipe, self.settings, self.run, self.report = recipe, recipe.training, Path(run), on_progress
        runs.check_settings(recipe)
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        data = Dataset(dataset)
        runs.check_codec(recipe, data.header, data.folder)
        self.source = PairSource(data, recipe.data.pairing, recipe.data.crop_frames, self.settings.seed)
        self.validation = validation_source(Dataset(dataset, "val"), recipe.data.pairing, recipe.data.crop_frames)
        self.fabric = Fabric(accelerator="auto", devices=1, precision=self.settings.precision)
        torch.manual_seed(self.settings.seed)
        self.bare_model = weights.build_model(recipe, data.header.latent_dim)
        agent = self.bare_model.agent
        assert isinstance(agent, Agent)
        codec: type[Codec] = registry.find("codecs", recipe.codec.name)[1]
        self.objective = Objective(recipe.weights, agent.penalty_names, codec, data.latent_mean())
        runs.check_lengths(recipe, *self.objective.least_frames(recipe.data.decode_stretches))
        if self.objective.needs_truth and recipe.data.pairing != "unity":
            raise BadInput(
                f"weights: a term looks at the truth, which {recipe.data.pairing} pairs lack; use data.pairing=unity"
            )
        self.codec = self._codec() if self.objective.needs_sound else None
        runs.open_run(self.run, recipe, data)
        self.bare_optimizer = torch.optim.AdamW(
            self.bare_model.parameters(),
            self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=True,
        )
        self.adversary = self._adversary(data.header.latent_dim) if self.objective.needs_adversary else None
        self.targets = Targets(recipe.targets, recipe.target, self.fabric.device)
        self.model, self.optimizer = self.fabric.setup(self.bare_model, self.bare_optimizer)
        self.seen, self.best = 0, float("inf")
        # Where the last validation and the end of the run were, -1 for not yet: a run that dies between its last
        # checkpoint and its end is ended by the next start.
        self.validated_at = self.finished_at = -1
        self.means = tracking.RunningMeans()
        # The first pair whose step was not finite, -1 while all is well: on the device, read when the log is.
        self.failed_at = torch.tensor(-1, device=self.fabric.device)
        self._resume()
        self.monitor = Monitor(self.settings.monitor, self.bare_model, self.run, self._say)

    def fit(self) -> Ended:
        """Runs to `training.pairs`, or until SIGINT or SIGTERM, saving either way."""
        if self.finished_at == self.settings.pairs:
            return Ended(self.seen, self.best, 0)
        self.trackers = tracking.trackers(self.run, self.recipe, self.seen)
        self._time_from_here()
        finished = False
        try:
            with stop_signals() as caught:
                while self.seen < self.settings.pairs and not caught:
                    self._advance()
                if caught:
                    self._save()
                finished = not caught
            if finished:
                self._finish()
            return Ended(self.seen, self.best, caught[0] if caught else 0)
        finally:
            for tracker in self.trackers:
                tracker.close(finished=finished)

    def _advance(self) -> None:
        """One step and whatever is due after it."""
        size = min(self.settings.batch, self.settings.pairs - self.seen)
        before = self.seen
        watched = self.monitor.watching(before, before + size) if self.settings.monitor else nullcontext()
        with watched:
            self.means.add(self._step(self.fabric.to_device(self.source.batch(self.seen, size))))
        self.seen += size
        self._timed_pairs += size
        if self._due(before, self.settings.log_every):
            self._log_training()
        if self._due(before, self.settings.validate_every):
            self._validate()
        if self._due(before, self.settings.save_every):
            self._save()

    def _step(self, pair: Pair) -> dict[str, Tensor]:
        """One training step: pair, agent, cascade, outcome, objective, backward, clip, step, adversary."""
        total, terms, outcome = self.losses(pair)
        self.fabric.backward(total)
        norm = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.settings.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None
        self._gate(total, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.targets.step((self.failed_at >= 0).float())
        return {
            **self.targets.told(),
            **tracking.told(total, terms, outcome),
            "grad_norm": norm.detach(),
            **self._adversary_step(pair, outcome),
        }

    def _adversary_step(self, pair: Pair, outcome: Outcome) -> dict[str, Tensor]:
        """Lets the discriminator learn from this step's blends where it is its turn; what it has to tell."""
        if self.adversary is None or self.seen // self.settings.batch % self.recipe.adversary.every:
            return {}
        return self.adversary.learn(pair.harmony.z_BDT, outcome.blend_BDT, (self.failed_at >= 0).float())

    def losses(self, pair: Pair) -> tuple[Tensor, dict[str, Tensor], Outcome]:
        """Total and terms of a batch: the same for the same `seen`."""
        seed = number(f"{self.settings.seed}/step/{self.seen}") >> 1
        torch.manual_seed(seed)
        outcome = self._outcome(pair, self.seen, self.recipe.noise.amount(self.seen))
        total, terms = self.objective(outcome)
        quantities = {**terms, **outcome.proposal.penalties, **outcome.proposal.stats}
        if self.targets.binds("swap_response"):  # a second forward, for those alone who ask for it, under the same dice
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                quantities |= signs.swap_response(self.bare_model.agent, pair, outcome)
        total = total + self.targets.loss(quantities)
        return total, terms, outcome

    def _outcome(self, pair: Pair, which: int, noise: float = 0.0) -> Outcome:
        proposal, composition = self.model(*(noisy(clip, noise) for clip in (pair.groove, pair.harmony)))
        logits_B = None if self.adversary is None else self.adversary.judge(composition.blend_BDT)
        data = self.recipe.data
        where = stretches.choose(
            f"{self.settings.seed}/decode/{which}", data.crop_frames, data.decode_frames // data.decode_stretches,
            data.decode_stretches, self.objective.codec.context_frames,
        )  # fmt: skip
        return observe(pair, proposal, composition, self.codec, where, logits_B)

    def _gate(self, total: Tensor, norm: Tensor) -> None:
        """Lets no step after a number that is not finite reach the weights, without waiting for the device."""
        bad = ~(torch.isfinite(total) & torch.isfinite(norm)).detach()
        self.failed_at = torch.where((self.failed_at < 0) & bad, self.seen, self.failed_at)
        # The fused optimiser skips its step where this is 1: the hook that gradient scalers use.
        self.bare_optimizer.found_inf = (self.failed_at >= 0).float()  # type: ignore[attr-defined]

    def _log_training(self) -> None:
        scalars = self.means.read()
        self._check_finite()
        speed = self._timed_pairs / max(time.monotonic() - self._timed_from, 1e-9)
        self._time_from_here()
        scalars[f"{tracking.CLOCK}pairs_per_s"] = round(speed, 2)
        self._track("train", scalars)
        self.report(Progress(self.seen, self.settings.pairs, scalars))

    def _check_finite(self) -> None:
        if (failed := int(self.failed_at)) < 0:
            return
        self.seen = failed
        pair = self.fabric.to_device(self.source.batch(failed, min(self.settings.batch, self.settings.pairs - failed)))
        raise health.diagnose(self.bare_model, lambda: self.losses(pair)[:2], failed, self._last_good())

    def _last_good(self) -> str:
        kept = checkpoint.found(self._checkpoints)
        return f"checkpoint {kept[-1].name}" if kept else "its start, with no checkpoint yet"

    @torch.no_grad()
    def _validate(self) -> None:
        if self.validation is None:
            return
        self._check_finite()
        self.model.eval()
        means = tracking.RunningMeans()
        for first in range(0, self.settings.validation_pairs, self.settings.batch):
            size = min(self.settings.batch, self.settings.validation_pairs - first)
            pair = self.fabric.to_device(self.validation.batch(first, size))
            outcome = self._outcome(pair, first)
            total, terms = self.objective(outcome)
            means.add(
                {**tracking.told(total, terms, outcome), **signs.swap_response(self.bare_model.agent, pair, outcome)},
                size,
            )
            means.add(signs.observed(outcome, self.objective.latent_mean_D), size)
        self.model.train()
        self.validated_at = self.seen
        scalars = means.read()
        if bad := [name for name, value in scalars.items() if not math.isfinite(value)]:
            raise health.NotFinite(
                f"pair {self.seen}: {', '.join(bad)} of the validation not finite; it stands at {self._last_good()}"
            )
        self._track("val", scalars)
        if scalars["loss"] < self.best:
            self.best = scalars["loss"]
            weights.save_model(self.run, self.bare_model, self.recipe)
        self._time_from_here()
        self.report(Progress(self.seen, self.settings.pairs, {f"val.{k}": v for k, v in scalars.items()}))

    def _finish(self) -> None:
        """What the last step did not make due."""
        if self.means.counts:
            self._log_training()
        if self.validated_at != self.seen:
            self._validate()
        self.finished_at = self.seen
        self._save()

    def _save(self) -> None:
        self._check_finite()
        if self.validation is None or not (self.run / "model.safetensors").exists():
            weights.save_model(self.run, self.bare_model, self.recipe)
        tensors = {
            "model": self.bare_model.state_dict(),
            "optimizer": optimizers.optimizer_tensors(self.bare_optimizer, self.bare_model),
            "means": self.means.sums,
            **self.targets.state(),
        }
        if self.adversary is not None:
            tensors |= self.adversary.state()
        values = {
            "best": self.best,
            "means": self.means.counts,
            "validated_at": self.validated_at,
            "finished_at": self.finished_at,
        }
        checkpoint.save(self._checkpoints, Checkpoint(self.seen, tensors, values), self.settings.keep_checkpoints)

    def _resume(self) -> None:
        disk.remove_unfinished(self._checkpoints)
        disk.remove_unfinished(self.run)
        kept, complaints = checkpoint.newest(self._checkpoints)
        for complaint in complaints:
            self._say(f"{complaint}; using the one before")
        if kept is None:
            return
        weights.fit_tensors(self.bare_model, kept.tensors["model"], str(self._checkpoints))
        optimizers.restore_optimizer(self.bare_optimizer, self.bare_model, kept.tensors.get("optimizer", {}))
        self.seen, self.best = kept.seen, float(kept.values["best"])
        self.validated_at, self.finished_at = kept.values["validated_at"], kept.values["finished_at"]
        self.targets.restore(kept.tensors)
        if self.adversary is not None:
            self.adversary.restore(kept.tensors, str(self._checkpoints))
        self.means.counts = {name: int(count) for name, count in kept.values["means"].items()}
        self.means.sums = {k: v.to(self.fabric.device) for k, v in kept.tensors.get("means", {}).items()}
        self._say(f"going on from pair {self.seen}")

    def _say(self, message: str) -> None:
        self.report(Progress(self.seen, self.settings.pairs, {}, message))

    def _time_from_here(self) -> None:
        """Begins a new measurement of the speed, which counts training steps alone."""
        self._timed_from, self._timed_pairs = time.monotonic(), 0

    def _due(self, before: int, every: int) -> bool:
        return self.seen // every > before // every

    def _track(self, split: str, scalars: dict[str, float]) -> None:
        for tracker in self.trackers:
            tracker.log(self.seen, split, scalars)

    def _adversary(self, latent_dim: int) -> Adversary:
        settings = self.settings
        made = Adversary(self.recipe.adversary, latent_dim, settings.learning_rate, settings.weight_decay)
        made.network.to(self.fabric.device)
        return made

    def _codec(self) -> Codec:
        return weights.build_codec(self.recipe).keep_decoder().to(self.fabric.device)

    @property
    def _checkpoints(self) -> Path:
        return self.run / "checkpoints"
