"""What is free: every bound there may be, on trees of files such as the system shows."""

import mmap
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from powermuse.training import room

CPU = torch.device("cpu")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8,000 kB available, without cgroups."""
    write(tmp_path / "proc/meminfo", "MemTotal: 16000 kB\nMemAvailable: 8000 kB\n")
    monkeypatch.setattr(room, "_SYSTEM", tmp_path)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def group(folder: Path, names: tuple[str, str, str], most: str, used: int, cached: int) -> None:
    limit, usage, inactive = names
    write(folder / limit, f"{most}\n")
    write(folder / usage, f"{used}\n")
    write(folder / "memory.stat", f"anon 1\n{inactive} {cached}\n")


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


def test_the_machine_alone_and_shared(system):
    assert room.free_bytes(CPU) == 8000 * 1024
    assert room.free_bytes(CPU, sharing=4) == 2000 * 1024


def test_a_limit_of_cgroups_2_holds_wherever_it_stands_above(system):
    write(system / "proc/self/cgroup", "0::/job/step\n")
    mount = system / "sys/fs/cgroup"
    group(mount / "job/step", V2, "max", 1, 0)
    group(mount / "job", V2, "3000000", 2_500_000, 400_000)
    assert room.free_bytes(CPU) == 900_000
    assert room.free_bytes(CPU, sharing=2) == 450_000


def test_a_limit_of_cgroups_1_holds_and_none_is_none(system):
    write(system / "proc/self/cgroup", "5:cpu,memory:/job\n1:freezer:/\n")
    mount = system / "sys/fs/cgroup/memory"
    group(mount, V1, "9223372036854771712", 1, 0)
    assert room.free_bytes(CPU) == 8000 * 1024
    group(mount / "job", V1, "1000000", 300_000, 100_000)
    assert room.free_bytes(CPU) == 800_000


def test_a_group_that_is_seen_from_within_is_at_the_root(system):
    write(system / "proc/self/cgroup", "0::/not/mounted/here\n")
    group(system / "sys/fs/cgroup", V2, "700000", 0, 0)
    assert room.free_bytes(CPU) == 700_000


def test_a_system_that_does_not_tell_is_unknown(system):
    (system / "proc/meminfo").unlink()
    assert room.free_bytes(CPU) is None


def test_the_limit_of_a_process_is_its_own_and_not_shared():
    program = (
        "import resource, torch; from powermuse.training import room\n"
        "used = room._table(room.Path('/proc/self/status'))['VmSize']\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000,) * 2)\n"
        "print(room.free_bytes(torch.device('cpu'), 7))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 90_000_000 < int(done.stdout) <= 100_000_000
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_what_is_resident_grows_with_what_is_held_and_falls_when_it_is_given_back():
    # Pages of the kernel's own, touched one by one: an allocator may hand out what was resident before.
    before, size = room.resident_bytes(), 100_000_000
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        assert room.resident_bytes() - before == pytest.approx(0, abs=0.1 * size)
        held[:: mmap.PAGESIZE] = bytes(len(range(0, size, mmap.PAGESIZE)))
        assert room.resident_bytes() - before == pytest.approx(size, rel=0.1)
    assert room.resident_bytes() - before == pytest.approx(0, abs=0.1 * size)
