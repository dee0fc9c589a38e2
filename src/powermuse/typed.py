"""Settings as typed dataclasses: every key and type of what was written is checked, errors are one line."""

import dataclasses
from typing import Any, TypeVar, get_args

from powermuse.types import BadInput

T = TypeVar("T")


def typed(cls: type[T], content: dict[str, Any], where: str) -> T:
    """An instance of a dataclass from plain values, every key and type checked (jsonargparse). Raises BadInput."""
    from jsonargparse import ArgumentError, ArgumentParser

    for group in dataclasses.fields(cls):  # type: ignore[arg-type]
        if dataclasses.is_dataclass(group.type) and not isinstance(content.get(group.name, {}), dict):
            raise BadInput(f"{where}: {group.name} is a group of settings, not {content[group.name]!r}")
    _refuse_null(cls, content, where)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, None)
    try:
        return cls(**dict(parser.instantiate_classes(parser.parse_object(content))))
    except (ArgumentError, TypeError, ValueError) as error:
        raise BadInput(f"{where}: {first_line(error)}{_offer(cls, str(error))}") from None


def _offer(cls: Any, error: str) -> str:
    """The settings that there are, where one was not accepted."""
    if "not accept" not in error:
        return ""
    settings = {f.name: f.type for f in dataclasses.fields(cls)}
    for name, kind in settings.items():
        if f"Group '{name}'" in error and dataclasses.is_dataclass(kind):
            return f"; {name} has: {', '.join(f.name for f in dataclasses.fields(kind))}"
    return f"; there are: {', '.join(settings)}" if settings else "; it has no options"


def _refuse_null(cls: Any, content: dict[str, Any], where: str) -> None:
    for setting in dataclasses.fields(cls):
        if setting.name not in content:
            continue
        value = content[setting.name]
        if value is None and type(None) not in get_args(setting.type):
            raise BadInput(f"{where}: {setting.name} has no value")
        if dataclasses.is_dataclass(setting.type) and isinstance(value, dict):
            _refuse_null(setting.type, value, where)


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3]) if lines else type(error).__name__
