"""What a run is computed with. `RUN/environment.json` has an entry for each start of the run."""

import functools
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from powermuse import disk

FILE = "environment.json"


def record(run: Path, seen: int, ranks: int, begun_from: dict[str, str] | None = None) -> None:
    """Adds the start at `seen` to the file in the folder of the run, with the model that it began from, if any."""
    file = run / FILE
    starts = json.loads(file.read_text()) if file.exists() else []
    begun = {"begun_from": begun_from} if begun_from else {}
    disk.write_text(file, json.dumps([*starts, {"seen": seen, **begun, **describe(ranks)}], indent=1))


def describe(ranks: int) -> dict[str, Any]:
    """Versions, machine and command of this process, one of `ranks`."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": without_password(shlex.join(sys.argv)),
        "powermuse": version("powermuse"),
        "commit": commit(Path(__file__)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "packages": dict(packages()),
        "platform": platform.platform(),
        "machine": platform.node(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "ranks": ranks,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


@functools.cache
def packages() -> MappingProxyType[str, str]:
    """Versions of all that PowerMuse builds on, its extras included, as far as it is installed; not of its tools."""
    found = {}
    for requirement in requires("powermuse") or []:
        if re.search(r"extra == .dev.", requirement):
            continue
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return MappingProxyType(dict(sorted(found.items())))


def commit(source: Path) -> str | None:
    """The git commit that a source file belongs to, `-dirty` behind it where tracked files are changed; None outside
    of git, and where git does not know the file: a package that is installed below somebody's repository."""
    git = ["git", "-C", str(source.parent)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", source.name], check=True, capture_output=True, timeout=10)
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            check=True, capture_output=True, text=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def without_password(text: str) -> str:
    """The same without what stands between `://` and `@`: this is shown to all who see the record."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)
