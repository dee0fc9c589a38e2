import json
import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from powermuse.training import signs
from powermuse.training.trainer import Trainer
from powermuse.types import Clip, Composition, Outcome, Pair, Proposal
from training.toys import toy

D, T = 6, 5
MEAN_D = torch.tensor([3.0, -2.0, 5.0, 1.0, 0.0, 4.0])
NONE = torch.zeros(1, 1, T)


def apart() -> tuple[Tensor, Tensor]:
    """Two latents without a channel in common, of RMS 1 each, two clips long."""
    random = torch.randn(2, D, T, generator=torch.Generator().manual_seed(1))
    groove, harmony = random.clone(), random.clone()
    groove[:, 3:], harmony[:, :3] = 0.0, 0.0
    return groove / groove.square().mean((1, 2), True).sqrt(), harmony / harmony.square().mean((1, 2), True).sqrt()


def told(blend: Tensor, groove: Tensor, harmony: Tensor, mean_D: Tensor, **proposal: Tensor | None) -> dict[str, float]:
    pair = Pair(*(Clip(z, NONE, NONE, NONE[0]) for z in (groove, harmony)))
    residual = proposal.get("residual", 0.5 * (groove + harmony))
    outcome = Outcome(pair, Proposal((groove, harmony), residual, {}, {}), Composition(blend, (blend,), ()))
    found = signs.observed(outcome, mean_D)
    assert not any(value.requires_grad for value in found.values())
    return {name: float(value) for name, value in found.items()}


def test_a_copy_a_sum_and_a_stranger_are_told_apart_once_the_mean_is_taken_off():
    groove, harmony = (z + MEAN_D[:, None] for z in apart())
    copy = told(groove.clone().requires_grad_(), groove, harmony, MEAN_D)
    assert copy["similarity.groove"] == pytest.approx(1.0, abs=1e-3)
    assert copy["similarity.harmony"] == copy["similarity.sources"] == pytest.approx(0.0, abs=1e-5)
    both = told(0.5 * (groove + harmony), groove, harmony, MEAN_D)
    assert both["similarity.sum"] == pytest.approx(1.0, abs=1e-3)
    assert both["similarity.groove"] < 0.95 and both["similarity.harmony"] < 0.95
    assert told(groove, groove, harmony, 0 * MEAN_D)["similarity.harmony"] > 0.5


def test_the_level_is_the_blends_over_the_root_mean_square_of_both():
    groove, harmony = apart()
    found = told(2.0 * groove, 3.0 * groove, harmony, 0 * MEAN_D)
    assert found["level.ratio"] == pytest.approx(2.0 / math.sqrt((9 + 1) / 2), rel=1e-5)


def test_the_residual_of_two_that_share_nothing_needs_the_root_of_two():
    groove, harmony = apart()
    assert told(groove, groove, harmony, MEAN_D)["level.residual_scale"] == pytest.approx(math.sqrt(2.0), rel=1e-5)
    assert told(groove, groove, groove, MEAN_D)["level.residual_scale"] == pytest.approx(1.0, rel=1e-5)
    assert "level.residual_scale" not in told(groove, groove, harmony, MEAN_D, residual=None)


def test_silence_gives_finite_signs():
    silence = torch.zeros(2, D, T)
    assert all(math.isfinite(value) for value in told(silence, silence, silence, 0 * MEAN_D).values())


def test_a_mean_that_is_not_finite_leaves_the_similarities_out():
    groove, harmony = apart()
    assert told(groove, groove, harmony, MEAN_D / 0.0).keys() == {"level.ratio", "level.residual_scale"}


def test_validations_log_them_under_names_that_mlflow_takes_and_training_steps_do_not(dataset: Path, tmp_path: Path):
    Trainer(toy("training.pairs=8", "training.log_every=8"), str(dataset), str(tmp_path / "run"), lambda _: None).fit()
    lines = {line["split"]: line for line in map(json.loads, (tmp_path / "run/log.jsonl").read_text().splitlines())}
    names = {f"similarity.{x}" for x in ("groove", "harmony", "sum", "sources")}
    names |= {"level.ratio", "level.residual_scale"}
    assert names <= lines["val"].keys() and not names & lines["train"].keys()
    assert all(re.fullmatch(r"[a-z0-9_. /-]+", name) for name in names)
    assert 0.9 < lines["val"]["level.ratio"] < 1.1 and lines["val"]["similarity.sum"] > 0.5
