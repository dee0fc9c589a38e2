"""What triplets of a split are drawn from; no family, song, cycle of chords or program is in two splits."""

import random
from dataclasses import dataclass

from powermuse.data.render import rhythms
from powermuse.data.render.metres import Metre
from powermuse.data.render.programs import Split
from powermuse.data.render.rhythms import Rhythm

OWN = "own"


@dataclass(frozen=True)
class Sources:
    """Rhythms and bands of a split: our own always, others where they were asked for."""

    split: Split
    kinds: tuple[str, ...] = (OWN,)

    @classmethod
    def for_split(cls, split: Split, kinds: tuple[str, ...] | None = None) -> "Sources":
        """The sources of a split."""
        return cls(split, kinds or (OWN,))

    def rhythm(self, chance: random.Random, metre: Metre | None = None) -> Rhythm:
        """A rhythm of the split, in a given metre where one is given."""
        return rhythms.draw(chance, self.split, metre)
