"""Starts the studio: a socket, the examples on an empty shelf, the page in a browser."""

import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn

from powermuse import disk
from powermuse.studio import app as apps
from powermuse.studio.models import Models
from powermuse.studio.store import Store
from powermuse.types import BadInput


class Wanted(NamedTuple):
    """How a studio is started."""

    folder: Path
    host: str
    port: int
    """0 takes any that is free."""
    examples: list[Path]
    browser: bool
    models: Models


def run(wanted: Wanted, say: Callable[[str], None]) -> None:
    """Serves until it is stopped, and says where. Raises BadInput where the address cannot be had, or another studio
    works in the folder."""
    with _alone(wanted.folder):
        _serve(wanted, say)


def _serve(wanted: Wanted, say: Callable[[str], None]) -> None:
    listening = _socket(wanted.host, wanted.port)
    own = wanted.host in apps.LOOPBACK
    made = apps.make(wanted.folder, apps.LOOPBACK if own else (), wanted.models)
    bring_examples(made.state.store, wanted.examples)
    address = f"http://{_named(wanted.host, own)}:{listening.getsockname()[1]}/"
    say(f"studio: {address} (sounds and blends in {wanted.folder}; stop with Ctrl-C)")
    if not own:
        say("studio: whoever reaches this address can use it; there is no password")
    if wanted.browser:
        threading.Timer(1.0, webbrowser.open, [address]).start()
    server = uvicorn.Server(uvicorn.Config(made, log_level="warning", timeout_graceful_shutdown=2))
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # that is how it is stopped
    finally:
        made.state.worker.stop()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While a folder has one studio: a second would take its unfinished blends for those of one that was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".studio").open("w") as file:
        if not disk.locked(file):
            raise BadInput(f"{folder}: another studio works there; use that one, or another --folder")
        yield


def bring_examples(store: Store, examples: list[Path]) -> None:
    """Onto a shelf that is empty, the first of them last, so that it is shown first."""
    if not store.sounds():
        for path in reversed(examples):
            store.add_sound(path.name, path.read_bytes())


def _named(host: str, own: bool) -> str:
    """What a browser of this machine calls it."""
    if own or host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise BadInput(
            f"{host}:{port}: cannot be listened on ({error.strerror}); another --port, or 0 for any"
        ) from None
    return found
