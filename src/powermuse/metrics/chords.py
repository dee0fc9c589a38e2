"""Which chords a clip has, and how far they are the right ones.

The reader: note strengths (`pitches`) folded to bass and treble chroma, compared with the pitch classes of seven kinds
of chord on twelve roots and with no chord, decoded by Viterbi (Sheh & Ellis, ISMIR 2003; bass and treble after Mauch &
Dixon, IEEE TASLP 2010) at 9.4 frames a second. Labels are Harte's (C:maj, F#:min7, N).
Accuracy: the share of time at which the estimated chord agrees, in [0, 1], by the rules of mir_eval.chord: `triads`
(root and triad, so that sevenths fold into their triad), `majmin` (only where the reference is major, minor or N) and
`root`. None where no reference chord can be judged. Additions in brackets and basses (C:maj(9)/3) are not looked at.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from powermuse.audio import pitches
from powermuse.audio.features import SAMPLE_RATE_HZ

PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_TRIADS = {
    (0, 4, 7): ("", "maj", "7", "maj7", "maj6", "9", "maj9", "11", "13", "maj13"),
    (0, 3, 7): ("min", "min7", "minmaj7", "min6", "min9", "min11", "min13"),
    (0, 3, 6): ("dim", "dim7", "hdim7"),
    (0, 5, 7): ("sus4",),
    (0, 2, 7): ("sus2",),
    (0,): ("1",),
    (0, 7): ("5",),
    (0, 4): ("aug",),  # its fifth lies above the eight semitones that mir_eval compares
}
_TRIAD_OF = {name: triad for triad, names in _TRIADS.items() for name in names}
_LABEL = re.compile(r"([A-G])([b#]*)(?::([a-z0-9]*))?(\([^)]*\))?(/[b#]*\d+)?")

QUALITIES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6),
    "sus4": (0, 5, 7),
}
"""Pitch classes above the root of each chord quality, under the names of Harte et al. (ISMIR 2005)."""
_PRIOR = {"maj": 0.0, "min": 0.015, "7": -0.05, "maj7": -0.05, "min7": -0.02, "dim": -0.25, "sus4": -0.25}
_FRAMES_TOGETHER = 2
_SHARPNESS = 8.0
_BASS_WEIGHT = 0.5
_CHANGE_COST = 5.0
_NO_CHORD = 0.9
_FIFTH_PARTIAL = 0.12
COMPRESSION = 0.6


class Chords(NamedTuple):
    """Intervals [n, 2] in seconds, without gaps, and their labels."""

    intervals_s: np.ndarray
    labels: tuple[str, ...]


class Accuracy(NamedTuple):
    """Shares of time that agree, in [0, 1]; None where no reference chord can be judged."""

    triads: float | None
    majmin: float | None
    root: float | None


class _Meaning(NamedTuple):
    root: int
    triad: tuple[int, ...]


_NONE, _UNKNOWN = _Meaning(-1, ()), _Meaning(-1, (-1,))


def validate(chords: Chords) -> None:
    """Raises ValueError unless the intervals [n, 2] are in order, do not overlap, and have a label each."""
    at = chords.intervals_s
    if at.ndim != 2 or at.shape[1:] != (2,) or len(at) != len(chords.labels) or not len(at):
        raise ValueError(f"intervals [n, 2] and n labels are wanted, not {at.shape} and {len(chords.labels)}")
    if not np.isfinite(at).all() or (at[:, 1] <= at[:, 0]).any() or (at[1:, 0] < at[:-1, 1] - 1e-6).any():
        raise ValueError("the intervals must be finite, in order, of positive length and free of overlap")


def read(wav_N: np.ndarray) -> Chords:
    """The chords of a mono clip at 24 kHz, to about 0.1 s; silence and noise are N."""
    return decode(pitches.strengths(wav_N), len(wav_N) / SAMPLE_RATE_HZ)


def decode(strength_QT: np.ndarray, duration_s: float) -> Chords:
    """The chords of note strengths (`pitches.strengths`)."""
    states_T = _viterbi(_likelihoods(strength_QT))
    return from_states(states_T, _FRAMES_TOGETHER / pitches.FRAME_RATE_HZ, duration_s)


def from_states(states_T: np.ndarray, frame_s: float, duration_s: float) -> Chords:
    """The chords that numbers of states tell, [T]: seven qualities on twelve roots, then no chord; the last holds until
    `duration_s`."""
    starts = np.flatnonzero(np.r_[True, states_T[1:] != states_T[:-1]])
    edges_s = np.r_[starts * frame_s, duration_s]
    return Chords(np.stack([edges_s[:-1], edges_s[1:]], axis=1), tuple(_states()[s] for s in states_T[starts]))


def evaluate(reference: Chords, estimated: Chords) -> Accuracy:
    """Weighted overlap over the reference's time; where nothing is estimated, N is taken."""
    validate(reference)
    validate(estimated)
    edges = np.unique(np.r_[reference.intervals_s.ravel(), estimated.intervals_s.ravel()])
    edges = edges[(edges >= reference.intervals_s[0, 0]) & (edges <= reference.intervals_s[-1, 1])]
    middle, length = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    pairs = list(zip(_at(reference, middle), _at(estimated, middle), strict=True))
    return Accuracy(
        _share([_triad_agrees(r, e) for r, e in pairs], length),
        _share([_triad_agrees(r, e) if _is_majmin(r) else None for r, e in pairs], length),
        _share([None if r == _UNKNOWN else r.root == e.root for r, e in pairs], length),
    )


def sounding(read: Chords) -> Chords:
    """A reading as a reference: where no chord was read, nothing is known (X). That neither of two clips has a chord is
    no agreement in harmony; where no chord is known for certain, as in a score, N stands."""
    return read._replace(labels=tuple("X" if label == "N" else label for label in read.labels))


def relative(accuracy: float | None, of_the_stem: float | None) -> float | None:
    """Accuracy over what the same reader has on the chord stem alone: what is lost by the blend and not by the reader.
    None where the reader fails on the stem itself (below .2)."""
    return None if accuracy is None or of_the_stem is None or of_the_stem < 0.2 else accuracy / of_the_stem


def _triad_agrees(reference: _Meaning, estimated: _Meaning) -> bool | None:
    return None if reference == _UNKNOWN else reference == estimated


def _is_majmin(reference: _Meaning) -> bool:
    return reference == _NONE or (reference.root >= 0 and reference.triad in ((0, 4, 7), (0, 3, 7)))


def _share(agrees: list[bool | None], length: np.ndarray) -> float | None:
    judged = np.array([a is not None for a in agrees])
    total = float(length[judged].sum()) if len(judged) else 0.0
    return float(length[np.array([bool(a) for a in agrees])].sum()) / total if total > 0 else None


def _at(chords: Chords, times_s: np.ndarray) -> list[_Meaning]:
    """What sounds at each moment; N in gaps and outside."""
    meanings = [meaning(label) for label in chords.labels]
    index = np.searchsorted(chords.intervals_s[:, 0], times_s, side="right") - 1
    inside = (index >= 0) & (times_s < chords.intervals_s[np.maximum(index, 0), 1])
    return [meanings[i] if ok else _NONE for i, ok in zip(index, inside, strict=True)]


@lru_cache(maxsize=1024)
def meaning(label: str) -> _Meaning:
    """Root (0 is C, -1 for N and X) and triad of a label. Raises ValueError for what is not a chord."""
    if label in ("N", "X"):
        return _NONE if label == "N" else _UNKNOWN
    found = _LABEL.fullmatch(label)
    if found is None or (found[3] or "") not in _TRIAD_OF:
        raise ValueError(f"{label!r} is not a chord label: C:maj, F#:min7, Bb:sus4, N and the like are wanted")
    root = (_NATURALS[found[1]] + found[2].count("#") - found[2].count("b")) % 12
    return _Meaning(root, _TRIAD_OF[found[3] or ""])


@lru_cache(maxsize=1)
def _states() -> tuple[str, ...]:
    return (*(f"{PITCH_NAMES[root]}:{shape}" for shape in QUALITIES for root in range(12)), "N")


def _priors() -> np.ndarray:
    """What each of the 84 chords has beforehand, [84]: rarer kinds less."""
    return np.repeat([_PRIOR[shape] for shape in QUALITIES], 12)


@lru_cache(maxsize=1)
def templates() -> tuple[np.ndarray, np.ndarray]:
    """Unit templates [84, 12] of treble and bass; the bass plays the root, at times another note of the chord."""
    treble, bass = [], []
    for shape in QUALITIES.values():
        for root in range(12):
            notes = np.isin(np.arange(12), [(root + step) % 12 for step in shape]).astype(float)
            treble.append(notes / np.linalg.norm(notes))
            low = 0.25 * notes + (np.arange(12) == root)
            bass.append(low / np.linalg.norm(low))
    return np.array(treble), np.array(bass)


def _likelihoods(strength_QT: np.ndarray) -> np.ndarray:
    """Log likelihood [85, T] of each state, up to a constant: cosines with the templates."""
    frames = strength_QT.shape[1] // _FRAMES_TOGETHER * _FRAMES_TOGETHER
    calm_QT = strength_QT[:, :frames].reshape(len(strength_QT), -1, _FRAMES_TOGETHER).mean(axis=-1)
    bass_PT, treble_PT = pitches.chromas(calm_QT)
    # The fifth partial of a bass note is a major third above it: minor chords would read as major.
    both_PT = np.maximum(treble_PT - _FIFTH_PARTIAL * np.roll(bass_PT, 4, axis=0), 0.0) + 0.5 * bass_PT
    treble, bass = templates()
    chord_ST = treble @ _unit(both_PT) + _BASS_WEIGHT * (bass @ _unit(bass_PT))
    chord_ST += _priors()[:, None]
    none_T = np.full((1, chord_ST.shape[1]), _NO_CHORD)
    return _SHARPNESS * np.concatenate([chord_ST, none_T])


def _unit(x_PT: np.ndarray) -> np.ndarray:
    """Frames of length 1, compressed so that one loud note does not speak for its chord."""
    compressed_PT = x_PT**COMPRESSION
    return compressed_PT / np.maximum(np.linalg.norm(compressed_PT, axis=0), 1e-9)


def _viterbi(likely_ST: np.ndarray) -> np.ndarray:
    """The best path where every change costs the same."""
    score, back = likely_ST[:, 0].copy(), []
    for now_S in likely_ST.T[1:]:
        best = int(score.argmax())
        change = score[best] - _CHANGE_COST > score
        back.append(np.where(change, best, np.arange(len(score))))
        score = np.where(change, score[best] - _CHANGE_COST, score) + now_S
    path = [int(score.argmax())]
    for came_from in reversed(back):
        path.append(int(came_from[path[-1]]))
    return np.array(path[::-1])
