"""Recordings among rendered triplets: single clips to be given back, of which neither notes nor beats are known."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from powermuse import registry
from powermuse.data import triplets
from powermuse.data.shards import Dataset, Header
from powermuse.recipe import DataRecipe
from powermuse.types import BadInput


class Singles(NamedTuple):
    """Recordings, and which share of the single clips they are."""

    dataset: Dataset
    share: float


def open_singles(wanted: DataRecipe, like: Header) -> Singles | None:
    """The recordings of a run (the training split of `data.singles`), where it wants any.

    Raises BadInput where there are none, or where their latents are others than those of the triplets, `like`.
    """
    if not wanted.singles:
        return None
    folder = Path(wanted.singles)
    if triplets.is_one(folder):
        raise BadInput(f"data.singles: {folder} holds rendered triplets; it wants recordings: powermuse prepare MUSIC")
    dataset = Dataset(folder)
    if len(dataset) == 0:
        raise BadInput(f"data.singles: the train split of {folder} is empty; prepare more songs")
    theirs, ours = (dataclasses.asdict(_of_latents(header)) for header in (dataset.header, like))
    for name, wants in ours.items():
        if theirs[name] != wants:
            raise BadInput(
                f"data.singles: {folder} has {name} {theirs[name]}, the triplets {wants}; "
                "prepare it as they were rendered"
            )
    return Singles(dataset, wanted.singles_share)


def _of_latents(header: Header) -> Header:
    """A header with those options of its codec alone that decide what the latents are."""
    options = registry.find("codecs", header.codec)[1].latent_options
    return dataclasses.replace(header, codec_options={name: header.codec_options.get(name) for name in options})
