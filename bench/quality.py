"""How the Fréchet distance, the flux and the roll-off answer to blur, noise and a missing treble, with the clips of
bench/chords.py as real music: `python bench/quality.py SOUNDFONT [CLIPS]`. Needs tinysoundfont, the extra `judges`."""

import sys

import numpy as np
import torch
from chords import clip

from powermuse.audio.spectra import istft, stft
from powermuse.metrics import copying, quality
from powermuse.metrics.judges import embedding_musicnn

RATE_HZ = 24_000


def blurred(wav_N: np.ndarray, frames: int) -> np.ndarray:
    """Magnitudes averaged over so many frames of 10 ms, phases kept."""
    spectrum = stft(torch.from_numpy(wav_N)[None], 960, 240)
    kernel = torch.ones(1, 1, frames) / frames
    smooth = torch.nn.functional.conv1d(spectrum.abs().transpose(0, 1), kernel, padding=frames // 2).transpose(0, 1)
    return istft(torch.polar(smooth, spectrum.angle()), 960, 240)[0, : len(wav_N)].numpy()


def low_passed(wav_N: np.ndarray, hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(wav_N)
    return np.fft.irfft(spectrum * (np.fft.rfftfreq(len(wav_N), 1 / RATE_HZ) < hz), len(wav_N)).astype(np.float32)


def noisy(wav_N: np.ndarray, db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(wav_N)) * np.sqrt(np.mean(wav_N**2)) * 10 ** (db / 20)
    return (wav_N + noise).astype(np.float32)


def main(font: str, clips: str = "24") -> None:
    count = int(clips)
    real = [clip(font, 300 + k, k % 2 == 1)[0] for k in range(count)]
    fresh = [clip(font, 600 + k, k % 2 == 1)[0] for k in range(count)]
    damage = {"as they are": lambda x: x}
    damage |= {f"blur of {10 * n} ms": lambda x, n=n: blurred(x, n) for n in (3, 7, 15)}
    damage |= {f"noise at {db} dB": lambda x, db=db: noisy(x, db) for db in (-40, -30, -20)}
    damage |= {f"nothing above {hz} Hz": lambda x, hz=hz: low_passed(x, hz) for hz in (6000, 3000, 1500)}
    reference = [embedding_musicnn.read(x) for x in real]
    print(f"{count} clips, {sum(map(len, reference))} windows")
    for name, harm in damage.items():
        made = [harm(x) for x in fresh]
        found = quality.evaluate(reference, [embedding_musicnn.read(x) for x in made], rounds=50)
        magnitudes = [copying.magnitude(x) for x in made]
        flux = np.mean([quality.flux(m) for m in magnitudes])
        rolloff = np.mean([quality.rolloff_hz(m, RATE_HZ) for m in magnitudes])
        print(
            f"{name:22} {found.value:6.2f} [{found.low:.2f}, {found.high:.2f}]  flux {flux:.3f}  roll-off {rolloff:.0f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
