"""What a system is given and scored against: rendered triplets, real pairs, and the special cases made of them."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from powermuse import disk
from powermuse.audio import clips, files
from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.data import triplets
from powermuse.data.render.score import Score
from powermuse.data.triplets import Triplets
from powermuse.metrics import events, score
from powermuse.metrics.chords import Chords
from powermuse.metrics.score import Sources
from powermuse.metrics.truth import Notes
from powermuse.types import BadInput

SAME_TEMPO, OTHER_TEMPO = "same tempo", "other tempo"
SAME_CLIP, SILENT, OTHER_A, OTHER_B = "A = B", "silence", "shuffled A", "shuffled B"
SPECIAL = {SAME_CLIP: 4, SILENT: 4, OTHER_A: 12, OTHER_B: 12}
"""How many of each special case there are: the first triplets."""
REAL = "real pairs"
_LEAST_S = 0.5
COUNTED = (SAME_TEMPO, OTHER_TEMPO, REAL)
"""Groups whose cases are no special ones."""


class Label(NamedTuple):
    """What a case is called, and the group that it is counted in."""

    name: str
    group: str


class Material(NamedTuple):
    """One case. `given` is what a system hears where that is not what its blend is scored against."""

    label: Label
    sources: Sources
    given: tuple[np.ndarray, np.ndarray] | None = None
    right_N: tuple[np.ndarray, ...] = ()
    """Right answers to what is given, where there are any."""

    @property
    def clips(self) -> tuple[np.ndarray, np.ndarray]:
        """Groove and harmony [N] as the system hears them."""
        return self.given or (self.sources.groove_N, self.sources.harmony_N)


class Book:
    """The cases of a rendered split by number: its triplets first, then the special cases."""

    def __init__(self, folder: str | os.PathLike[str], split: str = "test", count: int | None = None) -> None:
        self.triplets = Triplets(folder, split, count)
        if len(self.triplets) < 2:
            raise BadInput(
                f"{folder}: the {split} split has {len(self.triplets)} triplets, two at least are wanted; "
                f"powermuse render -o {folder} --split {split} --triplets 100"
            )
        # The waveforms of the first and the last one, before any work is done.
        for index in (0, len(self.triplets) - 1):
            self.triplets.sound(index, "groove")
        self._special = [(k, i) for k, most in SPECIAL.items() for i in range(min(most, len(self.triplets)))]

    def __len__(self) -> int:
        return len(self.triplets) + len(self._special)

    @property
    def identity(self) -> dict[str, str]:
        """What tells this benchmark from another."""
        return {"seed": str(self.triplets.seed), **self.triplets.record}

    def label(self, number: int) -> Label:
        """What case `number` is called, and its group."""
        if number < len(self.triplets):
            same = self.triplets.origin(number)["same_tempo"] == "true"
            return Label(f"{number:05d}", SAME_TEMPO if same else OTHER_TEMPO)
        kind, index = self._special[number - len(self.triplets)]
        return Label(f"{kind} {index:05d}", kind)

    def clips(self, number: int) -> tuple[str, ...]:
        """Nothing: no two triplets share a clip."""
        return ()

    def material(self, number: int) -> Material:
        """Case `number`, its waveforms read."""
        label = self.label(number)
        if number < len(self.triplets):
            sources = self._sources(number)
            return Material(label, sources, right_N=tuple(sources.truths_N))
        return self._special_case(label, self._special[number - len(self.triplets)][1])

    def _special_case(self, label: Label, index: int) -> Material:
        sources = self._sources(index)
        if label.group == SAME_CLIP:  # the blend of a clip with itself has its rhythm and its chords
            beats_s = np.array([beat.time_s for beat in self.triplets.score(index, "harmony").beats])
            alone = sources._replace(
                groove_N=sources.harmony_N, truths_N=(), truth_notes=(), groove_onsets_s=None, beats_s=beats_s
            )
            return Material(label, alone)
        if label.group == SILENT:  # every second time it is the harmony that is silent
            silence_N = np.zeros_like(sources.groove_N)
            pair = (sources.groove_N, silence_N) if index % 2 else (silence_N, sources.harmony_N)
            return Material(label, sources, pair)
        # Scored against the old clips: what was exchanged should fall to chance, as it does in a truth that has
        # neither of them.
        other = self._partner(index)
        right_N = tuple(self.triplets.sound(other, f"truth.{i}") for i in range(2))
        if label.group == OTHER_A:
            return Material(label, sources, (self.triplets.sound(other, "groove"), sources.harmony_N), right_N)
        return Material(label, sources, (sources.groove_N, self.triplets.sound(other, "harmony")), right_N)

    def _sources(self, index: int) -> Sources:
        read = self.triplets.sound
        truths = [f"truth.{i}" for i in range(self.triplets.truths(index))]
        harmony = self.triplets.score(index, "harmony")
        groove = self.triplets.score(index, "groove")
        return Sources(
            read(index, "groove"),
            read(index, "harmony"),
            [read(index, role) for role in truths],
            read(self._partner(index), "harmony"),
            chords_of(harmony),
            groove_onsets_s=drum_onsets(groove),
            beats_s=np.array([beat.time_s for beat in groove.beats]),
            truth_notes=[notes_of(self.triplets.score(index, role)) for role in truths],
        )

    def _partner(self, index: int) -> int:
        """The triplet whose harmony is the unrelated music, half the split away."""
        return (index + len(self.triplets) // 2) % len(self.triplets)


class Excerpt(NamedTuple):
    """A recording from some moment on."""

    path: Path
    start_s: float


class RealPairs:
    """Pairs of recordings from a list: a line a pair, groove and harmony with a tab between, paths from the list's
    folder; FILE@30 begins at 30 s. Nothing is known of them but how they sound. Raises BadInput for a list that cannot
    be read."""

    def __init__(self, path: str | os.PathLike[str], count: int | None = None, seconds: float = 16.0) -> None:
        self.path, self.samples = Path(path), round(seconds * SAMPLE_RATE_HZ)
        try:
            lines = [
                line
                for line in self.path.read_text("utf-8-sig").splitlines()
                if line.strip() and not line.startswith("#")
            ]
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: cannot be read ({error}); a list of pairs is wanted") from None
        if count is not None and count > len(lines):
            raise BadInput(f"{path}: has {len(lines)} pairs, not {count}")
        self.pairs = [self._pair(line) for line in lines][:count]
        if len(self.pairs) < 2:
            raise BadInput(f"{path}: {len(self.pairs)} pairs; two at least are wanted, GROOVE<tab>HARMONY on each line")
        if len({harmony.path.resolve() for _, harmony in self.pairs}) < 2:
            raise BadInput(f"{path}: every pair has one harmony; another one is wanted, to tell it from other music")

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def identity(self) -> dict[str, str]:
        """What tells this list from another."""
        excerpts = [e for pair in self.pairs for e in pair]
        digests = {path: disk.sha256(path) for path in {e.path for e in excerpts}}
        told = " ".join(f"{digests[e.path]}@{e.start_s:g}" for e in excerpts)
        return {"pairs": hashlib.sha256(told.encode()).hexdigest(), "samples": str(self.samples)}

    def label(self, number: int) -> Label:
        """What pair `number` is called."""
        groove, harmony = self.pairs[number]
        return Label(f"{number:03d} {groove.path.stem} + {harmony.path.stem}", REAL)

    def clips(self, number: int) -> tuple[str, ...]:
        """The files of groove and harmony: other pairs of the list may have them too."""
        return tuple(os.path.relpath(excerpt.path, self.path.parent) for excerpt in self.pairs[number])

    def material(self, number: int) -> Material:
        """Pair `number`; the unrelated clip is the harmony of the pair half the list away, or of the first after it
        that is another file than either of this pair (or, in so short a list, than its harmony)."""
        groove, harmony = self.pairs[number]
        sources = Sources(self._read(groove), self._read(harmony), unrelated_N=self._read(self._other(number)))
        return Material(self.label(number), sources)

    def _other(self, number: int) -> Excerpt:
        groove, harmony = (excerpt.path.resolve() for excerpt in self.pairs[number])
        half_way = number + len(self.pairs) // 2
        away = [self.pairs[(half_way + i) % len(self.pairs)][1] for i in range(len(self.pairs))]
        others = [excerpt for excerpt in away if excerpt.path.resolve() != harmony]
        return next((excerpt for excerpt in others if excerpt.path.resolve() != groove), others[0])

    def _pair(self, line: str) -> tuple[Excerpt, Excerpt]:
        parts = [self._excerpt(part.strip()) for part in line.split("\t")]
        if len(parts) != 2:
            raise BadInput(f"{self.path}: {line!r}: GROOVE<tab>HARMONY is wanted")
        for part in parts:
            if not part.path.is_file():
                raise BadInput(f"{self.path}: {part.path}: no such file")
            if 0.0 < (length_s := files.length_told(part.path)) < part.start_s + _LEAST_S:
                raise BadInput(
                    f"{self.path}: {part.path}: has no half second from {part.start_s:g} s on ({length_s:g} s)"
                )
        return parts[0], parts[1]

    def _excerpt(self, text: str) -> Excerpt:
        name, at, start_s = text.rpartition("@")
        if at and start_s.replace(".", "", 1).isdecimal():
            return Excerpt(self.path.parent / name, float(start_s))
        return Excerpt(self.path.parent / text, 0.0)

    def _read(self, excerpt: Excerpt) -> np.ndarray:
        wav_CN = files.read(excerpt.path, SAMPLE_RATE_HZ)[:, round(excerpt.start_s * SAMPLE_RATE_HZ) :]
        if wav_CN.shape[1] < _LEAST_S * SAMPLE_RATE_HZ:
            raise BadInput(f"{excerpt.path}: has no half second from {excerpt.start_s:g} s on")
        try:
            return clips.normalise_level(clips.loop_to(wav_CN, self.samples, SAMPLE_RATE_HZ))[0][0]
        except BadInput as error:
            raise BadInput(f"{excerpt.path} from {excerpt.start_s:g} s on: {error}") from None


Cases = Book | RealPairs


def chords_of(known: Score) -> Chords:
    """Chords as the metrics read them; None is never met: a harmony clip has chords."""
    spans = np.array([(c.start_s, c.end_s) for c in known.chords], dtype=np.float64).reshape(-1, 2)
    return Chords(spans, tuple(c.label for c in known.chords))


def notes_of(known: Score) -> Notes:
    """Onsets and pitches of all parts but the drums."""
    notes = [note for part in known.parts if not part.is_drums for note in part.notes]
    return Notes(np.array([n.start_s for n in notes]), np.array([float(n.pitch) for n in notes]))


def drum_onsets(known: Score) -> np.ndarray:
    """Times at which the drums strike [n]: drums that are struck together, each a little early or late, are one stroke
    to a listener, and to the detector (`events.onsets`)."""
    struck = sorted(note.start_s for part in known.parts if part.is_drums for note in part.notes)
    heard: list[float] = []
    for at_s in struck:
        if not heard or at_s - heard[-1] > events.APART_S:
            heard.append(at_s)
    return np.array(heard)


def open_cases(path: str, count: int | None = None, split: str = "test") -> Cases:
    """A split of a rendered data set by its folder, or real pairs by the file that lists them. Raises BadInput."""
    if Path(path).is_dir() and triplets.is_one(Path(path)):
        return Book(path, split, count)
    if Path(path).is_file():
        if split != "test":
            raise BadInput(f"{path}: a list of pairs has no splits; --split is of rendered triplets")
        return RealPairs(path, count)
    raise BadInput(
        f"{path}: is neither rendered triplets nor a list of pairs; make a benchmark with: "
        f"powermuse render -o {path} --split {split} --triplets 100"
    )


def without(prepared: score.Prepared, answer: int | None, truth: int | None) -> score.Prepared:
    """The sources without the right answer that is under test itself: what it copies is held against the others', and
    where it is told as a `truth`, all else too."""
    truths = tuple(heard for i, heard in enumerate(prepared.truths) if i != truth)
    copies = tuple(copied for i, copied in enumerate(prepared.truth_copies) if i != answer)
    return prepared._replace(truths=truths, truth_copies=copies)
