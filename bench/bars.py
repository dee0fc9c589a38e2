"""Trains the net of `powermuse.audio.barnet`, which hears where bars begin, on rendered triplets whose beats are known:

    python bench/bars.py TRIPLETS ... [--steps 6000] [--seed 0] [--out FILE]     # some 10 min on one core

What it writes becomes the package's where it is copied to `src/powermuse/audio/assets`; how often it is right then,
`bench/align.py test` tells."""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from align import is_known
from torch import Tensor

from powermuse import disk
from powermuse.audio import barnet, features
from powermuse.audio.barnet import BARS, Beats
from powermuse.audio.clock import FRAME_RATE_HZ
from powermuse.data.triplets import Triplets

_BATCH, _WARMUP, _DROPOUT, _DECAY = 32, 100, 0.1, 0.02
_FRAMES = 1200
_ROLES = {"groove": 0.5, "harmony": 0.35, "truth.0": 0.15}
"""Clips of a triplet, and how often each is shown."""
_METRES = {4: 0.66, 3: 0.18, 2: 0.16}
"""Beats of a bar, and how often each is shown."""
_COUNTED = {4: (2.0, 0.5), 3: (2.0, 2 / 3, 1 / 3, 4 / 3), 2: (2.0, 1.5, 3.0, 0.5)}
"""How a tempo may be counted that is not the one that is told, by beats of a bar."""
_COUNTED_OTHERWISE, _COUNTABLE_BPM = 0.2, (38.0, 245.0)
_AWAY = (0.5, 0.5, 0.5, 1 / 3, 2 / 3, 0.25, 0.75)
"""Of a beat, how far a grid may be that is wrong in its phase; and how fast one that is wrong in its tempo."""
_WRONG_TEMPI = (1.5, 2 / 3, 4 / 3, 0.75)
_UNSTEADY_FRAMES, _UNSTEADY_TEMPO = 1.2, 0.001
_LOUDER, _ANOTHER_BAND, _SILENT_BANDS = 0.4, 0.2, 0.15
"""Spread of the logarithm of each band's gain; how often all lie a band higher or lower, how often some are silent."""
_MIXED = 0.4
"""How often another clip plays along, its bars with those of the first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("triplets", nargs="+")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="barnet.safetensors", help="where the weights go")
    told = parser.parse_args()
    folders = [Triplets(folder, "train") for folder in told.triplets]
    train(Known.of(folders), told.steps, told.rate, told.seed, Path(told.out))


class Known(NamedTuple):
    """Clips whose beats are known, each from a downbeat on: onsets and chroma in half precision, beats a minute, beats
    of a bar, and the number of the role."""

    onsets_CKT: np.ndarray
    chroma_CPT: np.ndarray
    tempo_C: np.ndarray
    beats_C: np.ndarray
    role_C: np.ndarray

    @classmethod
    def of(cls, folders: list[Triplets]) -> "Known":
        """All that are shown, read once, into room that is made before: some 2 GB for 8,000 triplets."""
        found = [
            (folder, index, role)
            for folder in folders
            for index in folder.numbers
            if is_known(folder, index)
            for role in range(len(_ROLES))
        ]
        bands, tones = features.ONSET_BANDS, features.CHROMA_ROWS
        onsets_CKT = np.empty((len(found), bands, _FRAMES), np.float16)
        chroma_CPT = np.empty((len(found), tones, _FRAMES), np.float16)
        tempo_C, beats_C = np.empty(len(found)), np.empty(len(found), np.int64)
        for place, (folder, index, role) in enumerate(found):
            name = list(_ROLES)[role]
            clip, score = folder.clip(index, name), folder.score(index, name)
            onsets_CKT[place], chroma_CPT[place] = clip.onsets_BKT[0].numpy(), clip.chroma_BPT[0].numpy()
            downs = [i for i, beat in enumerate(score.beats) if beat.is_downbeat]
            tempo_C[place], beats_C[place] = score.tempo_bpm, downs[1] - downs[0]
        return cls(onsets_CKT, chroma_CPT, tempo_C, beats_C, np.array([role for *_, role in found]))

    @property
    def often_C(self) -> np.ndarray:
        """How often each is shown: roles and metres as often as they are to be."""
        of_role_C, often_C = np.array(list(_ROLES.values()))[self.role_C], np.zeros(len(self.role_C))
        for beats, share in _METRES.items():
            such_C = self.beats_C == beats
            if such_C.any():
                often_C[such_C] = share * of_role_C[such_C] / of_role_C[such_C].sum()
        found: np.ndarray = often_C / often_C.sum()
        return found


class Example(NamedTuple):
    """Rows of a grid, which of `BARS` are right, rows of a wrong one, and whether the right one is to fit better."""

    rows_NR: np.ndarray
    right_H: np.ndarray
    wrong_NR: np.ndarray
    fits: bool


class Maker:
    """Examples without end: stretches of clips, counted in several ways, other clips playing along."""

    def __init__(self, known: Known, seed: int) -> None:
        self.known, self.chance = known, np.random.default_rng(seed)
        self.often_C = known.often_C
        self.alike = {
            (beats, role): np.flatnonzero((known.beats_C == beats) & (known.role_C == role))
            for beats in _METRES
            for role in range(len(_ROLES))
        }

    def batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows [2 B, N, ROWS], those of the wrong grids last; 1 where there is a beat; what is right [B, 7]; 1 where
        the right grid is to fit better."""
        chosen = self.chance.choice(len(self.often_C), _BATCH, p=self.often_C)
        examples = [self.example(int(clip)) for clip in chosen]
        rows = [each.rows_NR for each in examples] + [each.wrong_NR for each in examples]
        told = np.zeros((len(rows), max(map(len, rows)), barnet.ROWS), np.float32)
        there = np.zeros(told.shape[:2], np.float32)
        for place, row_NR in enumerate(rows):
            told[place, : len(row_NR)], there[place, : len(row_NR)] = row_NR, 1.0
        right = np.stack([each.right_H for each in examples])
        return *map(torch.from_numpy, (told, there, right)), torch.tensor([float(each.fits) for each in examples])

    def example(self, clip: int) -> Example:
        """A stretch of a clip."""
        known, chance = self.known, self.chance
        tempo_bpm, bar = float(known.tempo_C[clip]), int(known.beats_C[clip])
        counted = self._counted(tempo_bpm, bar)
        period, bar = 60.0 * FRAME_RATE_HZ / (tempo_bpm * counted), round(bar * counted)
        frames = int(np.exp(chance.uniform(np.log(barnet.LEAST_FRAMES), np.log(_FRAMES + 1))))
        begin = int(chance.integers(_FRAMES - frames + 1))
        onsets_KT = self._shaken(known.onsets_CKT[clip, :, begin : begin + frames])
        chroma_PT = known.chroma_CPT[clip, :, begin : begin + frames].astype(np.float32)
        before = int(np.ceil(begin / period - 0.2))
        beats = Beats(before * period - begin, period)
        count, down = max(2, beats.count(frames)), -before % bar
        heard = Beats(
            beats.first + chance.uniform(-_UNSTEADY_FRAMES, _UNSTEADY_FRAMES), period * self._near(_UNSTEADY_TEMPO)
        )
        strokes, chords = barnet.strokes(onsets_KT, heard, count), barnet.chords(chroma_PT, heard, count)
        if counted == 1.0 and chance.random() < _MIXED:
            strokes, chords = self._along(strokes, chords, clip, down)
        wrong = self._wrong(beats)
        wrong_count = max(2, wrong.count(frames))
        wrong_NR = barnet.rows(
            barnet.strokes(onsets_KT, wrong, wrong_count), barnet.chords(chroma_PT, wrong, wrong_count)
        )
        return Example(barnet.rows(strokes, chords), right(down, bar), wrong_NR, counted in (0.5, 1.0, 2.0))

    def _counted(self, tempo_bpm: float, bar: int) -> float:
        counted = float(self.chance.choice(_COUNTED[bar])) if self.chance.random() < _COUNTED_OTHERWISE else 1.0
        return counted if _COUNTABLE_BPM[0] < tempo_bpm * counted < _COUNTABLE_BPM[1] else 1.0

    def _near(self, spread: float) -> float:
        return 1.0 + float(self.chance.uniform(-spread, spread))

    def _shaken(self, onsets_KT: np.ndarray) -> np.ndarray:
        """As other drums would sound."""
        bands, chance = len(onsets_KT), self.chance
        shaken_KT = onsets_KT.astype(np.float32) * np.exp(chance.normal(0.0, _LOUDER, (bands, 1)))
        if chance.random() < _ANOTHER_BAND:
            shaken_KT = shaken_KT[np.clip(np.arange(bands) + chance.choice([-1, 1]), 0, bands - 1)]
        if chance.random() < _SILENT_BANDS:
            shaken_KT = shaken_KT * (chance.random((bands, 1)) > 0.2)
        return shaken_KT.astype(np.float32)

    def _along(self, strokes: np.ndarray, chords: np.ndarray, clip: int, down: int) -> tuple[np.ndarray, np.ndarray]:
        """With another clip of the metre, whose first beats lie on the same beats; a groove is played with another
        groove or a harmony, all else with a groove."""
        known, chance, count = self.known, self.chance, len(strokes)
        bar = int(known.beats_C[clip])
        role = int(chance.choice([0, 0, 1])) if known.role_C[clip] == 0 else 0
        if not len(self.alike[bar, role]):
            return strokes, chords
        other = int(chance.choice(self.alike[bar, role]))
        period = 60.0 * FRAME_RATE_HZ / float(known.tempo_C[other])
        most = int(_FRAMES / period) - count - bar - 1
        if most <= 0:
            return strokes, chords
        first = int(chance.integers(most + 1))
        first += (-down - first) % bar
        beats = Beats(first * period, period)
        along = barnet.strokes(self._shaken(known.onsets_CKT[other]), beats, count)
        loud = float(np.exp(chance.normal(0.0, 0.5))) * strokes.mean() / max(float(along.mean()), 1e-6)
        if role == 1:
            tones = barnet.chords(known.chroma_CPT[other].astype(np.float32), beats, count)
            chords = tones if chance.random() < 0.7 else chords + tones
        return strokes + loud * along, chords

    def _wrong(self, beats: Beats) -> Beats:
        """Beats beside the beats, or at a wrong tempo, of the clip as it is: nobody plays along."""
        chance = self.chance
        if chance.random() < 0.5:
            return beats._replace(first=(beats.first + beats.period * float(chance.choice(_AWAY))) % beats.period)
        period = beats.period * float(chance.choice(_WRONG_TEMPI))
        first = (beats.first + beats.period * int(chance.integers(4))) % period
        return Beats(first, period * self._near(_UNSTEADY_TEMPO))


def right(down: int, bar: int) -> np.ndarray:
    """Which of `BARS` have their first beat on a first beat, where beat `down` is one and a bar has `bar` beats."""

    def is_right(beats: int, first: int) -> bool:
        if beats % bar == 0:
            return (first - down) % bar == 0
        return bar % beats == 0 and (first - down) % beats == 0

    return np.array([is_right(*hypothesis) for hypothesis in BARS])


def train(known: Known, steps: int, rate: float, seed: int, out: Path) -> None:
    """Bars by the cross-entropy of all that are right, grids by pairs, the right one to fit better than a wrong one."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    net, make = barnet.BarNet(_DROPOUT), Maker(known, seed)
    print(f"{sum(p.numel() for p in net.parameters())} weights, {len(known.tempo_C)} clips", flush=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=_DECAY)
    begun, sums = time.perf_counter(), np.zeros(4)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / _WARMUP) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        told, there, right_BH, fits_B = make.batch()
        heads = net(told, there)
        bars_BH = heads.bars_BH[:_BATCH].log_softmax(dim=-1)
        bars = -torch.logsumexp(bars_BH.masked_fill(~right_BH, -1e9), dim=1).mean()
        apart_B = heads.fits_B[:_BATCH] - heads.fits_B[_BATCH:]
        grids = (F.softplus(-apart_B) * fits_B).sum() / fits_B.sum()
        optimizer.zero_grad()
        (bars + grids).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        found = right_BH.gather(1, bars_BH.argmax(dim=1, keepdim=True)).float().mean()
        surely = ((apart_B > 0.0) * fits_B).sum() / fits_B.sum()
        sums += [float(x.detach()) for x in (bars, grids, found, surely)]
        if step % 250 == 249:
            told_of = (sums / 250).round(3)
            print(f"{step + 1} {time.perf_counter() - begun:.0f} s: bars, grids, right, right {told_of}", flush=True)
            sums[:] = 0.0
            _keep(net, out)
    _keep(net, out)


def _keep(net: barnet.BarNet, out: Path) -> None:
    halves = {name: tensor.half().contiguous() for name, tensor in net.state_dict().items()}
    disk.write_bytes(out, safetensors.torch.save(halves))


if __name__ == "__main__":
    main()
