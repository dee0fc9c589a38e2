"""Results of slow tools, kept as JSON in the user's cache or a folder given; what is missing is made again."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from powermuse import disk


def folder() -> Path:
    """$XDG_CACHE_HOME/powermuse/scores, ~/.cache where that is not set."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "powermuse" / "scores"


def recall(where: Path, key: str, make: Callable[[], Any]) -> Any:
    """What was kept under a key, or what `make` gives, kept from now on. A damaged file counts as missing."""
    path = where / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        text = json.dumps(make(), separators=(",", ":"))
    with suppress(OSError):  # what cannot be kept is made again next time
        where.mkdir(parents=True, exist_ok=True)
        disk.write_text(path, text)
    return json.loads(text)
