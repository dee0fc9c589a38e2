"""The swap benchmark: every system composes every case, every blend is scored, and nothing is computed twice.

CACHE/SYSTEM/CASE.json          the score of a blend; SYSTEM is a digest of what decides its blends
CACHE/SYSTEM/CASE.safetensors   the embedding of its windows, where there is one
CACHE/SYSTEM/CASE.judges.json   what the slow judges say of it, where they were asked
CACHE/SYSTEM/CASE.flac          the blend itself, of the cases that a page lets one hear
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
import torch

from powermuse import disk
from powermuse.audio import files
from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.benchmark import cases, judging, systems
from powermuse.benchmark.cases import Cases, Material
from powermuse.benchmark.systems import System
from powermuse.data.pool import cores, in_order
from powermuse.metrics import score
from powermuse.metrics.chords import Chords
from powermuse.metrics.score import Case, Score
from powermuse.types import BadInput

VERSION = 2
"""Of the scores: raise when a metric changes, and what is cached counts no more."""
JUDGED = 60
"""Cases that the slow judges hear, the first ones."""

OnProgress = Callable[[int, int, str], None]
"""Called after each case with: cases done, cases in all, the name of the last one."""


class Plan(NamedTuple):
    """What to evaluate, and how."""

    benchmark: str
    """A rendered data set, or a list of real pairs."""
    cache: Path
    models: tuple[str, ...] = ()
    triplets: int | None = None
    """How many of them; None takes all."""
    workers: int = 0
    """Processes; 0 takes one for each core."""
    judges: bool = False
    heard: int = 4
    """Cases whose blends are kept to be listened to, the first of each group."""
    seed: int = 0
    split: str = "test"
    """Of rendered triplets."""

    def cases(self) -> Cases:
        """What is to be evaluated on. Raises BadInput."""
        return cases.open_cases(self.benchmark, self.triplets, self.split)


class Trial(NamedTuple):
    """One system on one case; `windows` [n, D] is the embedding of the blend."""

    system: str
    case: str
    group: str
    values: Score
    windows: np.ndarray | None
    sound: Path | None


def run(plan: Plan, on_progress: OnProgress = lambda *_: None) -> list[Trial]:
    """All trials, system by system within a case, in the order of the cases. Raises BadInput."""
    if plan.judges:
        judging.check_judges()
    known = rows(plan)  # what cannot be loaded is told before any work is done
    benchmark = plan.cases()
    numbers = [(number,) for number in range(len(benchmark))]
    keys = tuple(row.key for row in known)
    trials: list[Trial] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # here as in the pool: the sums of several threads may be added in another order
    try:
        results = in_order(_case, numbers, min(plan.workers or cores(), len(numbers)), _begin, plan, keys)
        for done, found in enumerate(results, start=1):
            trials += found
            on_progress(done, len(numbers), found[0].case if found else "")
    finally:
        torch.set_num_threads(threads)
    return trials


def rows(plan: Plan) -> list[System]:
    """The systems of a plan, in the order of the tables. Raises BadInput where two have one name."""
    found = [*systems.rivals(), *(systems.of_model(name, plan.seed) for name in plan.models)]
    named = [system.name for system in found]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise BadInput(f"two systems of the table are called {', '.join(twice)}; rename the folder of one of them")
    return found


class _Worker(NamedTuple):
    plan: Plan
    benchmark: Cases
    rows: list[System]
    heard: frozenset[int]
    identity: str


_worker: _Worker | None = None


def _begin(plan: Plan, keys: tuple[str, ...]) -> None:
    """What a process needs once; `keys` are those of the systems that are to be told of."""
    global _worker
    found = rows(plan)
    if other := [row.name for row, key in zip(found, keys, strict=True) if row.key != key]:
        raise systems.changed(", ".join(other))
    benchmark = plan.cases()
    identity = hashlib.blake2b(json.dumps([VERSION, benchmark.identity]).encode(), digest_size=6).hexdigest()
    _worker = _Worker(plan, benchmark, found, heard(benchmark, plan.heard), identity)


def heard(benchmark: Cases, each: int) -> frozenset[int]:
    """The first `each` cases of every group."""
    found: dict[str, list[int]] = {}
    for number in range(len(benchmark)):
        found.setdefault(benchmark.label(number).group, []).append(number)
    return frozenset(number for numbers in found.values() for number in numbers[:each])


def _case(number: int) -> list[Trial]:
    """Every system on one case, from the cache where it is there."""
    assert _worker is not None
    return _Turn(_worker, number).trials()


class _Turn:
    """One case: its clips are read, and its sources heard, only when a blend is missing."""

    def __init__(self, worker: _Worker, number: int) -> None:
        self.worker, self.number = worker, number
        self.label = worker.benchmark.label(number)
        self.judged = worker.plan.judges and number < JUDGED and self.label.group in cases.COUNTED
        self._material: Material | None = None
        self._prepared: score.Prepared | None = None
        self._chords: Chords | None = None

    def trials(self) -> list[Trial]:
        found = (self._trial(system) for system in self.worker.rows)
        return [trial for trial in found if trial is not None]

    def _trial(self, system: System) -> Trial | None:
        at = self._path(system)
        keep = self.number in self.worker.heard
        if not self._is_there(at, keep):
            self._score(system, self._made(system), at, keep)
        content = json.loads(at.with_suffix(".json").read_text())
        if content is None:
            return None
        if self.judged:
            content |= json.loads(at.with_suffix(".judges.json").read_text())
        embedded = at.with_suffix(".safetensors")
        windows = safetensors.numpy.load_file(embedded)["windows"] if embedded.exists() else None
        sound = at.with_suffix(".flac")
        return Trial(system.name, *self.label, content, windows, sound if sound.exists() else None)

    def _made(self, system: System) -> np.ndarray | None:
        """The blend, None where there is none to give. Raises BadInput, with system and case, where the system fails or
        gives samples that are not finite."""
        try:
            blend_N = system.make(self.material)
        except (ValueError, RuntimeError, FloatingPointError) as error:
            raise BadInput(f"{system.name} on case {self.label.name!r}: {error or type(error).__name__}") from error
        if blend_N is None:
            return None
        if not np.isfinite(blend_N).all():
            raise BadInput(f"{system.name} on case {self.label.name!r}: gave samples that are not finite")
        return np.ascontiguousarray(blend_N, np.float32)

    def _is_there(self, at: Path, keep: bool) -> bool:
        further = {".judges.json": self.judged, ".flac": keep, ".safetensors": self._embeds}
        wanted = [".json", *(suffix for suffix, is_wanted in further.items() if is_wanted)]
        if at.with_suffix(".json").exists() and at.with_suffix(".json").read_text() == "null":
            return True
        return all(at.with_suffix(suffix).exists() for suffix in wanted)

    def _score(self, system: System, blend_N: np.ndarray | None, at: Path, keep: bool) -> None:
        """Writes what is to be known of a blend; the score last, because it says that all is there."""
        at.parent.mkdir(parents=True, exist_ok=True)
        if blend_N is None:
            disk.write_text(at.with_suffix(".json"), "null")
            return
        case = Case(blend_N, self.material.sources)
        if keep:
            files.write(at.with_suffix(".flac"), blend_N[None] / max(1.0, float(np.abs(blend_N).max())), SAMPLE_RATE_HZ)
        if self._embeds and (windows := judging.embedding(blend_N)) is not None:
            disk.write_bytes(at.with_suffix(".safetensors"), safetensors.numpy.save({"windows": windows}))
        prepared = cases.without(self.prepared, system.answer, system.truth)
        if self.judged:
            judged = judging.judged(blend_N, self.material.sources, self.chords, system.truth)
            disk.write_text(at.with_suffix(".judges.json"), _json(judged))
        disk.write_text(at.with_suffix(".json"), _json(score.evaluate(case, prepared)))

    def _path(self, system: System) -> Path:
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in self.label.name)
        return self.worker.plan.cache / f"{system.key}-{self.worker.identity}" / disk.short(name)

    @property
    def _embeds(self) -> bool:
        return self.label.group in cases.COUNTED and judging.can_embed()

    @property
    def material(self) -> Material:
        if self._material is None:
            self._material = self.worker.benchmark.material(self.number)
        return self._material

    @property
    def chords(self) -> Chords:
        """Those that the slow judges hold every blend against."""
        if self._chords is None:
            self._chords = judging.chords_of(self.material.sources)
        return self._chords

    @property
    def prepared(self) -> score.Prepared:
        if self._prepared is None:
            self._prepared = score.prepare(self.material.sources)
        return self._prepared


def _json(values: Score) -> str:
    return json.dumps({name: None if v is None or not math.isfinite(v) else v for name, v in values.items()})


def sources_of(plan: Plan, names: Sequence[str], folder: Path) -> dict[str, dict[str, str]]:
    """Writes A and B of the named cases into a folder; their files, relative to the one above, by case and side."""
    benchmark = plan.cases()
    wanted = {benchmark.label(number).name: number for number in range(len(benchmark))}
    written: dict[str, dict[str, str]] = {}
    for name in names:
        written[name] = {}
        for side, wav_N in zip("AB", benchmark.material(wanted[name]).clips, strict=True):
            file = folder / f"{wanted[name]:05d}.{side}.flac"
            files.write(file, wav_N[None] / max(1.0, float(np.abs(wav_N).max())), SAMPLE_RATE_HZ)
            written[name][side] = f"{folder.name}/{file.name}"
    return written


def by_system(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Trials under the name of their system, in their order."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.system, []).append(trial)
    return found
