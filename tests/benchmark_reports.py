"""Made-up results: a benchmark of which every figure is known, and the sounds that its page plays."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from powermuse.benchmark import gates
from powermuse.benchmark.baselines import BASELINES
from powermuse.benchmark.gates import Bar
from powermuse.benchmark.results import (
    ALL,
    OTHER,
    RETOLD,
    SAME,
    TRUTH,
    Case,
    Change,
    Example,
    LeakageCard,
    Metric,
    Report,
    System,
)
from sounds import RATE_HZ, chords, drums, song, write

READER = "template reader"
METRICS = (
    Metric("onsets of A", "", "up", "correlation of the onset envelopes of blend and A"),
    Metric("onsets of B", "", "truth", "correlation of the onset envelopes of blend and B"),
    Metric("chords", "", "up", "share of the time with B's chord", READER),
    Metric("copy excess", "", "down", "energy explained by gains of A and B, above the truth's"),
    Metric("mel distance", "dB", "down", "mean distance to the truth's mel spectrum", digits=1),
)
SYSTEMS = (
    System(TRUTH, "reference", "rendered from the scores"),
    System(RETOLD, "reference", "the same chords, orchestrated from A's drums in another way"),
    System("muse <4 layers>", "model", "a made-up model"),
    *(System(name, one.kind, one.description) for name, one in BASELINES.items()),
)
CENTRES = {
    TRUTH: (0.81, 0.19, 0.76, 0.0, 0.0),
    RETOLD: (0.78, 0.2, 0.74, 0.02, 5.1),
    "muse <4 layers>": (0.87, 0.2, 0.73, 0.17, 6.4),
    "plain mix": (0.77, 0.52, 0.58, 0.68, 10.5),
    "B with A's loudness": (0.74, 0.5, 0.75, 0.4, 9.9),
    "24-band vocoder": (0.76, 0.47, 0.74, 0.34, 9.6),
    "percussive-harmonic swap": (0.84, 0.33, 0.81, 0.63, 9.9),
    "NMF mosaic": (0.7, 0.1, 0.4, 0.3, 9.1),
    "slices of B on A's onsets": (0.54, 0.27, 0.8, 0.21, 8.5),
    "unrelated music": (0.03, 0.04, 0.12, -0.1, 14.0),
    "noise": (0.0, 0.01, 0.08, -0.2, 19.0),
}


def bars(made: Report, group: str) -> list[Bar]:
    """Two bars about what the truth has in a group, three fixed ones."""
    rhythm, leak, chords = (made.means[group][TRUTH][m].mean for m in ("onsets of A", "onsets of B", "chords"))
    assert rhythm is not None and leak is not None and chords is not None
    return [
        Bar("rhythm", "onsets of A", rhythm - 0.05, None, "at least the truth's - 0.05"),
        Bar("not B's rhythm", "onsets of B", leak - 0.1, leak + 0.1, "within 0.1 of the truth's"),
        Bar("harmony", "chords", chords - 0.1, None, "at least the truth's - 0.1"),
        Bar("no copy", "copy excess", None, 0.1, "at most 0.1"),
        Bar("near the truth", "mel distance", None, 5.0, "at most 5"),
    ]


def report(triplets: int = 20) -> Report:
    """Normal values around CENTRES, at two tempi, and gates judged in three groups."""
    random = np.random.default_rng(5)
    cases = tuple(Case(f"case {k}", f"triplet {k}", (ALL, SAME if k % 2 else OTHER)) for k in range(triplets))
    values = {
        system.name: {
            case.name: {
                m.name: round(c + (0.1 if OTHER in case.groups else 0.0) + float(random.normal(0, 0.08)), 4)
                for m, c in zip(METRICS, CENTRES[system.name], strict=True)
            }
            for case in cases
        }
        for system in SYSTEMS
    }
    values["noise"]["case 3"]["chords"] = None
    made = Report(
        "Made-up swap benchmark",
        SYSTEMS,
        METRICS,
        cases,
        values,
        seed=1,
        provenance={"command": "none", "benchmark": "made up"},
    )
    judged = tuple(gates.judge(made, bar, group) for group in (ALL, SAME, OTHER) for bar in bars(made, group))
    card = LeakageCard(
        "muse <4 layers>",
        (
            Change("A", "onsets of A", "falls", 0.87, 0.06, 0.81, 0.04, True),
            Change("A", "chords", "stays", 0.73, 0.71, 0.76, 0.76, True),
            Change("B", "onsets of A", "stays", 0.87, 0.6, 0.81, 0.79, False),
            Change("B", "chords", "falls", 0.73, 0.16, 0.76, 0.13, True),
        ),
    )
    return replace(made, gates=judged, leakage=(card,))


def with_sounds(folder: Path, seconds: float = 4.0, examples: int = 2) -> Report:
    """The same with sound files of two cases below `folder`."""
    made = report()
    shown, heard = [], list(CENTRES)[:7]
    for k in range(examples):
        wavs = {"A": drums(seconds, k)[0], "B": chords(seconds, k, level_db=-30.0)[0]}
        wavs |= {name: song(seconds, 20 * k + place, level_db=-16.0 - place)[0] for place, name in enumerate(heard)}
        files = {name: f"sounds/{k}/{place}.wav" for place, name in enumerate(wavs)}
        for name, wav_N in wavs.items():
            write(folder / files[name], wav_N[None], RATE_HZ)
        shown.append(Example(f"case {k}", f"Case {k}: {'same tempo' if k % 2 else 'other tempo'}", files))
    return replace(made, examples=tuple(shown))
