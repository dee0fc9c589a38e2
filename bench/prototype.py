"""The step that `bench/step.py` is held against: the first prototype's *masking* step, rebuilt from its description.

python bench/prototype.py             # CPU time and memory of a step, batch 1, 16 s, one thread
python bench/prototype.py --beside 5  # five pairs in turn with ours, each a process of its own: the ratios

As there: the codec encodes both clips in the loader and again in the step, the 16 s blend is decoded for the losses,
attention keeps its dropout, the mask network runs twice, and two dozen statistics are read one by one.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from powermuse import registry
from powermuse.losses import adversarial, masks, modulation, novelty
from powermuse.model.discriminator import Discriminator
from powermuse.model.layers import sinusoids

RATE_HZ, SAMPLES, LATENT_DIM = 24_000, 384_000, 128
STEPS, WARM_UP, READ_ONE_BY_ONE = 5, 1, 25


class Stage(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 8, 4 * width, dropout=0.1, activation="gelu", batch_first=True)
        self.body = nn.Sequential(nn.Dropout(0.1), nn.LayerNorm(width), nn.TransformerEncoder(layer, 6))
        self.out = nn.Sequential(nn.LayerNorm(width), spectral_norm(nn.Linear(width, LATENT_DIM)))

    def forward(self, x_BWT: Tensor) -> Tensor:
        x_BTW = x_BWT.transpose(1, 2)
        return self.out(self.body(x_BTW + sinusoids(*x_BTW.shape[1:]))).transpose(1, 2)


class Masks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Conv1d(128, 256, 3, padding=1), nn.ReLU(), nn.Conv1d(256, 256, 3, padding=1), nn.ReLU())
            for _ in range(2)
        )
        self.look = nn.MultiheadAttention(256, 4, dropout=0.1, batch_first=True)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Conv1d(256, 128, 3, padding=1), nn.ReLU(), nn.Conv1d(128, 128, 1), nn.Sigmoid())
            for _ in range(2)
        )

    def forward(self, groove_BDT: Tensor, harmony_BDT: Tensor) -> list[Tensor]:
        a, b = (e(z).transpose(1, 2) for e, z in zip(self.encoders, (groove_BDT, harmony_BDT), strict=True))
        seen = a + self.look(a, b, b)[0], b + self.look(b, a, a)[0]
        return [head(x.transpose(1, 2)) for head, x in zip(self.heads, seen, strict=True)]


class Prototype:
    def __init__(self) -> None:
        torch.manual_seed(0)
        config, codec = registry.find("codecs", "encodec")
        self.codec = codec(config(source="random"))
        self.masks, self.stages, self.judge = Masks(), nn.ModuleList([Stage(256), Stage(384)]), Discriminator(128)
        weights = [*self.masks.parameters(), *self.stages.parameters()]
        self.optimizer = torch.optim.AdamW(weights, 1e-4)
        self.judge_optimizer = torch.optim.AdamW(self.judge.parameters(), 5e-5, betas=(0.5, 0.999))
        self.sounds = 0.1 * torch.randn(2, 1, 1, SAMPLES)
        self.weights = weights

    def step(self) -> None:
        with torch.no_grad():
            for _ in ("in the loader", "in the step"):
                groove, harmony = (self.codec.encode(wav) for wav in self.sounds)
        masked = [_at_rms(z * mask, z) for z, mask in zip((groove, harmony), self.masks(groove, harmony), strict=True)]
        blend = self._cascade(*masked)
        used = self.masks(groove, harmony)  # the second forward, for the penalties and statistics
        wav = self.codec.decode(blend)
        loss = self._loss(wav, used) + 0.1 * adversarial.passes_for_real(self.judge(blend))
        for value in [loss, *(m.mean() for m in used), *(blend[:, i].std() for i in range(READ_ONE_BY_ONE - 3))]:
            value.item()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 10.0)
        self.optimizer.step()
        self.judge_optimizer.zero_grad()
        adversarial.told_apart(self.judge(harmony), self.judge(blend.detach())).backward()
        self.judge_optimizer.step()

    def _cascade(self, groove: Tensor, harmony: Tensor) -> Tensor:
        first = _at_rms(self.stages[0](torch.cat([_noisy(groove), harmony], 1)) + 0.5 * (groove + harmony), groove)
        inputs = torch.cat([_noisy(groove), first, _noisy(harmony)], 1)
        return _at_rms(self.stages[1](inputs) + (groove + first + harmony) / 3.0, groove)

    def _loss(self, wav: Tensor, used: list[Tensor]) -> Tensor:
        near = sum(F.mse_loss(wav, sound).sqrt() for sound in self.sounds)
        envelopes = sum(modulation.quadratic(modulation.sound_correlation(wav, s, RATE_HZ, 1)) for s in self.sounds)
        kept = 10.0 * masks.overlap(*used) + 0.5 * masks.coverage(*used) + 5.0 * masks.temporal_diversity(*used)
        outliers = novelty.spectral_outliers(wav, RATE_HZ)
        return 0.3 * near + 0.5 * envelopes + 0.1 * kept + 15.0 * masks.balance(*used) + 0.01 * outliers


def _noisy(z_BDT: Tensor) -> Tensor:
    return z_BDT + 0.1 * z_BDT.std() * torch.randn_like(z_BDT)


def _at_rms(z_BDT: Tensor, like_BDT: Tensor) -> Tensor:
    return z_BDT * (like_BDT.square().mean() / z_BDT.square().mean().clamp_min(1e-8)).sqrt()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--beside", type=int, metavar="PAIRS", help="in turn with bench/step.py")
    pairs = parser.parse_args().beside
    if pairs:
        compare(pairs)
        return
    prototype = Prototype()
    times = []
    for _ in range(WARM_UP + STEPS):
        begun = time.process_time()
        prototype.step()
        times.append(time.process_time() - begun)
    counted = times[WARM_UP:]
    spread = f"min {min(counted):.2f}, max {max(counted):.2f}, n {STEPS}"
    print(f"CPU time of a step: median {statistics.median(counted):.2f} s ({spread})")
    print(f"peak resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def compare(pairs: int) -> None:
    ratios: list[list[float]] = []
    for _ in range(pairs):
        theirs, ours = (measured(name) for name in ("prototype.py", "step.py"))
        ratios.append([theirs[0] / ours[0], theirs[1] / ours[1]])
        print(f"prototype {theirs[0]:.2f} s, {theirs[1]:.2f} GB; ours {ours[0]:.2f} s, {ours[1]:.2f} GB", flush=True)
    for what, column in zip(("time", "memory"), zip(*ratios, strict=True), strict=True):
        print(f"{what}: {statistics.median(column):.2f} times less ({min(column):.2f} to {max(column):.2f}, n {pairs})")


def measured(name: str) -> tuple[float, float]:
    """CPU seconds and gigabytes that one of the two scripts prints."""
    said = subprocess.run(
        [sys.executable, Path(__file__).with_name(name)], capture_output=True, text=True, check=True
    ).stdout
    numbers = [re.search(pattern, said) for pattern in (r"median ([\d.]+) s", r"memory: ([\d.]+) GB")]
    assert all(numbers), said
    return float(numbers[0][1]), float(numbers[1][1])  # type: ignore[index]


if __name__ == "__main__":
    main()
