"""Anchors of the modulation cost: what unrelated clips, an equal mix and a copy cost, by the way envelopes are read.

python bench/modulation.py FOLDER            # a folder of music; pairs of 16 s from different files
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch

from powermuse import registry, stretches
from powermuse.audio import clips, files
from powermuse.losses import modulation

RATE_HZ, SECONDS, PAIRS, HOP = 24_000, 16.0, 60, 320
FRAMES = int(SECONDS * RATE_HZ / HOP)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    options = parser.parse_args()
    sounds = list(itertools.islice(windows(Path(options.folder)), 2 * PAIRS))
    mel = registry.build("codecs", "mel", {})
    costs: dict[str, dict[str, list[float]]] = {}
    for i in range(len(sounds) // 2):
        groove, harmony = sounds[2 * i], sounds[2 * i + 1]
        blends = {"unrelated": groove, "equal mix": 0.5 * (groove + harmony), "copy": harmony}
        for name, blend in blends.items():
            for way, c in correlations(mel, blend, harmony, i).items():
                costs.setdefault(way, {}).setdefault(name, []).append(float(c))
    print(f"| envelope | {' | '.join(f'{name}: |c|, exponential, quadratic' for name in blends)} |\n|---|---|---|---|")
    for way, by_blend in costs.items():
        print(f"| {way} | " + " | ".join(tell(torch.tensor(c)) for c in by_blend.values()) + " |")
    print(f"\n{len(sounds) // 2} pairs; mean, standard deviation of the exponential over pairs in brackets")


def windows(folder: Path) -> "itertools.chain[torch.Tensor]":
    """16 s from the middle of each file, at -20 dBFS, [1, 1, N], in an order that puts other files side by side."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".ogg", ".wav", ".flac", ".mp3"))
    order = np.random.default_rng(0).permutation(len(paths))
    return itertools.chain.from_iterable(window(paths[i]) for i in order)


def window(path: Path) -> list[torch.Tensor]:
    wav_N = files.read(path, RATE_HZ)[0]
    samples = int(SECONDS * RATE_HZ)
    start = (len(wav_N) - samples) // 2
    if start < 0 or clips.level_db(wav_N[start : start + samples]) < -50.0:
        return []
    return [torch.from_numpy(clips.normalise_level(wav_N[start : start + samples])[0])[None, None]]


def correlations(mel: torch.nn.Module, blend: torch.Tensor, source: torch.Tensor, pair: int) -> dict[str, torch.Tensor]:
    where = stretches.choose(f"{pair}", FRAMES, 15, 5, 3)

    def cut(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., s * HOP : (s + where.frames) * HOP] for s in where.starts])

    eight = 8 * RATE_HZ
    latents = [mel.encode(x) for x in (blend, source)]
    return {
        "sound, 16 s": modulation.sound_correlation(blend, source, RATE_HZ),
        "sound, 8 s": modulation.sound_correlation(blend[..., :eight], source[..., :eight], RATE_HZ),
        "sound, 5 stretches of 0.2 s": modulation.sound_correlation(cut(blend), cut(source), RATE_HZ, 5),
        "mel latents, 16 s": modulation.latent_correlation(*latents),
        "mel latents, 8 s": modulation.latent_correlation(*(z[..., :600] for z in latents)),
    }


def tell(c: torch.Tensor) -> str:
    exponential = -torch.log1p(-0.999 * c.abs())
    return f"{c.abs().mean():.2f}, {exponential.mean():.2f} ({exponential.std():.2f}), {c.square().mean():.3f}"


if __name__ == "__main__":
    main()
