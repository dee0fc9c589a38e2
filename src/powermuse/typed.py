"""Settings as typed dataclasses: every key and type of what was written is checked, errors are one line."""

import dataclasses
import functools
import math
import threading
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from powermuse.types import BadInput

if TYPE_CHECKING:  # it takes a moment, and not every command has settings to check
    from jsonargparse import ArgumentParser

T = TypeVar("T")
_ONE_AT_A_TIME = threading.Lock()
"""The studio has threads, and parsers are not made for several."""


def typed(cls: type[T], content: dict[str, Any], where: str) -> T:
    """An instance of a dataclass from plain values, every key and type checked (jsonargparse). Raises BadInput."""
    from jsonargparse import ArgumentError

    for group in dataclasses.fields(cls):  # type: ignore[arg-type]
        if dataclasses.is_dataclass(group.type) and not isinstance(content.get(group.name, {}), dict):
            raise BadInput(f"{where}: {group.name} is a group of settings, not {content[group.name]!r}")
    _refuse_null(cls, content, where)
    try:
        _refuse_endless(content, where, ())
        with _ONE_AT_A_TIME:
            parser = _parser(cls)  # type: ignore[arg-type]
            found = dict(parser.instantiate_classes(parser.parse_object(content)))
        return cls(**found)
    except (ArgumentError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"{where}: {first_line(error)}{_offer(cls, str(error))}") from None


@functools.cache
def _parser(cls: Any) -> "ArgumentParser":
    """Made once of a class: that takes as long as what it is asked for."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, None)
    return parser


def _offer(cls: Any, error: str) -> str:
    """The settings that there are, where one was not accepted."""
    if "not accept" not in error:
        return ""
    settings = {f.name: f.type for f in dataclasses.fields(cls)}
    for name, kind in settings.items():
        if f"Group '{name}'" in error and dataclasses.is_dataclass(kind):
            return f"; {name} has: {', '.join(f.name for f in dataclasses.fields(kind))}"
    return f"; there are: {', '.join(settings)}" if settings else "; it has no options"


def _refuse_endless(value: Any, where: str, place: tuple[str, ...]) -> None:
    """No setting is infinite or no number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{where}: {'.'.join(place)} is {value}; a finite number is wanted")
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        _refuse_endless(each, where, (*place, str(name)))


def _refuse_null(cls: Any, content: dict[str, Any], where: str) -> None:
    for setting in dataclasses.fields(cls):
        if setting.name not in content:
            continue
        value = content[setting.name]
        if value is None and type(None) not in get_args(setting.type):
            empty = '; the empty one is ""' if setting.type is str else ""
            raise BadInput(f"{where}: {setting.name} has no value{empty}")
        if dataclasses.is_dataclass(setting.type) and isinstance(value, dict):
            _refuse_null(setting.type, value, where)


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3]) if lines else type(error).__name__
