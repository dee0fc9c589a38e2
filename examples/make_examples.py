"""Makes the two example clips: a drum loop from CC0 hits and a chord progression from an MIT-licensed soundfont.

    python examples/make_examples.py SONIC_PI_SAMPLES FluidR3Mono_GM.sf3

The first is the `samples` folder of Debian's sonic-pi-samples, the second the file of Debian's
fluidr3mono-gm-soundfont. Needs `pip install --no-deps tinysoundfont`. Patterns and chords are our own.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile
import tinysoundfont

RATE_HZ = 44_100
BPM = 120
BARS = 8
BEAT_S = 60 / BPM
STEP_S = BEAT_S / 4
HERE = Path(__file__).parent

# Sixteenths of two bars: the upper line of each pair is the first bar.
DRUMS = {
    "bd_haus.flac": ("x.....x...x.....", "x.....x..xx....x", 0.9),
    "drum_snare_hard.flac": ("....x.......x...", "....x..x.....x..", 0.6),
    "drum_cymbal_closed.flac": ("x.xxx.x.x.xxx.xx", "x.xxx.xxx.x.x.xx", 0.35),
    "drum_cymbal_open.flac": ("......x.........", "..............x.", 0.15),
    "perc_snap.flac": ("...x......x.....", "...x.........x..", 0.3),
}
# Two bars each: bass note and chord.
CHORDS = ((45, (57, 60, 64, 67)), (41, (57, 60, 64, 65)), (48, (55, 60, 64, 71)), (43, (55, 59, 62, 69)))
ELECTRIC_PIANO, STRINGS, BASS = 4, 48, 33


def main(samples: str, soundfont: str) -> None:
    write("groove.ogg", drums(Path(samples)))
    write("harmony.ogg", chords(soundfont))


def drums(samples: Path) -> np.ndarray:
    out = np.zeros(round(BARS * 4 * BEAT_S * RATE_HZ))
    random = np.random.default_rng(1)
    for name, (first, second, gain) in DRUMS.items():
        hit = soundfile.read(samples / name, always_2d=True)[0].mean(axis=1)
        for bar in range(BARS):
            for step, mark in enumerate((first, second)[bar % 2]):
                if mark == "x":
                    start = round((bar * 16 + step) * STEP_S * RATE_HZ)
                    part = hit[: len(out) - start]
                    out[start : start + len(part)] += gain * random.uniform(0.8, 1.0) * part
    return out


def chords(soundfont: str) -> np.ndarray:
    synth = tinysoundfont.Synth(samplerate=RATE_HZ, gain=-6)
    font = synth.sfload(soundfont)
    for channel, program in enumerate((ELECTRIC_PIANO, STRINGS, BASS)):
        synth.program_select(channel, font, 0, program)
    parts = []
    for bass, notes in CHORDS:
        synth.noteon(2, bass, 80)
        for note in notes:
            synth.noteon(0, note, 85)
            synth.noteon(1, note, 55)
        parts.append(play(synth, 4 * BEAT_S))
        synth.notes_off(0)
        for note in notes:  # the piano speaks again in the second bar, an octave up
            synth.noteon(0, note + 12, 60)
        parts.append(play(synth, 4 * BEAT_S - 0.05))
        for channel in range(3):
            synth.notes_off(channel)
        parts.append(play(synth, 0.05))
    return np.concatenate(parts)


def play(synth: tinysoundfont.Synth, seconds: float) -> np.ndarray:
    stereo = np.frombuffer(synth.generate(round(seconds * RATE_HZ)), dtype=np.float32).reshape(-1, 2)
    return stereo.mean(axis=1)


def write(name: str, wav: np.ndarray) -> None:
    wav = wav * (0.1 / np.sqrt(np.mean(wav**2)))
    peak = np.abs(wav).max()
    wav = wav * min(1.0, 0.9 / peak)
    soundfile.write(HERE / name, wav, RATE_HZ, format="OGG", subtype="VORBIS")
    print(f"{name}: {len(wav) / RATE_HZ:.3f} s, peak {np.abs(wav).max():.2f}, rms {np.sqrt(np.mean(wav**2)):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
