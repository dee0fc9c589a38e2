"""How much memory this process may still take: what the machine, its cgroup and the limits of a process leave."""

import resource
from collections.abc import Iterator
from pathlib import Path

import torch

_SYSTEM = Path("/")
_UNLIMITED = 1 << 60


def free_bytes(device: torch.device, sharing: int = 1) -> int | None:
    """Of the GPU, or of the main memory where the device is a CPU, of which `sharing` processes take equal parts. None
    where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    shared = [*_machine(_SYSTEM), *_cgroups(_SYSTEM)]
    bounds = [each // sharing for each in shared] + list(_own_limits())
    return max(0, min(bounds)) if bounds else None


def resident_bytes() -> int:
    """What this process has in memory, 0 where the system does not tell."""
    return _table(Path("/proc/self/status")).get("VmRSS", 0)


def _machine(root: Path) -> Iterator[int]:
    if (available := _table(root / "proc/meminfo").get("MemAvailable")) is not None:
        yield available


def _own_limits() -> Iterator[int]:
    used = _table(Path("/proc/self/status"))
    for limit, field in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY and field in used:
            yield most - used[field]


def _cgroups(root: Path) -> Iterator[int]:
    """What is left in each group that this process is in, and in those around it, of either version of cgroups."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _left(root / "sys/fs/cgroup", path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left(root / "sys/fs/cgroup/memory", path, *names)


def _left(mount: Path, path: str, limit: str, usage: str, cached: str) -> Iterator[int]:
    group = mount / path.strip("/")
    for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(mount))):
        try:
            most, used = (folder / limit).read_text().strip(), int((folder / usage).read_text())
            if most == "max" or int(most) >= _UNLIMITED:
                continue
            # Files that were read stay there until the memory is wanted.
            yield int(most) - used + _table(folder / "memory.stat", unit=1).get(cached, 0)
        except (OSError, ValueError):
            continue


def _table(file: Path, unit: int = 1024) -> dict[str, int]:
    """Lines of a name and a number, bytes."""
    try:
        rows = [line.replace(":", " ").split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) * unit for row in rows if len(row) > 1 and row[1].isdigit()}
