"""Models on disk: a folder with `recipe.yaml` and `model.safetensors`. Nothing is unpickled."""

import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from powermuse import disk, recipe, registry
from powermuse.codecs import Codec
from powermuse.model.cascade import Cascade
from powermuse.model.flow import FlowCascade
from powermuse.model.muse import Muse
from powermuse.recipe import Recipe
from powermuse.types import BadInput

_WEIGHTS, _RECIPE, _CARD = "model.safetensors", "recipe.yaml", "CARD.md"
_SECOND_STAGE = "cascade.refiner."


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to compose, and where it came from."""

    model: Muse
    recipe: Recipe
    source: str
    sha256: str
    licence: str | None = None
    """Of the weights, where the card beside them states one."""


def build_codec(run: Recipe) -> Codec:
    """The frozen codec of a recipe."""
    codec: Codec = registry.build("codecs", run.codec.name, run.codec.options)
    return codec.eval()


def build_model(run: Recipe, latent_dim: int) -> Muse:
    """An untrained model; its weights come from torch's global random state."""
    agent = registry.build("agents", run.agent.name, run.agent.options, latent_dim=latent_dim)
    if run.composer == "flow":
        return Muse(agent, FlowCascade(agent.stream_dims, latent_dim, run.flow, agent.palette, agent.factors))
    return Muse(agent, Cascade(agent.stream_dims, latent_dim, run.cascade))


def save_model(folder: str | os.PathLike[str], model: torch.nn.Module, run: Recipe, *, half: bool = False) -> None:
    """Writes weights and recipe into a folder, each aside and renamed; `half` stores float16."""
    save_tensors(folder, model.state_dict(), run, half=half)


def save_tensors(
    folder: str | os.PathLike[str], tensors: dict[str, torch.Tensor], run: Recipe, *, half: bool = False
) -> None:
    """`save_model` of a model that is there as the tensors of its `state_dict`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in tensors.items()
    }
    write_tensors(folder / _WEIGHTS, stored, {"codec": run.codec.name})
    disk.write_text(folder / _RECIPE, recipe.dump(run))


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """A safetensors file, whole or not at all. The tensors go to the file as they are: as bytes they would be
    in memory twice more, which of a full-size run would be its peak."""
    with disk.aside(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            safetensors.torch.save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:
            if number := re.search(r"os error (\d+)", str(error)):  # a full disk is said as any other write says it
                raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
            raise
        temporary.chmod(mode)  # what safetensors writes is its owner's alone


def load_model(name_or_folder: str, overrides: list[str] | None = None) -> LoadedModel:
    """A shipped model by name, or a run's or a model's folder. `overrides` change settings of its recipe that
    decide how it composes and not which weights it has, as `flow.steps=20`. Raises BadInput for what does not fit."""
    folder = find_model(name_or_folder)
    run = recipe.load(str(folder / _RECIPE), overrides)
    codec = registry.find("codecs", run.codec.name)[1]
    with torch.random.fork_rng(devices=[]):
        model = build_model(run, codec.latent_dim)
    load_tensors(model, folder / _WEIGHTS)
    _check_codec(folder / _WEIGHTS, run, "the recipe beside it says")
    return LoadedModel(model.eval(), run, name_or_folder, disk.sha256(folder / _WEIGHTS), _licence(folder))


def _licence(folder: Path) -> str | None:
    """What the card of a model says of its weights: `* **Licence of the weights**: Apache-2.0, as the code`."""
    card = folder / _CARD
    stated = re.search(r"\*\*Licence of the weights\*\*: ([^,;(\n]+)", _text(card)) if card.is_file() else None
    return stated[1].strip(" .") if stated else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def begin_from(model: torch.nn.Module, name_or_folder: str, run: Recipe) -> str:
    """Puts the weights of a shipped model, a run or a folder into a model of `run`; their digest. A second stage that
    they are without begins afresh. Raises BadInput where they do not fit, or were trained on another codec."""
    model.load_state_dict(to_begin_from(model, name_or_folder, run))
    return disk.sha256(find_model(name_or_folder) / _WEIGHTS)


def to_begin_from(model: torch.nn.Module, name_or_folder: str, run: Recipe) -> dict[str, torch.Tensor]:
    """The tensors that `begin_from` would put into the model, which may be without content; the same errors."""
    path = find_model(name_or_folder) / _WEIGHTS
    tensors = _read(path)
    _check_codec(path, run, "the run that is to begin from it is of")
    if not any(name.startswith(_SECOND_STAGE) for name in tensors):
        tensors |= {name: tensor for name, tensor in model.state_dict().items() if name.startswith(_SECOND_STAGE)}
    _check_fit(model, tensors, str(path))
    return tensors


def _check_codec(path: Path, run: Recipe, but: str) -> None:
    """Raises BadInput where the weights were trained on the latents of another codec than the recipe's."""
    with safe_open(path, framework="pt") as file:
        trained = (file.metadata() or {}).get("codec", run.codec.name)
    if trained != run.codec.name:
        raise BadInput(f"{path}: was trained on codec {trained}, {but} {run.codec.name}")


def find_model(name_or_folder: str) -> Path:
    """The folder of a model. Raises BadInput where there is none."""
    shipped = Path(str(resources.files("powermuse") / "models"))
    folder = shipped / name_or_folder if name_or_folder in shipped_models() else Path(name_or_folder)
    if not folder.is_dir():
        raise BadInput(
            f"no model is called {name_or_folder!r}; shipped: {', '.join(shipped_models())}; or name a folder"
        )
    missing = [name for name in (_RECIPE, _WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise BadInput(
            f"{folder}: is not a model: {' and '.join(missing)} missing; name a run that has validated once, "
            f"or one of: {', '.join(shipped_models())}"
        )
    return folder


def is_to_come(name_or_folder: str) -> bool:
    """Whether it may become a model: a folder that is not there, or a run that has not validated yet."""
    folder = Path(name_or_folder)
    begun = (folder / _RECIPE).is_file() and not (folder / _WEIGHTS).is_file()
    return name_or_folder not in shipped_models() and (begun or not folder.exists())


def window_frames(run: Recipe) -> int:
    """How much a model of a recipe composes at once; more is composed in windows that overlap."""
    return run.flow.window_frames if run.composer == "flow" else run.data.crop_frames


def shipped_models() -> list[str]:
    """Names of the models in the package."""
    folder = resources.files("powermuse") / "models"
    if not folder.is_dir():
        return []
    return sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("_"))


def load_tensors(model: torch.nn.Module, path: Path) -> None:
    """Loads weights, every key and shape checked. Raises BadInput that names the first that does not fit, and why."""
    fit_tensors(model, _read(path), str(path))


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path}: not a readable weight file ({error})") from None


def fit_tensors(model: torch.nn.Module, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Loads tensors that must be exactly those of the model. Raises BadInput that names the first that is not."""
    _check_fit(model, tensors, where)
    model.load_state_dict(tensors)


def _check_fit(model: torch.nn.Module, tensors: dict[str, torch.Tensor], where: str) -> None:
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ tensors.keys()):
        trouble = "is missing" if name in wanted else "is not part of this model"
        raise BadInput(f"{where}: {name} {trouble}; the weights belong to another recipe")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise BadInput(
                f"{where}: {name} has shape {list(tensor.shape)}, the recipe wants {list(wanted[name].shape)}"
            )
