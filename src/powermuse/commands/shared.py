"""What several commands need."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Handler = Callable[[argparse.Namespace], int]


def check_new(paths: Iterable[Path], force: bool) -> None:
    """Raises BadInput, before any work, for files that are there already and nobody said may be replaced."""
    from powermuse.types import BadInput

    if not force and (there := [str(path) for path in paths if path.exists()]):
        raise BadInput(f"{', '.join(there)}: exists; name another place with -o, or replace it with --force")


def check_out(out: str, *sources: str) -> None:
    """Raises BadInput, before any work, where the output could not be written or would replace a source."""
    from powermuse.audio import files
    from powermuse.types import BadInput

    files.check_writable(out)
    if Path(out).resolve() in {Path(source).resolve() for source in sources}:
        raise BadInput(f"{out}: is also a source; name another file with -o")


def codec_options(pairs: list[str]) -> dict[str, Any]:
    """Options of a codec as `KEY=VALUE` pairs, their values read as YAML. Raises BadInput for another form."""
    from powermuse import recipe as recipes

    return (
        recipes.parse("name: options", "codec option", [f"codec.options.{pair}" for pair in pairs]).codec.options
        if pairs
        else {}
    )


def settings(pairs: list[str]) -> dict[str, Any]:
    """`KEY=VALUE` pairs of plain names, their values read as YAML. Raises BadInput for another form."""
    import yaml

    from powermuse.types import BadInput

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and key.isidentifier()):
            raise BadInput(f"{pair!r}: KEY=VALUE is wanted, as cpus_per_task=8")
        try:
            found[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):  # 2024-13-45 is no date
            raise BadInput(f"{pair!r}: the value cannot be read") from None
    return found
