"""How well our onset detector and librosa's find the notes of rendered clips: `python bench/onsets.py SOUNDFONT`.
Needs tinysoundfont and the extra `eval`."""

import sys

import librosa
import numpy as np
import score as triplets
from chords import PROGRAMS, notes_of, progression, render

from powermuse.metrics import events, score

RATE_HZ = 24_000


def clips(font: str, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Drums, and a band with drums in every second seed: the sound and the times of its notes."""
    random = np.random.default_rng(seed)
    beat_s = 60 / float(random.integers(85, 140))
    pattern = random.random((3, 32)) < np.array([0.25, 0.2, 0.4])[:, None]
    drums = triplets.drums(pattern, beat_s)
    band = notes_of(progression(random, beat_s), beat_s, random, seed % 2 == 0)
    return {
        "drums": (render(font, drums, 0), np.unique([note[0] for note in drums])),
        "band": (render(font, band, PROGRAMS[seed]), np.unique(np.round([note[0] for note in band], 3))),
    }


def main(font: str) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    early = []
    for seed in range(10):
        for kind, (wav_N, known_s) in clips(font, seed).items():
            ours = score.hear(wav_N).onsets_s
            theirs = librosa.onset.onset_detect(y=wav_N, sr=RATE_HZ, units="time", hop_length=320)
            found.setdefault(kind, []).append(tuple(events.f_measure(known_s, x) for x in (ours, theirs)))
            nearest = known_s[np.abs(ours[:, None] - known_s).argmin(axis=1)]
            early += [gap for gap in ours - nearest if abs(gap) <= events.ONSET_TOLERANCE_S]
    for kind, scores in found.items():
        print(
            kind, *(f"{name} {value:.3f}" for name, value in zip(("ours", "librosa"), np.mean(scores, 0), strict=True))
        )
    print(f"ours after the note by {1e3 * np.mean(early):.1f} ms, deviation {1e3 * np.std(early):.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
