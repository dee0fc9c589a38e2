"""Chords as pitches: close positions in a register, each near the one before."""

import functools
import itertools

from powermuse.data.render.score import Chord

BASS_LOW = 28
"""E1, the lowest string of a bass; roots lie in the octave from here."""
_LOWEST_THIRD = 48
"""Below C3 an interval smaller than a fifth is mud."""


def bass_root(chord: Chord, low: int = BASS_LOW) -> int:
    """The chord's root in the octave from `low`, a bass's first."""
    return low + (chord.root - low) % 12


def tones(chord: Chord, low: int, high: int) -> tuple[int, ...]:
    """Every pitch of the chord from `low` to `high`, upwards."""
    return tuple(p for p in range(low, high + 1) if p % 12 in chord.pitch_classes)


def led(chords: tuple[Chord, ...], low: int, high: int, voices: int = 4) -> tuple[tuple[int, ...], ...]:
    """A voicing for each chord within a register, of which each moves as little as it can from the one before."""
    found: list[tuple[int, ...]] = []
    for chord in chords:
        before = found[-1] if found else None
        found.append(_nearest(chord.root, chord.quality, low, high, voices, before))
    return tuple(found)


@functools.lru_cache(maxsize=16_384)
def _nearest(
    root: int, quality: str, low: int, high: int, voices: int, before: tuple[int, ...] | None
) -> tuple[int, ...]:
    centre = (low + high) / 2
    chord = Chord(0.0, 0.0, root, quality)

    def cost(voicing: tuple[int, ...]) -> float:
        drift = abs(sum(voicing) / len(voicing) - centre)
        moved = sum(abs(a - b) for a, b in zip(voicing, before, strict=True)) if before else 0
        return moved + 0.5 * drift

    return min(_candidates(chord, low, high, voices), key=cost)


def _candidates(chord: Chord, low: int, high: int, voices: int) -> list[tuple[int, ...]]:
    """Voicings of neighbouring chord tones, complete where there are voices enough, and those with the second voice
    from the top an octave lower."""
    pitches = tones(chord, low, high)
    close = [pitches[i : i + voices] for i in range(len(pitches) - voices + 1)]
    dropped = [tuple(sorted((*v[:-2], v[-2] - 12, v[-1]))) for v in close if voices > 2 and v[-2] - 12 >= low]
    clear = [v for v in (*close, *dropped) if _clear(v)]
    return clear or close or [pitches]


def _clear(voicing: tuple[int, ...]) -> bool:
    """No mud below C3, and no minor second or ninth between neighbours."""
    pairs = list(itertools.pairwise(voicing))
    return all(high - low >= 7 or low >= _LOWEST_THIRD for low, high in pairs) and all(
        high - low not in (1, 13) for low, high in pairs
    )
