"""The trainer. `seen`, the number of training pairs consumed, is the only clock: every random choice is a function of
it and of the seed, so that a run that was stopped, however roughly, goes on to the same numbers."""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from powermuse import disk, weights
from powermuse.data.sources import Opened, open_data
from powermuse.recipe import Recipe
from powermuse.training import checkpoint, environment, health, lock, runs, tracking
from powermuse.training.budget import Budget
from powermuse.training.checkpoint import Checkpoint
from powermuse.training.ema import averaged
from powermuse.training.learner import Learner
from powermuse.training.listening import Listening
from powermuse.training.monitor import Monitor
from powermuse.training.parallel import Parallel, check_world
from powermuse.training.signals import stop_signals
from powermuse.training.speed import Speed
from powermuse.types import Pair


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
        self.recipe, self.settings, self.run = recipe, recipe.training, Path(run)
        runs.check_settings(recipe)
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        opened = self._data(dataset, runs.known_triplets(self.run))
        runs.check_codec(recipe, opened.data.header, opened.data.folder)
        self.parallel = Parallel(self.settings)
        opened = self._agreed(opened, dataset)
        self.source, self.validation = opened.source, opened.validation
        self.fabric = self.parallel.fabric
        self.report = on_progress if self.parallel.first else lambda _: None
        self.budget = Budget(recipe, self.parallel)
        self.budget.check()
        with self.budget.watching(lambda: "it has not begun"):
            self.learner = Learner(recipe, opened.data.latent_mean(), self.parallel)
        self.begun_from = self._begin_from()
        with ExitStack() as held:  # given back where this raises
            with self.parallel.watching():
                self._open(opened, held)
            with self.budget.watching(self._stands):
                self.learner.set_up()
            self.seen, self.best, self.best_at = 0, float("inf"), -1
            # Where the last validation and the end of the run were, -1 for not yet: a run that dies between its last
            # checkpoint and its end is ended by the next start.
            self.validated_at = self.finished_at = -1
            self.means = tracking.RunningMeans()
            self._resume()
            check_world(self.settings, self.parallel.world, self.seen)  # fewer ranks may have left an odd number
            self._held = held.pop_all()
        self.monitor = Monitor(
            self.settings.monitor, self.learner.bare_model, self.run, self._say, writes=self.parallel.first
        )
        self.speed = Speed(recipe.data.crop_frames, self.fabric.device, self.parallel.world)
        self.trackers: list[tracking.Tracker] = []
        self.listening: Listening | None = None

    def fit(self) -> Ended:
        """Runs to `training.pairs`, or until SIGINT or SIGTERM, saving either way. Raises LostRank where another
        process of the run has ended before."""
        with self._held, health.recorded(self.run, writes=self.parallel.first):
            if self.finished_at == self.settings.pairs:
                return Ended(self.seen, self.best, 0)
            with self.budget.watching(self._stands), self.parallel.watching():
                return self._fit()

    def _fit(self) -> Ended:
        if self.parallel.first:
            self._open_records()
        self.speed.begin()
        finished, stopped = False, 0
        try:
            with stop_signals() as caught:
                while self.seen < self.settings.pairs:
                    if stopped := self.parallel.agreed(caught[0] if caught else 0):
                        self._save()
                        break
                    self._advance()
            if not stopped:
                self._finish()
                finished = True
            return Ended(self.seen, self.best, stopped)
        finally:
            for tracker in self.trackers:
                tracker.close(finished=finished)

    def _agreed(self, opened: Opened, dataset: str) -> Opened:
        """The data set as the first rank found it: while triplets are rendered, each finds more than the one before."""
        if self.parallel.world == 1 or not opened.counts:
            return opened
        counts = self.parallel.rows(torch.tensor(opened.counts, device=self.parallel.fabric.device))[0]
        return self._data(dataset, counts.tolist())

    def _data(self, dataset: str | os.PathLike[str], known: Sequence[int]) -> Opened:
        orchestrations = self.recipe.flow.orchestrations
        return open_data(Path(dataset), self.recipe.data, self.settings.seed, known, orchestrations=orchestrations)

    def _begin_from(self) -> dict[str, str]:
        """Gives a run that has no checkpoint of its own the weights that it starts from; what to record of them."""
        model = self.settings.begin_from
        if not model or checkpoint.newest(self._checkpoints)[0] is not None:
            return {}
        return {"model": model, "sha256": weights.begin_from(self.learner.bare_model, model, self.recipe)}

    def _open(self, opened: Opened, held: ExitStack) -> None:
        """The first rank begins the run's folder and holds it, the others find it begun."""
        if self.parallel.first:
            runs.check_run(self.run, self.recipe, opened.identity)  # before there is a folder
            held.enter_context(lock.own(self.run))
            runs.open_run(self.run, self.recipe, opened.identity)
            disk.remove_unfinished(self._checkpoints)
            disk.remove_unfinished(self.run)
        self.parallel.wait()

    def _open_records(self) -> None:
        """What the first rank keeps of a run that others may look at while it trains."""
        environment.record(self.run, self.seen, self.parallel.world, self.begun_from)
        self.trackers = tracking.trackers(self.run, self.recipe, self.seen, self._say)
        if self.settings.shard and self.recipe.tracking.listen:
            self._say("tracking.listen: nothing is heard of a sharded run, whose model no process holds whole")
        elif self.validation is not None and self.recipe.tracking.listen:
            self.listening = Listening(self.run, self.seen, self.learner, self.validation, self._say)

    def _advance(self) -> None:
        """One step and whatever is due after it."""
        size = min(self.settings.batch, self.settings.pairs - self.seen)
        before = self.seen
        due = self.settings.monitor and (self.parallel.first or self.settings.shard)
        watched = self.monitor.watching(before, before + size) if due else nullcontext()
        with watched, self.speed.counting():
            for told in self.learner.step(self._parts(size), self.seen):
                self.means.add(told)
        self.seen += size
        self.speed.add(size)
        if self._due(before, self.settings.log_every):
            self._log_training()
        improved = self._due(before, self.settings.validate_every) and self._validate()
        if improved or self._due(before, self.settings.save_every):
            self._save()
            self.speed.begin()

    def _parts(self, size: int) -> list[tuple[int, Pair]]:
        """This rank's parts of the batch at `seen`, each with the number of its first pair."""
        shares = self.parallel.shares(size, self.settings.accumulate)
        return [
            (self.seen + share.start, self.fabric.to_device(self.source.batch(self.seen + share.start, len(share))))
            for share in shares
        ]

    def _log_training(self) -> None:
        scalars = self.means.read(self.parallel.mean)
        self._check_finite()
        scalars |= {f"{tracking.CLOCK}{name}": value for name, value in self.speed.read().items()}
        self._track("train", scalars)
        self.report(Progress(self.seen, self.settings.pairs, scalars))

    def _check_finite(self) -> None:
        if (failed := int(self.learner.failed_at)) < 0:
            return
        self.seen = failed
        parts = self._parts(min(self.settings.batch, self.settings.pairs - failed))

        def replayed() -> tuple[Tensor, dict[str, Tensor]]:
            """The part of the batch that is to blame, or the first."""
            found = [self.learner.losses(pair, first, failed)[:2] for first, pair in parts]
            return next((each for each in found if not bool(torch.isfinite(each[0]))), found[0])

        raise health.diagnose(self.learner.bare_model, replayed, failed, self._last_good())

    def _stands(self) -> str:
        return f"the run stands at {self._last_good()}"

    def _last_good(self) -> str:
        kept = checkpoint.found(self._checkpoints)
        return f"checkpoint {kept[-1].name}" if kept else "its start, with no checkpoint yet"

    @torch.no_grad()
    def _validate(self) -> bool:
        """Whether the model is better than ever before; it is then the one that is saved. Under a discriminator of
        patches the newest is: what that asks for costs in the terms that there is to compare by."""
        if self.validation is None:
            return False
        self._check_finite()
        self.learner.model.eval()
        with self.learner.average.applied():
            scalars = self._validated().read(self.parallel.mean)
            improved = math.isfinite(scalars["loss"]) and (scalars["loss"] < self.best or self.learner.sharpens)
            if improved:
                self._save_model(self.learner.weights())
        self.learner.model.train()
        self.validated_at = self.seen
        if bad := [name for name, value in scalars.items() if not math.isfinite(value)]:
            raise health.NotFinite(
                self.seen, f"{', '.join(bad)} of the validation not finite; it stands at {self._last_good()}"
            )
        self._track("val", scalars)
        if improved:
            self.best, self.best_at = scalars["loss"], self.seen
        self._listen(scalars["loss"])
        self.speed.begin()
        self.report(Progress(self.seen, self.settings.pairs, {f"val.{k}": v for k, v in scalars.items()}))
        return improved

    def _listen(self, loss: float) -> None:
        """On the first rank alone, while the others go on to where they wait for it."""
        heard = self.listening.hear(self.seen, loss, self.best_at) if self.listening else None
        if heard is not None:
            for tracker in self.trackers:
                tracker.keep(heard)

    def _validated(self) -> tracking.RunningMeans:
        """Means over the validation batches that are this rank's. Ranks take turns; one that has none in the last round
        looks at one all the same, for nothing, so that all tell the same names."""
        assert self.validation is not None
        pairs, size = self.settings.validation_pairs, max(1, self.settings.batch // self.parallel.world)
        firsts = list(range(0, pairs, size))
        means = tracking.RunningMeans()
        for turn in range(0, len(firsts), self.parallel.world):
            mine = turn + self.parallel.rank
            first = firsts[min(mine, len(firsts) - 1)]
            count = min(size, pairs - first)
            pair = self.fabric.to_device(self.validation.batch(first, count))
            means.add(self.learner.validate(pair, first), count if mine < len(firsts) else 0)
        return means

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
        rows = {name: self.parallel.rows(total[None])[:, 0] for name, total in self.means.sums.items()}
        state = self.learner.state()
        if not self.parallel.first:
            return
        if self.validation is None or not (self.run / "model.safetensors").exists():
            self._save_model(averaged(state))
        values = {
            "best": self.best,
            "best_at": self.best_at,
            "means": self.means.counts,
            "validated_at": self.validated_at,
            "finished_at": self.finished_at,
        }
        now = Checkpoint(self.seen, {**state, "means": rows}, values)
        checkpoint.save(self._checkpoints, now, self.settings.keep_checkpoints, self.best_at)

    def _save_model(self, tensors: dict[str, Tensor]) -> None:
        if self.parallel.first:
            weights.save_tensors(self.run, tensors, self.recipe)

    def _resume(self) -> None:
        kept, complaints = checkpoint.newest(self._checkpoints)
        for complaint in complaints:
            self._say(f"{complaint}; using the one before")
        if kept is None:
            return
        self.learner.restore(kept.tensors, self._checkpoints)
        self.seen, self.best = kept.seen, float(kept.values["best"])
        self.best_at = int(kept.values.get("best_at", -1))
        self.validated_at, self.finished_at = kept.values["validated_at"], kept.values["finished_at"]
        self.means.counts = {name: int(count) for name, count in kept.values["means"].items()}
        self.means.sums = {name: self._own(rows) for name, rows in kept.tensors.get("means", {}).items()}
        self._say(f"going on from pair {self.seen}")

    def _own(self, rows: Tensor) -> Tensor:
        """This rank's share of sums that were saved a row a rank; of another number of ranks, the mean."""
        same = rows.dim() == 1 and len(rows) == self.parallel.world
        return (rows[self.parallel.rank] if same else rows.mean()).to(self.fabric.device)

    def _say(self, message: str) -> None:
        self.report(Progress(self.seen, self.settings.pairs, {}, message))

    def _due(self, before: int, every: int) -> bool:
        return self.seen // every > before // every

    def _track(self, split: str, scalars: dict[str, float]) -> None:
        for tracker in self.trackers:
            tracker.log(self.seen, split, scalars)

    @property
    def _checkpoints(self) -> Path:
        return self.run / "checkpoints"
