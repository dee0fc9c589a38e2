"""Every shipped recipe is built and run for two steps at toy size, and says what its run said."""

from pathlib import Path

import pytest
import torch

import sounds
from powermuse import recipe
from powermuse.data.made_up import make_up_triplets
from powermuse.recipe import Choice, NoiseRecipe
from powermuse.training.budget import Budget
from powermuse.training.trainer import Trainer

TOY = [
    "codec.name=mdct", "cascade.layers=1", "cascade.ffn_multiple=0.25", "cascade.heads=4", "training.batch=2",
    "training.pairs=4", "training.log_every=2", "training.validate_every=4", "training.validation_pairs=2",
    "training.save_every=4", "tracking.mlflow=false", "tracking.listen=0",
]  # fmt: skip
SMALL = {
    "masking": ["agent.options.hidden=16", "agent.options.heads=2"],
    "compositional": [
        "agent.options.width=8", "agent.options.composer_width=16", "agent.options.composer_layers=1",
        "agent.options.heads=2",
    ],
    "fixed": [],
    "factors": ["flow.width=16", "flow.heads=2", "flow.draft_layers=1", "training.begin_from=''"],
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds.dataset(tmp_path_factory.mktemp("recipes"), "mdct")


@pytest.fixture(scope="module")
def triplets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes") / "triplets"
    make_up_triplets(folder, Choice("mel"), clip_frames=60)
    return folder


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether a run fits into memory: it takes twice as long as the run, and test_footprint.py asks it."""
    monkeypatch.setattr(Budget, "check", lambda budget: None)


@pytest.mark.parametrize("name", recipe.shipped())
def test_each_recipe_runs_two_steps_at_toy_size(dataset, triplets, tmp_path, name):
    agent = recipe.load(name).agent.name
    crop = min(recipe.load(name).data.crop_frames, 600)
    # Rendered triplets have a test of their own; here the groove is the truth.
    given = ["data.pairing=unity", "data.unity=0", "data.notes=false"]
    pairing = given if recipe.load(name).data.pairing == "triplets" else []
    if agent == "factors":
        dataset, pairing = triplets, ["codec.name=mel", "data.triplets=0"]
    made = recipe.load(name, [*TOY, *SMALL[agent], f"data.crop_frames={crop}"])
    if not any(term.startswith("modulation") for term in made.weights):
        made = recipe.load(name, [*TOY, *SMALL[agent], "data.crop_frames=60", "data.decode_frames=30", *pairing])
    logged: list[dict[str, float]] = []
    ended = Trainer(made, str(dataset), str(tmp_path / "run"), lambda p: logged.append(p.scalars)).fit()
    assert ended.seen == 4 and (tmp_path / "run/model.safetensors").exists()
    assert {term for term, weight in made.weights.items() if weight} <= logged[0].keys()
    assert ("adversary.loss" in logged[0]) is ("gan" in made.weights)


def test_the_recipes_of_the_reference_are_all_there():
    assert {
        "tiny", "simple", "temporal", "frequency", "hybrid", "masking", "first_masking", "push_complementarity",
        "compositional", "creative_085", "noise_curriculum", "three_stage",
    } <= set(recipe.shipped())  # fmt: skip


def test_pushing_complementarity_is_masking_with_mask_penalties_five_times_as_heavy():
    plain, pushed = recipe.load("masking"), recipe.load("push_complementarity")
    for name in ("mask.overlap", "mask.coverage", "mask.diversity"):
        assert pushed.weights[name] == pytest.approx(5 * plain.weights[name])
    for name in ("rms.groove", "rms.harmony", "mask.balance", "gan", "modulation.groove", "outliers"):
        assert pushed.weights[name] == plain.weights[name]


def test_the_noise_curriculum_is_a_staircase_of_seen():
    noise = NoiseRecipe(rate=0.01, ceiling=0.05, start=100, step=10)
    wanted = {0: 0.0, 99: 0.0, 100: 0.01, 109: 0.01, 110: 0.02, 1000: 0.05}
    assert {seen: noise.amount(seen) for seen in wanted} == pytest.approx(wanted)
    assert NoiseRecipe().amount(10**9) == 0.0


def test_a_target_steers_a_run_and_is_kept_by_its_checkpoint(dataset, tmp_path):
    made = recipe.load("tiny", [
        "codec.name=mdct", "agent.options.hidden=16", "agent.options.heads=2", "training.batch=4",
        "training.log_every=40", "training.validate_every=240", "training.save_every=240", "training.pairs=240",
        "training.validation_pairs=4", "tracking.mlflow=false", "tracking.listen=0", "data.crop_frames=24",
        "cascade.stages=1", "target.rate=2",
        "weights.mask.overlap=0", 'targets.complementarity=">= 0.85"',
    ])  # fmt: skip
    logged: list[dict[str, float]] = []
    trainer = Trainer(made, str(dataset), str(tmp_path / "run"), lambda p: logged.append(p.scalars))
    trainer.fit()
    reached = [s["complementarity"] for s in logged if "complementarity" in s]
    assert reached[0] < 0.78 and reached[-1] > 0.85
    assert logged[0]["target.complementarity.least"] > 0
    again = Trainer(made, str(dataset), str(tmp_path / "run"), lambda p: None)
    assert torch.equal(again.learner.targets.multipliers, trainer.learner.targets.multipliers)


def test_validation_tells_how_far_masks_answer_to_another_partner(dataset, tmp_path):
    def swap_response(*settings: str) -> float | None:
        made = recipe.load("temporal" if settings else "tiny", [*TOY, *SMALL["fixed" if settings else "masking"],
            "data.crop_frames=60", "data.decode_frames=30"])  # fmt: skip
        told: list[dict[str, float]] = []
        Trainer(made, str(dataset), str(tmp_path / made.name), lambda p: told.append(p.scalars)).fit()
        return told[-1].get("val.swap_response")

    assert swap_response() > 1e-6  # type: ignore[operator]
    assert swap_response("fixed") == 0.0
