"""The small library of synthetic songs, prepared once."""

from pathlib import Path

import pytest

import sounds


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set (mel) of four songs: 6 clips to train on, 4 to validate."""
    return sounds.dataset(tmp_path_factory.getbasetemp() / "sounds", "mel")


@pytest.fixture(scope="session")
def mdct_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same songs by the codec that decodes at once."""
    return sounds.dataset(tmp_path_factory.getbasetemp() / "sounds", "mdct")
