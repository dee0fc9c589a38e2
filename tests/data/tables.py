"""What the tests of `prepare` ask for, and what they read in a data set."""

from pathlib import Path

from powermuse.data import shards
from powermuse.data.prepare import Plan
from powermuse.data.shards import Dataset


def plan(folder: Path, out: Path, **changes: object) -> Plan:
    return Plan((str(folder),), str(out), **{"codec": "mdct", "workers": 1, **changes})  # type: ignore[arg-type]


def table(out: Path) -> list[tuple[str, str, str, float]]:
    """Every clip of a data set: split, file, song, start."""
    rows = []
    for split in shards.SPLITS:
        data = Dataset(out, split)
        names = data.names
        rows += [(split, names["files"][r["file"]], names["songs"][r["song"]], float(r["start_s"])) for r in data.table]
    return sorted(rows, key=lambda row: row[1:])


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
