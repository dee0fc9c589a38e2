from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from powermuse import optimizers
from powermuse.training import checkpoint
from powermuse.training.checkpoint import Checkpoint
from powermuse.types import BadInput


def at(seen: int) -> Checkpoint:
    tensors = {
        "model": {"a.weight": torch.arange(6.0).reshape(2, 3) + seen, "b": torch.tensor(seen)},
        "optimizer": {"a.weight/exp_avg": torch.full((2, 3), 0.1, dtype=torch.float64)},
    }
    return Checkpoint(seen, tensors, {"best": 0.1 + seen, "means": 3})


def assert_same(a: Checkpoint, b: Checkpoint) -> None:
    assert (a.seen, a.values) == (b.seen, b.values)
    assert {g: list(ts) for g, ts in sorted(a.tensors.items())} == {g: list(ts) for g, ts in sorted(b.tensors.items())}
    for group, tensors in a.tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, b.tensors[group][name]) and tensor.dtype == b.tensors[group][name].dtype


class Small(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second, self.unused = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).tanh())


def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    (model(x) - x.sum(dim=1, keepdim=True)).square().mean().backward()
    optimizer.step()


def adamw(model: nn.Module, lr: float = 0.01) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr, weight_decay=0.1, fused=True)


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path):
    path = checkpoint.save(tmp_path / "new", at(120), keep=2)
    assert path.name == "000000000120.safetensors"
    assert_same(checkpoint.load(path), at(120))


def test_the_newest_are_kept_and_at_least_one(tmp_path):
    for seen in (5, 10, 100, 1000):
        checkpoint.save(tmp_path, at(seen), keep=2)
    assert [p.stem.lstrip("0") for p in checkpoint.found(tmp_path)] == ["100", "1000"]
    checkpoint.save(tmp_path, at(2000), keep=0)
    assert [p.stem.lstrip("0") for p in checkpoint.found(tmp_path)] == ["2000"]


def test_the_newest_whole_checkpoint_is_found_and_every_newer_one_complained_of(tmp_path):
    for seen in (5, 10, 15):
        checkpoint.save(tmp_path, at(seen), keep=3)
    for path in checkpoint.found(tmp_path)[1:]:
        path.write_bytes(path.read_bytes()[:-1])
    found, complaints = checkpoint.newest(tmp_path)
    assert found is not None
    assert_same(found, at(5))
    assert [Path(c.split(":")[0]).stem.lstrip("0") for c in complaints] == ["15", "10"]


def test_where_no_checkpoint_is_whole_nothing_is_begun_anew_over_them(tmp_path):
    assert checkpoint.newest(tmp_path / "nothing") == (None, [])
    for seen in (5, 10):
        (tmp_path / f"{seen:012d}.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match=r"10\.safetensors: not a whole checkpoint .*, nor is any before it; move"):
        checkpoint.newest(tmp_path)


def test_a_safetensors_file_of_another_kind_is_no_checkpoint(tmp_path):
    import safetensors.torch

    safetensors.torch.save_file({"weight": torch.ones(3)}, tmp_path / "000000000005.safetensors")
    with pytest.raises(BadInput, match="not a whole checkpoint"):
        checkpoint.load(tmp_path / "000000000005.safetensors")


def test_a_new_checkpoint_is_not_given_up_for_a_damaged_one_with_a_higher_number(tmp_path):
    checkpoint.save(tmp_path, at(5), keep=1)
    (tmp_path / "000000000015.safetensors").write_bytes(b"cut short")
    checkpoint.save(tmp_path, at(10), keep=1)
    found, _ = checkpoint.newest(tmp_path)
    assert found is not None and found.seen == 10


def test_the_optimisers_state_comes_back_so_that_the_next_step_is_the_same():
    model = Small(1)
    optimizer = adamw(model)
    for number in range(3):
        step(model, optimizer, number)
    saved = {name: t.clone() for name, t in optimizers.optimizer_tensors(optimizer, model).items()}
    assert {"first.weight/exp_avg", "first.weight/exp_avg_sq", "second.bias/step"} <= saved.keys()
    assert not any(name.startswith("unused") for name in saved)

    fresh = Small(2)
    fresh.load_state_dict(model.state_dict())
    fresh_optimizer = adamw(fresh)
    optimizers.restore_optimizer(fresh_optimizer, fresh, saved)
    forgetful = Small(2)
    forgetful.load_state_dict(model.state_dict())
    for m, o in ((model, optimizer), (fresh, fresh_optimizer), (forgetful, adamw(forgetful))):
        step(m, o, 3)
    for name, wanted in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], wanted), name
    assert not torch.equal(forgetful.first.weight, model.first.weight)


def test_hyperparameters_are_the_recipes_not_the_checkpoints():
    model = Small(1)
    optimizer = adamw(model, lr=0.01)
    step(model, optimizer, 0)
    other = adamw(model, lr=0.5)
    optimizers.restore_optimizer(other, model, optimizers.optimizer_tensors(optimizer, model))
    assert [group["lr"] for group in other.param_groups] == [0.5]


def test_state_of_a_parameter_that_the_model_does_not_have_is_refused_by_its_name():
    model = Small(1)
    with pytest.raises(BadInput, match=r"knows third\.weight, which this model does not have"):
        optimizers.restore_optimizer(adamw(model), model, {"third.weight/step": torch.tensor(1.0)})
