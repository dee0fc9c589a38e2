"""`powermuse studio`: a page in the browser, on this machine."""

import argparse
from pathlib import Path
from typing import Any

from powermuse.commands.shared import Handler

_EXAMPLES = ("groove.ogg", "harmony.ogg")


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "studio",
        help="compose in a browser page on this machine",
        description="Opens a page on this machine's own address: bring two sounds, choose a part of each, compose,\n"
        "and hear them side by side. Nothing leaves the machine. What was brought and made is kept in FOLDER.",
        epilog="example: powermuse studio\n         powermuse studio --folder ~/blends --port 8900 --no-browser\n"
        "         powermuse studio --model runs/first",
    )
    command.add_argument("--folder", default="studio", help="where sounds and blends are kept (default: studio)")
    command.add_argument(
        "--model", dest="models", action="append", default=[], metavar="FOLDER",
        help="a run's or a model's folder, to choose beside the shipped models by its name (may be repeated)",
    )  # fmt: skip
    command.add_argument("--port", type=int, default=8765, help="default: 8765; 0 takes any that is free")
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: this machine's own; another one lets others in)",
    )
    command.add_argument("--browser", action=argparse.BooleanOptionalAction, default=True, help="open the page")
    return command, _studio


def _studio(options: argparse.Namespace) -> int:
    from powermuse.types import BadInput, MissingExtra

    if not 0 <= options.port < 65536:
        raise BadInput(f"--port must be from 0 to 65535, not {options.port}")
    if Path(options.folder).exists() and not Path(options.folder).is_dir():
        raise BadInput(f"{options.folder}: is a file; name a folder to keep sounds and blends in")
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingExtra("the studio", "studio") from None
    from powermuse.studio import serve
    from powermuse.studio.models import Models

    models = Models(options.models)
    wanted = serve.Wanted(Path(options.folder), options.host, options.port, _examples(), options.browser, models)
    serve.run(wanted, lambda line: print(line, flush=True))
    return 0


def _examples() -> list[Path]:
    """The clips that come with the source, where they are there."""
    import powermuse

    places = (Path("examples"), Path(powermuse.__file__).parents[2] / "examples")
    folder = next((place for place in places if (place / _EXAMPLES[0]).is_file()), None)
    return [folder / name for name in _EXAMPLES] if folder else []
