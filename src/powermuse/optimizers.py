"""The optimiser, and its state as named tensors and back: what a checkpoint keeps of it."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from powermuse.types import BadInput


def adamw(
    parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float, betas: Sequence[float] = (0.9, 0.999)
) -> torch.optim.AdamW:
    """The fused AdamW, its moments already there: made at the first step they would lie scattered over what the
    activations have just left, and the heap of a CPU would grow by what then finds no place (a twentieth)."""
    made = torch.optim.AdamW(
        parameters, learning_rate, betas=(betas[0], betas[1]), weight_decay=weight_decay, fused=True
    )
    for parameter in (p for group in made.param_groups for p in group["params"]):
        moments = {"exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
        made.state[parameter] = {"step": torch.zeros((), device=parameter.device), **moments}
    return made


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state as tensors under `<parameter name>/<state name>`."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}/{key}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Puts `optimizer_tensors` back; hyperparameters stay those of the recipe."""
    state: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, field = key.rsplit("/", 1)
        state.setdefault(name, {})[field] = value
    parameters = dict(model.named_parameters())
    unknown = state.keys() - parameters.keys()
    if unknown:
        raise BadInput(f"the checkpoint's optimiser knows {sorted(unknown)[0]}, which this model does not have")
    order = {id(p): i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    numbered = {order[id(parameters[name])]: fields for name, fields in state.items()}
    optimizer.load_state_dict({"state": numbered, "param_groups": optimizer.state_dict()["param_groups"]})
