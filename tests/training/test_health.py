import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from powermuse.training.health import FAILED, NotFinite, diagnose, first_non_finite, recorded


class Answers(nn.Module):
    """A module that answers in a structure of tensors, as agents and cascades do."""

    def __init__(self, answer: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> object:
        return self.answer(x)


def stack() -> nn.Sequential:
    inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    return nn.Sequential(nn.Linear(3, 3), inner, nn.Linear(3, 3))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_layer_whose_output_is_not_finite_comes_first(value):
    model = stack()
    with torch.no_grad():
        model[1][0].bias[1] = value
        model[2].bias[0] = value
    with first_non_finite(model) as culprits:
        model(torch.ones(2, 3))
    tanh = [] if math.isinf(value) else ["1.1", "1"]  # tanh brings infinity back to 1
    assert culprits == ["1.0", *tanh, "2"]


def test_a_healthy_model_has_no_culprit():
    with first_non_finite(stack()) as culprits:
        stack()(torch.ones(2, 3))
    assert culprits == []


@pytest.mark.parametrize(
    "answer",
    [lambda x: (x, None, x / 0), lambda x: {"a": x, "b": [x / 0]}, lambda x: (x, {"deep": (x / 0,)})],
    ids=["tuple", "dict of list", "nested"],
)
def test_a_bad_tensor_is_found_within_tuples_lists_and_dictionaries(answer):
    model = nn.Sequential(Answers(answer))
    with first_non_finite(model) as culprits:
        model(torch.ones(2))
    assert culprits == ["0"]


def test_nothing_is_watched_any_more_afterwards_even_where_the_step_failed():
    model = stack()
    with pytest.raises(RuntimeError), first_non_finite(model) as culprits:
        model(torch.ones(2, 7))
    model(torch.full((2, 3), math.nan))
    assert culprits == []
    assert all(not module._forward_hooks for module in model.modules())


def test_a_diagnosis_names_the_term_the_layer_the_weight_and_where_the_run_stands():
    model = stack()
    with torch.no_grad():
        model[1][0].weight[0, 0] = math.nan

    def step() -> tuple[Tensor, dict[str, Tensor]]:
        loss = model(torch.ones(1, 3)).sum()
        return loss, {"latent.groove": loss, "mask.overlap": torch.tensor(0.5)}

    said = str(diagnose(model, step, 1234, "checkpoint 000000001000.safetensors"))
    assert said == (
        "pair 1234: loss term latent.groove is not a finite number (first in layer 1.0, weight 1.0.weight is not "
        "finite); the run stands at checkpoint 000000001000.safetensors"
    )


def test_where_the_loss_is_finite_a_gradient_is_to_blame():
    model = stack()
    said = str(diagnose(model, lambda: (torch.tensor(1.0), {"loss": torch.tensor(1.0)}), 8, "its start"))
    assert (
        said
        == "pair 8: a gradient is not a finite number (every layer's output was finite); the run stands at its start"
    )


def test_where_only_the_sum_is_not_finite_the_total_is_to_blame():
    terms = {"a": torch.tensor(3e38), "b": torch.tensor(3e38)}
    said = str(diagnose(stack(), lambda: (sum(terms.values(), torch.tensor(0.0)), terms), 8, "its start"))
    assert said.startswith("pair 8: the total is not a finite number")


def fail(run: Path, *, writes: bool) -> None:
    with pytest.raises(NotFinite, match=r"^pair 8: a gradient$"), recorded(run, writes=writes):
        raise NotFinite(8, "a gradient")


def test_what_ended_a_run_is_kept_until_it_goes_on_by_the_rank_that_writes(tmp_path):
    fail(tmp_path, writes=False)
    assert not list(tmp_path.iterdir())
    fail(tmp_path, writes=True)
    assert json.loads((tmp_path / FAILED).read_text()) == {"pair": 8, "told": "pair 8: a gradient"}
    assert [path.name for path in tmp_path.iterdir()] == [FAILED]
    with recorded(tmp_path, writes=False):
        assert (tmp_path / FAILED).exists()
    with recorded(tmp_path, writes=True):
        assert not (tmp_path / FAILED).exists()
    with pytest.raises(OSError, match="disk"), recorded(tmp_path, writes=True):
        raise OSError("disk")
    assert not list(tmp_path.iterdir())


def test_where_it_cannot_be_kept_it_is_told_all_the_same(tmp_path):
    fail(tmp_path / "gone", writes=True)
