"""How fast a data set is read, how long training takes to start on it, and what `prepare` needs as music grows.

python bench/data.py access              # clips a second at random, one process, warm page cache
python bench/data.py start               # opening and the first batch, at 10^2, 10^4 and 10^6 clips
python bench/data.py memory [HOURS ...]  # largest process of `prepare` (default: 1, 2 and 4 h of made-up sound)
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from powermuse.data import index, shards
from powermuse.data.made_up import make_up
from powermuse.data.pairs import PairSource
from powermuse.data.shards import Dataset
from powermuse.recipe import Choice

FRAMES, CLIPS, READS, ROUNDS = 1200, 2048, 4000, 5
CLIP_COUNTS = (10**2, 10**4, 10**6)
SONG_S, RATE_HZ = 240, 24_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["access", "start", "memory"])
    parser.add_argument("hours", nargs="*", type=float)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "memory":
            for hours in options.hours or (1.0, 2.0, 4.0):
                memory(Path(folder), hours)
        else:
            {"access": access, "start": start}[options.what](Path(folder))


def access(folder: Path) -> None:
    make_up(folder / "data", Choice("mel"), FRAMES, songs=64, clips_each=4)
    copy_shards(folder / "data", CLIPS // 256)
    data = Dataset(folder / "data")
    chance = np.random.default_rng(0)
    orders = [chance.integers(len(data), size=READS).tolist() for _ in range(ROUNDS + 1)]
    rates = []
    for order in orders:
        begun = time.perf_counter()
        for row in order:
            data.packed([row], [0], FRAMES)
        rates.append(READS / (time.perf_counter() - begun))
    counted = rates[1:]  # the first one warms the page cache
    print(
        f"{len(data)} clips of [{shards.FEATURE_ROWS + 128}, {FRAMES}] in float16, at random, one at a time: median "
        f"{statistics.median(counted):,.0f} clips/s ({min(counted):,.0f} to {max(counted):,.0f}, n {ROUNDS})"
    )


def copy_shards(folder: Path, count: int) -> None:
    """As many shards of the same clips, each its own file, in the tables of the data set."""
    for number in range(1, count):
        shutil.copyfile(shards.shard_path(folder, 0), shards.shard_path(folder, number))
    table, entry = np.load(folder / "train.npy"), np.load(folder / "shards.npy")
    rows, known = np.tile(table, count), np.tile(entry, count)
    rows["shard"], known["number"] = np.repeat(np.arange(count), len(table)), np.arange(count)
    write_tables(folder, rows, known)


def write_tables(folder: Path, rows: np.ndarray, known: np.ndarray) -> None:
    np.save(folder / "train.npy", rows)
    np.save(folder / "shards.npy", known)
    described = json.loads((folder / "dataset.json").read_text())
    described["clips"]["train"] = len(rows)
    (folder / "dataset.json").write_text(json.dumps(described))


def start(folder: Path) -> None:
    make_up(folder / "data", Choice("mel"), FRAMES, songs=16, clips_each=4)
    table, known = np.load(folder / "data/train.npy"), np.load(folder / "data/shards.npy")
    for clips in CLIP_COUNTS:
        write_tables(folder / "data", np.resize(table, clips), known)
        times = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            data = Dataset(folder / "data")
            PairSource(data, "shuffled", 192, seed=0).batch(0, 8)
            index.shard_files(folder / "data")
            times.append(1e3 * (time.perf_counter() - begun))
        spread = f"({min(times):.1f} to {max(times):.1f}, n {ROUNDS})"
        print(f"{clips:>9,} clips: opened, first batch of 8: median {statistics.median(times):.1f} ms {spread}")


def memory(folder: Path, hours: float) -> None:
    music, out = folder / f"music-{hours}", folder / f"out-{hours}"
    music.mkdir()
    chance = np.random.default_rng(0)
    soundfile.write(music / "0.wav", 0.1 * chance.standard_normal(SONG_S * RATE_HZ), RATE_HZ, subtype="PCM_16")
    for song in range(1, round(hours * 3600 / SONG_S)):
        os.link(music / "0.wav", music / f"{song}.wav")
    command = [sys.executable, "-m", "powermuse.cli", "prepare", str(music), "-o", str(out), "--songs-are", "files"]
    begun = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    assert status == 0
    passed = time.perf_counter() - begun
    print(f"{hours:g} h: largest process {used.ru_maxrss / 1e6:.2f} GB, {hours * 3600 / passed:.0f} times real time")


if __name__ == "__main__":
    main()
