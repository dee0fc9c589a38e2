"""One worker and a queue: what is asked for is composed in its turn, tells how far it is, and can be called off."""

import dataclasses
import logging
import queue
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from powermuse import weights
from powermuse.agents.factors import FACTORS
from powermuse.audio import clips, files
from powermuse.composing import alignment, factors, notes, report
from powermuse.composing.alignment import Aligner, Wish
from powermuse.composing.composer import PEAK, Blend, Composer, Length, Sound
from powermuse.studio.models import Models
from powermuse.studio.store import SHORTEST_S, Store, new_id
from powermuse.types import BadInput

MOST_WAITING = 8
MOST_REMEMBERED = 50
"""Pieces of work that are over; the blends of earlier ones are found in the store."""
_log = logging.getLogger(__name__)
State = Literal["waiting", "running", "done", "failed", "cancelled"]
_SHARES = {"groove": (1.0, 0.0), "harmony": (0.0, 1.0), "both": (1.0, 1.0)}


@dataclass(frozen=True)
class Side:
    """A sound of the shelf, and which part of it; an end of 0 is its own."""

    sound: str
    begin_s: float = 0.0
    end_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    """All that decides a blend."""

    groove: Side
    harmony: Side
    model: str = "factors"
    seed: int = 0
    length: Length = "longer"
    orchestration: str = ""
    sources: dict[str, str] = field(default_factory=dict)
    """Of rhythm, harmony and colour: groove, harmony or both; where one is not named, the model's own."""
    strengths: dict[str, float] = field(default_factory=dict)
    align: str = "auto"
    transpose: str = "0"
    distance: float | None = None


class Cancelled(Exception):
    """The work was called off."""


@dataclass
class Job:
    """What was asked for, and how far it is; done, its id is that of the blend."""

    id: str
    asked: Asked
    told: dict[str, Any]
    state: State = "waiting"
    what: str = ""
    share: float = 0.0
    trouble: str = ""
    called_off: threading.Event = field(default_factory=threading.Event)

    def view(self) -> dict[str, Any]:
        """What a page may know of it."""
        return {
            "id": self.id, "state": self.state, "what": self.what, "share": round(self.share, 3),
            "trouble": self.trouble,
        }  # fmt: skip


_PARTS = {
    "beat": (0.0, 0.05),
    "encode": (0.05, 0.15),
    "compose": (0.15, 0.6),
    "decode": (0.6, 0.85),
    "report": (0.85, 1.0),
}
"""Where in the whole each kind of work lies."""


class Worker:
    """Composes one thing after another on a thread of its own."""

    def __init__(self, store: Store, models: Models) -> None:
        self.store, self.models = store, models
        self.jobs: dict[str, Job] = {}
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="composer", daemon=True)
        self._thread.start()

    def ask(self, asked: Asked) -> Job:
        """Puts work into the queue. Raises BadInput for what cannot be composed, or where too much is waiting."""
        sounds = [self.store.sound(side.sound) for side in (asked.groove, asked.harmony)]
        for side, sound in zip((asked.groove, asked.harmony), sounds, strict=True):
            if (end_s := min(side.end_s or sound.seconds, sound.seconds)) - side.begin_s < SHORTEST_S:
                raise BadInput(f"{sound.name}: {side.begin_s:g} to {end_s:g} s is no part of {SHORTEST_S} s or more")
        try:
            _settings(asked, self.models.place(asked.model))
        except BadInput as error:
            raise BadInput(self._without_paths(str(error))) from None
        alignment.check(Wish(asked.align, asked.transpose))
        with self._lock:
            if sum(job.state == "waiting" for job in self.jobs.values()) >= MOST_WAITING:
                raise BadInput(f"{MOST_WAITING} blends are waiting already; call one off, or wait")
            names = dict(zip(("groove", "harmony"), (s.name for s in sounds), strict=True))
            job = Job(new_id(), asked, {"names": names})
            self._forget_the_first()
            self.jobs[job.id] = job
        self._queue.put(job)
        return job

    def _forget_the_first(self) -> None:
        over = [id_ for id_, job in self.jobs.items() if job.state not in ("waiting", "running")]
        for id_ in over[: max(0, len(over) - MOST_REMEMBERED)]:
            del self.jobs[id_]

    def job(self, id_: str) -> Job:
        """Raises BadInput where there is none."""
        if (job := self.jobs.get(id_)) is None:
            raise BadInput("there is no such work")
        return job

    def call_off(self, id_: str) -> Job:
        """At its next step it stops, and nothing of it stays."""
        job = self.job(id_)
        job.called_off.set()
        if job.state == "waiting":
            job.state = "cancelled"
        return job

    def stop(self) -> None:
        """Calls everything off and waits for the thread."""
        for job in list(self.jobs.values()):
            job.called_off.set()
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.called_off.is_set():
                job.state = "cancelled"
                continue
            job.state = "running"
            try:
                self._end(job)
            except Exception:
                # The page and its next wish live on; what went wrong is told where the studio was started.
                _log.exception("a blend could not be composed")
                job.trouble, job.state = "something went wrong inside; the terminal says what", "failed"

    def _end(self, job: Job) -> None:
        """Composes, or tells why not; then nothing of it stays."""
        try:
            self._compose(job)
            job.share, job.state = 1.0, "done"
            return
        except Cancelled:
            ended: tuple[str, State] = "", "cancelled"
        except BadInput as error:
            ended = self._without_paths(str(error)), "failed"
        finally:
            if job.state != "done":
                self.store.drop_blend(job.id)
        job.trouble, job.state = ended

    def _compose(self, job: Job) -> None:
        def on_progress(what: str, done: int, total: int) -> None:
            if job.called_off.is_set():
                raise Cancelled
            begin, end = _PARTS.get(what, (0.0, 1.0))
            job.what, job.share = what, begin + (end - begin) * done / max(total, 1)

        asked = job.asked
        on_progress("load", 0, 1)
        place = self.models.place(asked.model)
        model = dataclasses.replace(weights.load_model(place, _settings(asked, place)), source=asked.model)
        composer = Composer(model, asked.seed)
        groove, harmony = (self._listen(composer, side) for side in (asked.groove, asked.harmony))
        on_progress("beat", 0, 1)
        align = Aligner(Wish(asked.align, asked.transpose), composer.codec.sample_rate_hz)
        groove, harmony, found = align(groove, harmony)
        blend = composer.compose(groove, harmony, asked.length, on_progress, found)
        on_progress("report", 0, 1)
        folder = self.store.begin_blend(job.id)
        told = report.write(blend, str(folder / "blend.wav"), midi=blend.score is not None, asked=_named(job))
        _write_heard(blend, folder / "heard")
        on_progress("report", 1, 1)
        has_midi = notes.midi_path(str(folder / "blend.wav")).exists()
        shown: dict[str, Any] = {name: told.get(name) or {} for name in ("taken", "alignment")}
        shown |= {"midi": has_midi, "played_as": told.get("orchestration", "")}
        self.store.keep_blend(job.id, {**job.told, **_plain(asked), **shown})

    def _listen(self, composer: Composer, side: Side) -> Sound:
        """The part of a sound that is wanted, by the name that it was brought with: reports tell no place on disk."""
        stored = self.store.sound(side.sound)
        heard = composer.listen(stored.path, side.begin_s, side.end_s or None)
        return dataclasses.replace(heard, path=stored.name)

    def bars(self, side: Side) -> dict[str, Any]:
        """Tempo, key and first downbeat of a part of a sound, in seconds of that part. Raises BadInput where it lasts
        less than half a second."""
        try:
            heard = alignment.hear(self.store.sound(side.sound).path, side.begin_s, side.end_s or None)
        except BadInput as error:
            raise BadInput(self._without_paths(str(error))) from None
        return {**alignment.told_of(heard), "sure": alignment.is_sure(heard)}

    def _without_paths(self, message: str) -> str:
        """A message with the names of sounds and models in the place of where they lie."""
        message = self.models.without_places(message)
        for sound in self.store.sounds():
            message = message.replace(str(sound.path), sound.name)
        return message.replace(str(self.store.sounds_folder), "").replace(str(self.store.blends_folder), "")


def _settings(asked: Asked, place: str) -> list[str]:
    """What the recipe of the model at `place` is told. Raises BadInput for what the model does not know."""
    chosen: factors.Chosen = {}
    if unknown := (asked.sources.keys() | asked.strengths.keys()) - set(FACTORS):
        raise BadInput(f"there is no factor {', '.join(sorted(unknown))}; there are {', '.join(FACTORS)}")
    for name in FACTORS:
        source = asked.sources.get(name)
        if source is not None and source not in _SHARES:
            raise BadInput(f"the {name} comes from groove, harmony or both, not from {source!r}")
        chosen[name] = (None if source is None else _SHARES[source], asked.strengths.get(name))
    return factors.overrides(place, chosen, asked.orchestration or None, asked.distance)


def _write_heard(blend: Blend, folder: Path) -> None:
    """Groove, harmony, their mix and the blend, all as loud as each other."""
    folder.mkdir()
    groove, harmony = (sound.levelled_CN for sound in (blend.groove, blend.harmony))
    heard = {"groove": groove, "harmony": harmony, "mix": groove + harmony, "blend": blend.wav_CN}
    for name, wav_CN in heard.items():
        levelled = _at_one_level(wav_CN)
        files.write(
            folder / f"{name}.wav", clips.limit_peaks(levelled, PEAK, blend.sample_rate_hz), blend.sample_rate_hz
        )


def _at_one_level(wav_CN: np.ndarray) -> np.ndarray:
    try:
        return clips.normalise_level(wav_CN)[0]
    except BadInput:
        return wav_CN  # silence stays silence


def _named(job: Job) -> dict[str, Any]:
    """What was asked for as a report says it: sounds by the names that they were brought with."""
    plain, names = _plain(job.asked), job.told["names"]
    return {**plain, **{side: {**plain[side], "sound": name} for side, name in names.items()}}


def _plain(asked: Asked) -> dict[str, Any]:
    """As JSON keeps it."""
    sides = {name: vars(getattr(asked, name)) for name in ("groove", "harmony")}
    return {**vars(asked), **sides}
