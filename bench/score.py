"""What the metrics say of blends of known making, and how long they take: `python bench/score.py SOUNDFONT [TRIPLETS]`.
Triplets: drums on a random pattern of two bars, chords at another tempo, two truths orchestrated from the drums."""

import sys
import time
from itertools import pairwise

import numpy as np
import torch
from chords import PROGRAMS, SHAPES, notes_of, progression, render

from powermuse.audio import features
from powermuse.audio.stems import split
from powermuse.metrics import chords, score

RATE_HZ, SECONDS = 24_000, 16.0


def drums(pattern: np.ndarray, beat_s: float) -> list[tuple]:
    """Kick, snare and closed hat on sixteenths."""
    hits = (
        (at, k) for i, at in enumerate(np.arange(0, SECONDS, beat_s / 4)) for k in np.flatnonzero(pattern[:, i % 32])
    )
    return [(at, at + 0.1, 9, (36, 38, 42)[k], (110, 100, 80)[k]) for at, k in hits]


def orchestrated(song: chords.Chords, pattern: np.ndarray, beat_s: float, variant: int) -> list[tuple]:
    """Kick: bass; snare: the chord; hat: single notes of it."""
    notes = []
    for i, at in enumerate(np.arange(0, SECONDS, beat_s / 4)):
        label = song.labels[np.searchsorted(song.intervals_s[:, 0], at, side="right") - 1]
        root, shape = chords.meaning(label).root, SHAPES[label.split(":")[1]]
        kick, snare, hat = pattern[:, i % 32]
        if kick:
            notes.append((at, at + beat_s / 2, 1, 36 + root, 90))
        if snare:
            notes += [(at, at + beat_s / (4 - 2 * variant), 0, 48 + root + s + 12 * variant, 85) for s in shape]
        if hat:
            notes.append((at, at + beat_s / 4, 0, 60 + root + shape[(i + variant) % len(shape)], 75))
    return notes


def sliced(harmony_N: np.ndarray, onsets_s: np.ndarray) -> np.ndarray:
    """The harmony's sound from its own onset nearest to each of the given ones until the next."""
    own_s = score.hear(harmony_N).onsets_s
    out, edges = np.zeros_like(harmony_N), np.append(onsets_s * RATE_HZ, len(harmony_N)).astype(int)
    for start, end in pairwise(edges):
        nearest = int(own_s[np.abs(own_s - start / RATE_HZ).argmin()] * RATE_HZ)
        part = harmony_N[nearest : nearest + end - start]
        edge = np.minimum(np.arange(len(part)), np.arange(len(part))[::-1]) / 100
        out[start : start + len(part)] = part * np.minimum(1.0, edge)
    return out


def triplet(font: str, seed: int) -> tuple[score.Sources, dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    beat_s, other_beat_s = 60 / random.uniform(85, 140, 2)
    pattern = random.random((3, 32)) < np.array([0.25, 0.2, 0.5])[:, None]
    pattern[0, 0] = True
    song, program = progression(random, other_beat_s), int(random.choice(PROGRAMS))
    groove = render(font, drums(pattern, beat_s), 0)
    harmony = render(font, notes_of(song, other_beat_s, random, False), program)
    truth, other = (render(font, orchestrated(song, pattern, beat_s, k), program) for k in (0, 1))
    strangers = [notes_of(progression(random, 0.5), 0.5, random, True) for _ in range(2)]
    unrelated, floor = (render(font, notes, int(random.choice(PROGRAMS))) for notes in strangers)
    percussive, harmonic = (split(torch.from_numpy(x)[None], RATE_HZ) for x in (groove, harmony))
    blends = {
        "truth": truth,
        "mix": (groove + harmony) / 2,
        "perc+harm": (percussive.percussive + harmonic.harmonic)[0].numpy(),
        "slices": sliced(harmony, np.unique([n[0] for n in drums(pattern, beat_s)])),
        "groove": groove,
        "harmony": harmony,
        "stranger": floor,
        "noise": (0.1 * random.standard_normal(len(groove))).astype(np.float32),
    }
    return score.Sources(groove, harmony, (other,), unrelated, song), blends


def main(font: str, triplets: str = "8") -> None:
    assert features.SAMPLE_RATE_HZ == RATE_HZ
    found: dict[str, list[score.Score]] = {}
    spent = [0.0, 0.0]
    for seed in range(int(triplets)):
        sources, blends = triplet(font, seed)
        began = time.process_time()
        prepared = score.prepare(sources)
        spent[0] += time.process_time() - began
        for name, blend_N in blends.items():
            began = time.process_time()
            found.setdefault(name, []).append(score.evaluate(score.Case(blend_N, sources), prepared))
            spent[1] += time.process_time() - began
    print(f"CPU seconds: {spent[0] / int(triplets):.2f} a triplet, {spent[1] / int(triplets) / len(found):.2f} a blend")
    print(" " * 26, *(f"{name:>10}" for name in found))
    for key in found["truth"][0]:
        scored = [[s[key] for s in scores if s[key] is not None] for scores in found.values()]
        print(f"{key:26}", *(f"{np.mean(v):10.2f}" if v else f"{'-':>10}" for v in scored))


if __name__ == "__main__":
    main(*sys.argv[1:])
