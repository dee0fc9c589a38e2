"""The small library of synthetic songs, prepared once, and processes that train on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import sounds
from training.ranks import Nursery


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set (mel) of four songs: 6 clips to train on, 4 to validate."""
    return sounds.dataset(tmp_path_factory.getbasetemp() / "sounds", "mel")


@pytest.fixture(scope="session")
def mdct_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same songs by the codec that decodes at once."""
    return sounds.dataset(tmp_path_factory.getbasetemp() / "sounds", "mdct")


@pytest.fixture(scope="module")
def nursery(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Starts runs of several processes in a folder of the module's own."""
    made = Nursery(tmp_path_factory.mktemp("ranks"), dataset)
    yield made
    with made.process:
        made.process.kill()
