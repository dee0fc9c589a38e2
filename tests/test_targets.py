"""Targets: what they read, how multipliers move, that a bound is reached, and what is said of one that cannot be."""

import math
from typing import Any

import pytest
import torch

from powermuse.recipe import TargetRecipe
from powermuse.targets import Bound, Targets, parse
from powermuse.types import BadInput

VALUES = {"complementarity": 0.8, "balance.groove": 0.55}
GO_ON, STOP = torch.tensor(0.0), torch.tensor(1.0)
HERE = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        (">= 0.9", [Bound("q", 0.9, -1)]),
        ("<=0.2", [Bound("q", 0.2, 1)]),
        ("0.5 +- 0.02", [Bound("q", 0.52, 1), Bound("q", 0.48, -1)]),
        ("0.5 ± 2e-2", [Bound("q", 0.52, 1), Bound("q", 0.48, -1)]),
    ],
)
def test_a_target_is_one_bound_or_two(text, bounds):
    for found, wanted in zip(parse("q", text), bounds, strict=True):
        assert (found.name, found.sign) == (wanted.name, wanted.sign)
        assert found.limit == pytest.approx(wanted.limit)


@pytest.mark.parametrize("text", ["0.9", "> 0.9", "about 1", ">= high", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(BadInput, match="is wanted"):
        parse("q", text)


def descend(text: str, slope: float, steps: int = 2000, **settings: Any) -> tuple[float, Targets]:
    """Gradient descent on (x - 1)^2 + slope x, x bound by a target."""
    x = torch.zeros((), requires_grad=True)
    targets = Targets({"x": text}, TargetRecipe(**settings), HERE)
    for _ in range(steps):
        loss = (x - 1.0).square() + slope * x + targets.loss({"x": x})
        (gradient,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            x -= 0.02 * gradient
        targets.step(GO_ON)
    return float(x.detach()), targets


def test_a_bound_that_holds_by_itself_changes_nothing():
    x, targets = descend(">= 0.5", slope=0.0)
    assert x == pytest.approx(1.0, abs=1e-3) and float(targets.multipliers) == 0.0


def test_a_bound_that_is_violated_is_reached_with_the_multiplier_of_lagrange():
    # At x = 2 the loss pulls back with slope 2 (x - 1) + 3 = 5: the multiplier that holds it there is 5.
    x, targets = descend(">= 2", slope=3.0)
    assert x == pytest.approx(2.0, abs=0.01)
    assert float(targets.multipliers) == pytest.approx(5.0, rel=0.02)


def test_a_band_is_entered_from_either_side():
    assert descend("0.5 +- 0.02", slope=0.0)[0] == pytest.approx(0.52, abs=0.01)
    assert descend("0.5 +- 0.02", slope=3.0)[0] == pytest.approx(0.48, abs=0.01)


def test_what_cannot_be_met_is_said_with_its_distance_and_price():
    x, targets = descend(">= 9", slope=0.0, most=4.0, damping=0.0)
    assert x == pytest.approx(3.0, abs=0.05)  # 2 (x - 1) = 4
    assert targets.verdicts() == [
        "target x >= 9: missed by 6 (reached 3), multiplier 4, its bound: the rest of the loss would rise by more than "
        "4 a unit"
    ]
    assert descend(">= 2", slope=3.0)[1].verdicts()[0].startswith("target x >= 2: ")


def test_a_quantity_that_is_not_there_or_has_no_gradient_is_refused():
    with pytest.raises(BadInput, match="there are: y"):
        Targets({"x": ">= 1"}, TargetRecipe(), HERE).loss({"y": torch.zeros((), requires_grad=True)})
    with pytest.raises(BadInput, match="no gradient"):
        Targets({"x": ">= 1"}, TargetRecipe(), HERE).loss({"x": torch.zeros(())})


def test_a_bad_step_moves_no_multiplier():
    targets = Targets({"x": ">= 1"}, TargetRecipe(), HERE)
    targets.loss({"x": torch.tensor(math.nan, requires_grad=True)})
    targets.step(STOP)
    assert float(targets.multipliers) == 0.0


def test_restored_it_goes_on_from_the_same_multipliers():
    _, targets = descend(">= 2", slope=3.0, steps=100)
    other = Targets({"x": ">= 2"}, TargetRecipe(), HERE)
    other.restore(targets.state())
    for one in (targets, other):
        one.loss({"x": torch.tensor(0.3, requires_grad=True)})
        one.step(GO_ON)
    assert torch.equal(targets.multipliers, other.multipliers) and float(other.multipliers) > 0


def test_multipliers_are_logged_under_names_that_mlflow_takes():
    pytest.importorskip("mlflow", reason="the extra track is not installed")
    from mlflow.utils.validation import _validate_metric_name

    targets = Targets({"complementarity": ">= 0.9", "balance.groove": "0.5 +- 0.02"}, TargetRecipe(), HERE)
    targets.loss({name: torch.tensor(x, requires_grad=True) for name, x in VALUES.items()})
    told = targets.told()
    assert {name: float(told.pop(name)) for name in VALUES} == pytest.approx(VALUES)
    assert list(told) == ["target.complementarity.least", "target.balance.groove.most", "target.balance.groove.least"]
    for name in told:
        _validate_metric_name(f"train/{name}")


@pytest.mark.parametrize("method", ["multipliers", "pi", "geco"])
def test_every_method_reaches_a_bound_with_the_multiplier_of_lagrange(method):
    x, targets = descend(">= 2", slope=3.0, method=method, damping=1.0, rate=0.02, steps=6000)
    assert x == pytest.approx(2.0, abs=0.02)
    assert float(targets._prices()) == pytest.approx(5.0, rel=0.05)
    assert targets.told()["target.x.least"] == pytest.approx(5.0, rel=0.05)


@pytest.mark.parametrize("method", ["pi", "geco"])
def test_every_method_lets_go_of_a_bound_that_holds_by_itself(method):
    x, targets = descend(">= 0.5", slope=0.0, method=method, damping=1.0)
    assert x == pytest.approx(1.0, abs=0.01) and float(targets._prices()) < 0.01


def test_of_two_targets_that_cannot_agree_each_is_named_as_what_pulls_against_the_other():
    x = torch.zeros((), requires_grad=True)
    targets = Targets({"x": ">= 1", "minus_x": ">= 1"}, TargetRecipe(most=2.0, rate=0.1, damping=0.0), HERE)
    for _ in range(300):
        targets.loss({"x": x, "minus_x": -x})
        targets.step(GO_ON)
    one, other = targets.verdicts()
    assert "missed by 1 (reached 0), multiplier 2, its bound" in one and "it has to agree with minus_x >= 1 (2)" in one
    assert "it has to agree with x >= 1 (2)" in other


def test_a_bound_that_is_still_on_its_way_and_one_that_was_never_tried_are_told_apart():
    assert "still rising" in descend(">= 9", slope=0.0, steps=5, rate=0.01)[1].verdicts()[0]
    assert Targets({"x": ">= 1"}, TargetRecipe(), HERE).verdicts() == ["target x >= 1: no step was taken"]
