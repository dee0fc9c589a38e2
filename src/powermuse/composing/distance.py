"""One dial from close to the harmony clip to free of it: how long its chords hold at least, and how far chords and
colour are insisted on.

How chords, colour and notes of the blend move away from the clip, and that the rhythm stays the groove's, is measured
by `python bench/distance.py` (LOG.md).
"""

from typing import NamedTuple

from powermuse.types import BadInput


class Setting(NamedTuple):
    """What the dial sets."""

    harmony: float
    """Strength of the chords, as `--harmony-strength`."""
    colour: float
    hold_s: float
    """How long a chord holds at least."""


_PLACES = {
    0.0: Setting(0.75, 1.2, 0.0),
    0.25: Setting(0.58, 0.84, 1.5),
    0.5: Setting(0.55, 0.7, 2.2),
    0.75: Setting(0.52, 0.55, 3.2),
    1.0: Setting(0.5, 0.4, 5.0),
}
"""Between two of them in a straight line. The near end asks a little less of the chords than a blend without the dial:
more of them would cost it the groove's rhythm, and brings no more of the harmony clip's (LOG.md)."""


def setting(distance: float) -> Setting:
    """What the dial sets at a distance in [0, 1]. Raises BadInput for another."""
    if not 0.0 <= distance <= 1.0:
        raise BadInput(f"--distance must be from 0 (close to the harmony) to 1 (free of it), not {distance:g}")
    below = max(place for place in _PLACES if place <= distance)
    above = min(place for place in _PLACES if place >= distance)
    share = 0.0 if above == below else (distance - below) / (above - below)
    one, other = _PLACES[below], _PLACES[above]
    return Setting(*((1.0 - share) * a + share * b for a, b in zip(one, other, strict=True)))
