"""The small library of synthetic songs, prepared once."""

from pathlib import Path

import pytest

import sounds


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set (mdct) of four songs: 6 clips to train on, 4 to validate."""
    return sounds.dataset(tmp_path_factory.getbasetemp() / "sounds", "mdct")
