"""What triplets of a split are drawn from; no family, song, cycle of chords or program is in two splits."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from powermuse.data.render import bands, cache, mma, mma_bands, rhythms, styles, wads
from powermuse.data.render.bands import Band
from powermuse.data.render.charts import Chart
from powermuse.data.render.metres import Metre
from powermuse.data.render.programs import Split
from powermuse.data.render.rhythms import Rhythm
from powermuse.data.render.score import Part
from powermuse.types import BadInput

OWN, FREEDOOM, MMA = "own", "freedoom", "mma"
CLEAN = (OWN, FREEDOOM)
"""Sources whose licences let a model that was trained on them be given away."""
DEFAULTS: dict[Split, tuple[str, ...]] = {"train": CLEAN, "val": CLEAN, "test": (OWN, FREEDOOM, MMA)}
_SHARES = {OWN: 0.4, FREEDOOM: 0.25, MMA: 0.35}
_MMA_BANDS = 0.5


@dataclass(frozen=True)
class Sources:
    """Rhythms and bands of a split: our own always, others where they were asked for."""

    split: Split
    kinds: tuple[str, ...] = (OWN,)
    kept: Path = field(default_factory=cache.folder)
    """Where the results of slow tools are kept."""
    songs: tuple[Rhythm, ...] = ()
    """Stretches of drums of multi-track songs."""

    @classmethod
    def for_split(cls, split: Split, kinds: tuple[str, ...] | None = None, kept: Path | None = None) -> "Sources":
        """The sources of a split: those asked for, or of the split's usual ones those that are on this machine.

        Raises BadInput where one that was asked for is missing, with the command that installs it.
        """
        asked = dict.fromkeys((OWN, *(_present(DEFAULTS[split]) if kinds is None else kinds)))
        unknown = [kind for kind in asked if kind not in _SHARES]
        if unknown:
            raise BadInput(f"no source is called {unknown[0]}; there are {', '.join(_SHARES)}")
        kept = kept or cache.folder()
        if MMA in asked:
            mma.grooves()
        songs = wads.songs(wads.installed(), kept)[split] if FREEDOOM in asked else ()
        return cls(split, tuple(kind for kind in _SHARES if kind in asked), kept, songs)

    @property
    def clean(self) -> bool:
        """Whether a model trained on these may be given away."""
        return set(self.kinds) <= set(CLEAN)

    def prepare(self) -> int:
        """Plays every groove of mma's that may be drawn, so that composing need not wait; how many there are.

        May be stopped and run again: what is done is kept.
        """
        if MMA not in self.kinds:
            return 0
        grooves = [groove for members in mma.by_family(self.split).values() for groove in members]
        for groove in grooves:
            mma.play(groove, self.kept)
        return len(grooves)

    def rhythm(self, chance: random.Random, metre: Metre | None = None) -> Rhythm:
        """A rhythm of the split, in a given metre where one is given."""
        kind = chance.choices(self.kinds, [_SHARES[kind] for kind in self.kinds])[0]
        if kind == MMA:
            groove, played = mma.draw(chance, self.split, metre, self.kept, band=False)
            if metre in (None, played.metre):
                return _drums_of(groove, played, chance)
        songs = [song for song in self.songs if metre in (None, song.metre)]
        if kind == FREEDOOM and songs:
            family = chance.choice(sorted({song.family for song in songs}))
            return chance.choice([song for song in songs if song.family == family])
        return rhythms.draw(chance, self.split, metre)

    def band(
        self,
        chance: random.Random,
        chart: Chart,
        tempo_bpm: float,
        program_set: str,
        taken: frozenset[int] = frozenset(),
    ) -> tuple[Band, tuple[Part, ...]]:
        """A band of the split, of programs of a set, and what it plays over a chart."""
        if MMA in self.kinds and chance.random() < _MMA_BANDS:
            groove, played = mma.draw(chance, self.split, chart.metre, self.kept, band=True)
            if played.metre == chart.metre:
                band = mma_bands.draw(chance, groove, played, program_set, taken)
                parts = mma_bands.play(band, played, chart, tempo_bpm)
                if all(part.notes for part in parts):
                    return band, parts
        band = bands.draw(chance, styles.BAND_STYLES, program_set, taken)
        return band, bands.play(chance, band, chart, tempo_bpm)


def digests(kinds: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of what other packages give to the sources, by kind; nothing of our own. Raises BadInput for a missing
    one."""
    made: dict[str, Callable[[], str]] = {
        FREEDOOM: lambda: wads.digest(wads.installed(), cache.folder()),
        MMA: mma.digest,
    }
    return {kind: made[kind]() for kind in kinds if kind in made}


def _present(kinds: tuple[str, ...]) -> list[str]:
    here = {OWN: True, FREEDOOM: bool(wads.installed()), MMA: mma.available()}
    return [kind for kind in kinds if here[kind]]


def _drums_of(groove: mma.Groove, played: mma.Played, chance: random.Random) -> Rhythm:
    tempo_bpm = chance.uniform(*groove.tempi_bpm(played.metre))
    name = f"{groove.path}:{groove.name}"
    return Rhythm("mma", groove.family, name, played.metre, tempo_bpm, played.bars, played.hits)
