"""Sound that several test files share."""

import math
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: test processes share the cores, each with one thread

from collections.abc import Callable

import hypothesis
import pytest
import torch
from torch import Tensor

# The same examples in every run, none kept on disk, no time limit on a busy machine.
hypothesis.settings.register_profile("house", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("house")

Music = Callable[..., Tensor]


def _music(seconds: float = 1.0, seed: int = 0, level_db: float = -20.0) -> Tensor:
    """Notes with eight harmonics every half second over noise bursts every quarter, mono at 24 kHz: [1, N]."""
    generator = torch.Generator().manual_seed(seed)
    time_s = torch.arange(int(seconds * 24_000)) / 24_000
    wav = torch.zeros_like(time_s)
    for k in range(math.ceil(seconds / 0.5)):
        hz = 440.0 * 2.0 ** (float(torch.randint(-12, 8, (), generator=generator)) / 12.0)
        since_s = (time_s - 0.5 * k).clamp_min(0.0)
        envelope = (1.0 - torch.exp(-300.0 * since_s)) * torch.exp(-2.5 * since_s)
        wav += envelope * sum(torch.sin(2 * math.pi * hz * h * since_s) / h for h in range(1, 9))
    for k in range(math.ceil(seconds / 0.25)):
        burst = 0.5 * torch.randn(2400, generator=generator) * torch.exp(-torch.arange(2400) / 400.0)
        here = wav[6000 * k : 6000 * k + 2400]
        here += burst[: len(here)]
    return (wav * (10.0 ** (level_db / 20.0) / wav.square().mean().sqrt()))[None]


@pytest.fixture(scope="session")
def music() -> Music:
    """A maker of synthetic music: `music(seconds, seed, level_db)` gives [1, N] at 24 kHz."""
    return _music


# What takes longest begins first: otherwise, by the number of tests, such files would be the last ones, and in the end
# one process would work alone.
_FIRST = (
    "test_sharding.py", "test_page.py", "test_mlflow_tracker.py", "test_readme.py", "test_swap.py", "test_trainer.py",
    "test_rehearsal.py", "test_parallel.py", "test_footprint.py", "test_prepare.py", "test_slurm.py", "test_doctor.py",
    "test_store.py", "test_recipes.py", "test_budget.py", "test_browser.py", "test_cluster.py", "test_listening.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long before the others, the tests of each in their order."""
    place = {name: number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(_FIRST)))


# Where POWERMUSE_CI=1 everything is installed, and a test that skips hides something; but for these.
_MAY_SKIP = ("random weights have no scale",)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test fails the check."""
    if os.environ.get("POWERMUSE_CI") != "1" or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [str(report.longrepr) for report in reporter.stats.get("skipped", [])]
    if hidden := [reason for reason in skipped if not any(may in reason for may in _MAY_SKIP)]:
        print("\nskipped, although everything should be installed here:", *hidden, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
