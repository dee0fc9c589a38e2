"""The folder is the registry: a codec or an agent is one file with a `Config` and one class, found by its name."""

import dataclasses
import importlib
import pkgutil
from typing import Any

from powermuse.types import BadInput

_CONTRACTS = {"codecs": "Codec", "agents": "Agent"}


def names(kind: str) -> list[str]:
    """The names on offer in a folder (`codecs` or `agents`), sorted."""
    package = importlib.import_module(f"powermuse.{kind}")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def find(kind: str, name: str) -> tuple[type[Any], type[Any]]:
    """The `Config` dataclass and the class of one codec or agent. Raises BadInput for a name that is not there."""
    if name not in names(kind):
        raise BadInput(f"no {kind[:-1]} is called {name!r}; there are: {', '.join(names(kind))}")
    package = importlib.import_module(f"powermuse.{kind}")
    module = importlib.import_module(f"powermuse.{kind}.{name}")
    contract = getattr(package, _CONTRACTS[kind])
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, contract) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define exactly one {contract.__name__}, it defines {len(found)}")
    return module.Config, found[0]


def configure(kind: str, name: str, options: dict[str, Any]) -> Any:
    """A checked `Config` from plain options. Raises BadInput for an unknown option or a value of the wrong type."""
    from powermuse.typed import typed

    config, _ = find(kind, name)
    return typed(config, options, f"{kind[:-1]} {name}")


def build(kind: str, name: str, options: dict[str, Any], **context: Any) -> Any:
    """The codec or agent itself. `context` holds what the run knows and a config does not, such as `latent_dim`."""
    _, cls = find(kind, name)
    return cls(configure(kind, name, options), **context)


def defaults(kind: str, name: str) -> dict[str, Any]:
    """Every option of a codec or agent with its default."""
    config, _ = find(kind, name)
    return dataclasses.asdict(config())
