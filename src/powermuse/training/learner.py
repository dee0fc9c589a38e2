"""What learns: model, objective, adversary and targets of a run, and the step that changes them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from powermuse import optimizers, registry, stretches, weights
from powermuse.adversary import Adversary
from powermuse.agents import Agent
from powermuse.chance import number
from powermuse.codecs import Codec
from powermuse.model.flow import FlowCascade
from powermuse.objective import Objective, observe
from powermuse.recipe import Recipe
from powermuse.targets import Targets
from powermuse.training import runs, schedule, sharding, signs, steering, tracking
from powermuse.training.checkpoint import Tensors
from powermuse.training.curriculum import noisy
from powermuse.training.ema import MovingAverage
from powermuse.training.parallel import Parallel
from powermuse.types import BadInput, Brief, Noised, Outcome, Pair

Losses = tuple[Tensor, dict[str, Tensor], Outcome]


class Learner:
    """Everything of a run that a step changes; `latent_mean_D` is the training set's mean of each latent channel.

    Raises BadInput for a recipe that its data cannot be trained with.
    """

    def __init__(self, recipe: Recipe, latent_mean_D: Tensor, parallel: Parallel) -> None:
        self.recipe, self.settings, self.parallel, self.fabric = recipe, recipe.training, parallel, parallel.fabric
        torch.manual_seed(self.settings.seed)
        self.bare_model = weights.build_model(recipe, len(latent_mean_D))
        agent = self.bare_model.agent
        assert isinstance(agent, Agent)
        self.objective = objective(recipe, agent, parallel.world, latent_mean_D)
        self._freeze_by_stage()
        self.codec = self.make_codec() if self.objective.needs_sound else None

    def _freeze_by_stage(self) -> None:
        """A stage of a composer by flow matching may teach its draft alone, where `flow.truth` has no weight; where
        one term alone has one, the flow, beside the draft as it is, or the score."""
        flow, named = self.bare_model.cascade, self.objective.weights.keys()
        if not isinstance(flow, FlowCascade):
            return
        if "flow.truth" not in named:
            flow.draft_alone()
        if named == {"flow.truth"}:
            flow.drafter.requires_grad_(False)
        if named == {"notes.truth"}:
            flow.score_alone()

    def set_up(self) -> None:
        """Optimisers, adversary and targets, on the device: when all that may be refused has been looked at."""
        if self.settings.compile:
            self.bare_model.cascade.compile()
        placed(self.bare_model, self.fabric.device)
        self.model = self.fabric.setup_module(self.bare_model, move_to_device=False)
        if self.settings.shard:
            sharding.check(self.bare_model, self.parallel.world)
        # After the model's setup, which may put shards in the place of its weights.
        self.bare_optimizer = optimizers.adamw(
            self.bare_model.parameters(), self.settings.learning_rate, self.settings.weight_decay, self.settings.betas
        )
        optimizer = self.fabric.setup_optimizers(self.bare_optimizer)
        assert not isinstance(optimizer, tuple)
        self.optimizer = optimizer
        self.adversary = self._adversary() if self.objective.needs_adversary else None
        self.targets = Targets(self.recipe.targets, self.recipe.target, self.fabric.device)
        self.average = MovingAverage(self.bare_model, self.settings.ema)
        # The first pair whose step was not finite, -1 while all is well: on the device, read when the log is.
        self.failed_at = torch.tensor(-1, device=self.fabric.device)

    def step(self, parts: Sequence[tuple[int, Pair]], seen: int) -> list[dict[str, Tensor]]:
        """One training step at `seen`, on this rank's parts of the batch with the number of each one's first pair:
        losses, backward, clip, step, adversary. What each part, and last the step, has to tell."""
        found, told, violations = [], [], []
        for i, (first, pair) in enumerate(parts):
            # The gradients of a sharded model become shards after each part: whole ones may find no room.
            alone = i + 1 < len(parts) and not self.settings.shard
            with self.fabric.no_backward_sync(self.model, enabled=alone):
                total, terms, outcome = self.losses(pair, first, seen)
                self.fabric.backward(total / len(parts))
            found.append((pair, outcome.blend_BDT.detach(), total.detach()))
            told.append(tracking.told(total, terms, outcome))
            violations.append(self.targets.seen)
            del outcome, terms  # with their graph, before the next part builds its own
        norm = self._clip()
        mean_violation = torch.stack(violations).mean(dim=0)
        bad = ~torch.isfinite(norm) | ~torch.isfinite(torch.stack([total for *_, total in found])).all()
        agreed = self.parallel.mean(torch.cat([bad[None].float(), mean_violation]))
        self._gate(agreed[0] > 0, seen)
        rate = self._set_rate(seen)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        self.targets.step(self._stopped, agreed[1:])
        made = [(pair, blend_BDT) for pair, blend_BDT, _ in found]
        return [*told, {**self.targets.told(), "grad_norm": norm, **rate, **self._adversary_step(made, seen)}]

    def losses(self, pair: Pair, first: int, seen: int) -> Losses:
        """Total and terms of a batch that begins with pair `first`, in the step at `seen`: always the same."""
        seed = number(f"{self.settings.seed}/step/{first}") >> 1
        torch.manual_seed(seed)
        outcome = self.outcome(pair, first, self.recipe.noise.amount(seen))
        total, terms = self.objective(outcome)
        quantities = {**terms, **outcome.proposal.penalties, **outcome.proposal.stats}
        if self.targets.binds("swap_response"):  # a second forward, for those alone who ask for it, under the same dice
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                quantities |= signs.swap_response(self.bare_model.agent, pair, outcome)
        total = total + self.targets.loss(quantities)
        return total, terms, outcome

    def outcome(self, pair: Pair, which: int, noise: float = 0.0) -> Outcome:
        """What comes of a batch; `which` decides the stretches that are decoded."""
        clips = [noisy(clip, noise) for clip in (pair.groove, pair.harmony)]
        proposal, composition = self.model(*clips, self._brief(pair, which))
        judge = self.adversary
        learns = self.model.training
        logits_B = None if judge is None else judge.judge(composition.blend_BDT, judge.told(pair), learns)
        data = self.recipe.data
        where = stretches.choose(
            f"{self.settings.seed}/decode/{which}", data.crop_frames, data.decode_frames // data.decode_stretches,
            data.decode_stretches, self.objective.codec.context_frames,
        )  # fmt: skip
        return observe(pair, proposal, composition, self.codec, where, logits_B)

    def _brief(self, pair: Pair, which: int) -> Brief | None:
        """What a composer by flow matching is told; None for another."""
        if not isinstance(self.bare_model.cascade, FlowCascade):
            return None
        played = pair.notes_BQT if self.model.training and self._plans else None
        return Brief(self._noised(pair, which), pair.orchestration_B, played)

    @property
    def sharpens(self) -> bool:
        """Whether a discriminator of patches is there, for how things sound and not for what is played."""
        return self.objective.needs_adversary and self.recipe.adversary.hears != "clips"

    @property
    def _plans(self) -> bool:
        """Whether a composer by flow matching learns, or has learnt, to plan a score: only then are the notes of the
        truth painted in training, or it would learn to paint what it is never given. In validation it plays from its
        own score, what will be heard."""
        named = self.objective.weights.keys()
        return "notes.truth" in named or named == {"flow.truth"}

    def _noised(self, pair: Pair, which: int) -> Noised | None:
        """The truth behind noise, for a composer that learns to find it: at times of a logistic normal distribution
        (Esser et al., ICML 2024), in validation evenly spread ones under the same noise each time."""
        if not self.bare_model.cascade.refines or pair.truth is None:
            return None
        truth_BDT = pair.truth.z_BDT
        if self.model.training:
            time_B = (torch.randn(len(truth_BDT), device=truth_BDT.device) - 0.2).sigmoid()
            return Noised(truth_BDT, torch.randn_like(truth_BDT), time_B)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(which)
            time_B = (torch.arange(len(truth_BDT)) + 0.5) / len(truth_BDT)
            return Noised(truth_BDT, torch.randn_like(truth_BDT), time_B.to(truth_BDT))

    def validate(self, pair: Pair, which: int) -> dict[str, Tensor]:
        """What a validation has to tell of a batch."""
        outcome = self.outcome(pair, which)
        total, terms = self.objective(outcome)
        return {
            **tracking.told(total, terms, outcome),
            **signs.swap_response(self.bare_model.agent, pair, outcome),
            **signs.observed(outcome, self.objective.latent_mean_D),
        }

    @torch.no_grad()
    def compose(self, pair: Pair) -> Tensor:
        """The blends of a batch by the averaged weights. By this rank alone, and everything is left as it was."""
        self.bare_model.eval()
        with self.average.applied(), self.fabric.autocast():
            _, composition = self.bare_model(pair.groove, pair.harmony)
        self.bare_model.train()
        return composition.blend_BDT.float()

    def make_codec(self) -> Codec:
        """The codec as training wants it: to decode with, on the device."""
        codec = weights.build_codec(self.recipe).keep_decoder()
        placed(codec, self.fabric.device)
        return codec

    def state(self) -> Tensors:
        """Every tensor that decides how it goes on, by group and name, whole: of a sharded run on the first rank alone,
        but all have to ask."""
        return {group: sharding.gathered(tensors, self.parallel.first) for group, tensors in self._held().items()}

    def weights(self) -> dict[str, Tensor]:
        """The weights and buffers of the model as it is now, whole, where `state` is."""
        return sharding.gathered(self.bare_model.state_dict(), self.parallel.first)

    def restore(self, tensors: Tensors, where: Path) -> None:
        """Puts `state` back. Raises BadInput where it is another run's."""
        held = self._held()
        tensors = {group: sharding.scattered(whole, held.get(group, {})) for group, whole in tensors.items()}
        weights.fit_tensors(self.bare_model, tensors["model"], str(where))
        optimizers.restore_optimizer(self.bare_optimizer, self.bare_model, tensors.get("optimizer", {}))
        self.targets.restore(tensors)
        self.average.restore(tensors)
        if self.adversary is not None:
            self.adversary.restore(tensors, str(where))

    def _held(self) -> Tensors:
        """What `state` is made of: the tensors of this rank, some of which may be shards."""
        tensors = {
            "model": self.bare_model.state_dict(),
            "optimizer": optimizers.optimizer_tensors(self.bare_optimizer, self.bare_model),
            **self.targets.state(),
            **self.average.state(),
        }
        if self.adversary is not None:
            tensors |= self.adversary.state()
        return tensors

    @property
    def _stopped(self) -> Tensor:
        """1 once a step was not finite, else 0; on the device."""
        return (self.failed_at >= 0).float()

    def _clip(self) -> Tensor:
        """Bounds the norm of the whole gradient; what it was before."""
        norm = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.settings.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None
        return sharding.whole(norm.detach())

    def _gate(self, bad: Tensor, seen: int) -> None:
        """Lets no step after a number that is not finite reach the weights, without waiting for the device."""
        self.failed_at = torch.where((self.failed_at < 0) & bad, seen, self.failed_at)
        # The fused optimiser skips its step where this is 1: the hook that gradient scalers use.
        self.bare_optimizer.found_inf = self._stopped  # type: ignore[attr-defined]

    def _set_rate(self, seen: int) -> dict[str, Tensor]:
        """Gives the step at `seen` its learning rate where that follows a schedule; what there is to tell of it."""
        if not schedule.is_on(self.settings):
            return {}
        rate = schedule.learning_rate(self.settings, seen)
        for group in self.bare_optimizer.param_groups:
            group["lr"] = rate
        return {"learning_rate": torch.full((), rate, device=self.fabric.device)}

    def _adversary_step(self, made: list[tuple[Pair, Tensor]], seen: int) -> dict[str, Tensor]:
        """Lets the discriminator learn from this step's blends where it is its turn; what it has to tell."""
        if self.adversary is None or seen // self.settings.batch % self.recipe.adversary.every:
            return {}
        real_BDT = torch.cat([(pair.truth or pair.harmony).z_BDT for pair, _ in made])
        blend_BDT = torch.cat([blend_BDT for _, blend_BDT in made])
        told = [told_BPDT for told_BPDT in (self.adversary.told(pair) for pair, _ in made) if told_BPDT is not None]
        return self.adversary.learn(
            real_BDT, blend_BDT, self._stopped, self.parallel.average_gradients, torch.cat(told) if told else None
        )

    def _adversary(self) -> Adversary:
        settings = self.settings
        latent_dim = self.objective.codec.latent_dim
        made = Adversary(self.recipe.adversary, latent_dim, settings.learning_rate, settings.weight_decay)
        placed(made.network, self.fabric.device)
        return made


def objective(recipe: Recipe, agent: Agent, world: int, latent_mean_D: Tensor | None = None) -> Objective:
    """The objective of a run on `world` processes. Raises BadInput where agent, pairs, crops or batches lack what a
    term or a target of the recipe looks at."""
    codec: type[Codec] = registry.find("codecs", recipe.codec.name)[1]
    made = Objective(recipe.weights, agent.penalty_names, codec, latent_mean_D)
    runs.check_lengths(recipe, *made.least_frames(recipe.data.decode_stretches))
    if made.needs_truth and recipe.data.pairing not in ("unity", "triplets"):
        raise BadInput(
            f"weights: a term looks at the truth, which {recipe.data.pairing} pairs lack; "
            "use data.pairing=unity, or triplets on a rendered data set"
        )
    if made.needs_adversary and recipe.adversary.hears == "playing" and not recipe.data.notes:
        raise BadInput("adversary: what hears `playing` is told the notes of the truth: use data.notes=true")
    _check_terms(recipe, made)
    steering.check(recipe, agent, made.weights, world)
    return made


def placed(module: nn.Module, device: torch.device) -> None:
    """Moves a module to the device where it is not there yet."""
    if any(t.device != device for t in (*module.parameters(), *module.buffers())):
        module.to(device)


def _check_terms(recipe: Recipe, made: Objective) -> None:
    """Raises BadInput for terms that composer, data or codec of the recipe have nothing for, before a run is begun."""
    flow, data = recipe.flow, recipe.data
    if "notes.truth" in made.weights and not (recipe.composer == "flow" and data.notes):
        raise BadInput("weights: notes.truth wants composer=flow and pairs that know their notes (data.notes=true)")
    if "notes.truth" in made.weights and data.crop_frames % flow.pool:
        raise BadInput(
            f"weights: notes.truth wants crops of whole tokens: data.crop_frames={data.crop_frames} is no multiple of "
            f"flow.pool={flow.pool}"
        )
    if "flow.truth" in made.weights and not (recipe.composer == "flow" and flow.refine_layers > 0):
        raise BadInput("weights: flow.truth wants composer=flow with flow.refine_layers above 0")
    if recipe.codec.name != "mel":
        if "strokes.truth" in made.weights:
            raise BadInput(f"weights: strokes.truth is read from latents of the mel codec, not of {recipe.codec.name}")
        if made.needs_adversary and recipe.adversary.hears == "playing":
            raise BadInput(f"adversary: what hears `playing` wants the mel codec, not {recipe.codec.name}")
