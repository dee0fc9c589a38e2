"""Trains the net of `powermuse.audio.beatnet` on rendered triplets, and measures what is heard with it:

    python bench/align.py train TRIPLETS ... [--steps 2400] [--begin FILE] [--out FILE]   # some 25 min on one core
    python bench/align.py mean WEIGHTS ... [--out FILE]          # of several nets, the mean of each weight
    python bench/align.py test TRIPLETS [--split val] [--whole]  # tempo, downbeat and key of clips that are known
    python bench/align.py tell SOUND ...                         # what is heard of sounds, as `compose` hears them

What `train` writes becomes the package's where it is copied to `src/powermuse/audio/assets`."""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse import disk
from powermuse.audio import beatnet, files, grid
from powermuse.audio.align import listen, nearest_speed
from powermuse.audio.features import FRAME_RATE_HZ, SAMPLE_RATE_HZ, Features
from powermuse.data.render.score import Beat
from powermuse.data.render.sources import FREEDOOM
from powermuse.data.triplets import Triplets, beat_frames
from powermuse.metrics.chords import PITCH_NAMES

_BATCH, _LEAST_FRAMES, _FRAMES = 16, 300, 1200
_STRETCHES = (0.75, 1.33)
_HEARD = 900
"""Frames of a test: 12 s from anywhere, since every rendered clip begins with a bar."""
_BESIDE = 0.5
"""How much of a beat the frames before and after it are."""
_WARMUP = 100
_PLACES = np.array([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0])
_NEAR_A_PLACE, _MOST = 0.03, 0.7
"""Where in a beat strokes are written, how near they lie there, and how many of a song's at least. Of songs that were
played freely it is what chance would have, .36; of the others .75 and more."""
_OFTEN = {"3/4": 2.5, "6/8": 6.0}
"""How much oftener than those in 4/4 the few triplets in other metres are shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "mean", "test", "tell"))
    parser.add_argument("given", nargs="+", metavar="TRIPLETS|WEIGHTS|SOUND")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--begin", default="", help="weights to begin from")
    parser.add_argument("--out", default="beatnet.safetensors", help="where the weights go")
    parser.add_argument("--split", default="val")
    parser.add_argument("--count", type=int, default=None, help="triplets to test on")
    parser.add_argument("--whole", action="store_true", help="test on whole clips, each of which begins with a bar")
    told = parser.parse_args()
    if told.what == "train":
        train([Triplets(folder, "train") for folder in told.given], told.steps, told.rate, told.begin, Path(told.out))
    elif told.what == "mean":
        mean([safetensors.torch.load_file(file) for file in told.given], Path(told.out))
    elif told.what == "test":
        test(Triplets(told.given[0], told.split, told.count), told.whole)
    else:
        for sound in told.given:
            tell(sound)


def tell(sound: str) -> None:
    wav_CN = files.read(sound, SAMPLE_RATE_HZ)
    heard, seconds = listen(wav_CN), wav_CN.shape[1] / SAMPLE_RATE_HZ
    beats = heard.grid.tempo_bpm * seconds / 60.0
    print(f"{sound}: {seconds:.3f} s, {beats:.2f} beats, {heard.grid}, key {PITCH_NAMES[heard.tonic]} {heard.mode}")


def train(folders: list[Triplets], steps: int, rate: float, begin: str, out: Path) -> None:
    torch.manual_seed(0)
    chance = np.random.default_rng(int(bool(begin)))
    net = beatnet.BeatNet()
    if begin:
        net.load_state_dict({name: t.float() for name, t in safetensors.torch.load_file(begin).items()})
    shown = Shown.of(folders)
    print(f"{sum(p.numel() for p in net.parameters())} weights, {len(shown.triplets)} triplets", flush=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.01)
    begun, sums = time.perf_counter(), np.zeros(4)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / _WARMUP) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        losses = _losses(net, *_batch(shown, chance))
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        sums += [float(loss.detach()) for loss in losses]
        if step % 50 == 49:
            print(f"{step + 1} {time.perf_counter() - begun:.0f} s: beat, downbeat, tempo, key", sums / 50, flush=True)
            sums[:] = 0.0
            _keep(net.state_dict(), out)
    _keep(net.state_dict(), out)


def mean(nets: list[dict[str, Tensor]], out: Path) -> None:
    """Keeps the mean of weights (Wortsman et al., Model soups, ICML 2022)."""
    _keep({name: torch.stack([net[name].float() for net in nets]).mean(dim=0) for name in nets[0]}, out)


def _keep(weights: dict[str, Tensor], out: Path) -> None:
    halves = {name: tensor.half().contiguous() for name, tensor in weights.items()}
    disk.write_bytes(out, safetensors.torch.save(halves))


def _losses(net: beatnet.BeatNet, heard: Features, known: "Known") -> list[Tensor]:
    heads = net(heard.onsets_BKT, heard.chroma_BPT)
    error_B2T = F.binary_cross_entropy_with_logits(heads.beats_B2T, known.beats_B2T, reduction="none")
    tempo = F.cross_entropy(heads.tempo_BS, known.tempo_BS)
    sure_B = known.keys_B >= 0
    keys_BK = heads.keys_BPM.flatten(1)
    key = F.cross_entropy(keys_BK[sure_B], known.keys_B[sure_B]) if sure_B.any() else 0.0 * keys_BK.sum()
    return [4.0 * error_B2T[:, 0].mean(), 8.0 * error_B2T[:, 1].mean(), 0.1 * tempo, 0.1 * key]


class Known(NamedTuple):
    """What is to be heard: beats and downbeats, chances of tempi, numbers of keys (-1: not known)."""

    beats_B2T: Tensor
    tempo_BS: Tensor
    keys_B: Tensor


class Shown(NamedTuple):
    """The triplets of some folders, and how often each is shown."""

    triplets: list[tuple[Triplets, int]]
    often_S: np.ndarray

    @classmethod
    def of(cls, folders: list[Triplets]) -> "Shown":
        """By their metres; invented rhythms, of which each metre has enough, as they come."""
        found = [(folder, index) for folder in folders for index in folder.numbers if is_known(folder, index)]
        told = (folder.origin(index) for folder, index in found)
        often_S = np.array(
            [1.0 if t["rhythm_family"].startswith("invented") else _OFTEN.get(t["rhythm_metre"], 1.0) for t in told]
        )
        return cls(found, often_S / often_S.sum())

    def draw(self, chance: np.random.Generator) -> tuple[Triplets, int]:
        """One of them."""
        return self.triplets[int(chance.choice(len(self.triplets), p=self.often_S))]


def _batch(shown: Shown, chance: np.random.Generator) -> tuple[Features, Known]:
    """Stretches of one length of grooves, harmonies and truths, each faster or slower than it was played."""
    frames = int(chance.integers(_LEAST_FRAMES, _FRAMES + 1)) // 4 * 4
    found = [_example(*shown.draw(chance), chance, frames) for _ in range(_BATCH)]
    onsets, chroma, beats, tempi = (torch.stack([each[i] for each in found]) for i in range(4))
    return Features(onsets, chroma, onsets[:, 0]), Known(beats, tempi, torch.tensor([each[4] for each in found]))


def _example(
    triplets: Triplets, index: int, chance: np.random.Generator, frames: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    truths = [f"truth.{k}" for k in range(triplets.truths(index))]
    role = str(chance.choice(["groove", "harmony", str(chance.choice(truths))], p=[0.45, 0.4, 0.15]))
    speed = float(np.exp(chance.uniform(*np.log(_STRETCHES))))
    needed = min(_FRAMES, round(frames * speed))
    begin = int(chance.integers(0, _FRAMES - needed + 1))
    clip = triplets.crops([index], [role], [begin], needed)
    rows = torch.cat([clip.onsets_BKT, clip.chroma_BPT], dim=1)
    rows = F.interpolate(rows, size=frames, mode="linear", align_corners=False)[0]
    known = triplets.score(index, role)
    times = torch.tensor([(b.time_s - begin / FRAME_RATE_HZ, float(b.is_downbeat)) for b in known.beats]).reshape(-1, 2)
    times[:, 0] *= frames / needed
    marks_T = beat_frames(times, frames)
    beats_2T = torch.stack([marks_T > 0.0, marks_T > 1.0]).float()
    turn = int(chance.integers(12))
    chroma_PT = rows[clip.onsets_BKT.shape[1] :].unflatten(0, (2, 12)).roll(turn, dims=1).flatten(0, 1)
    tempo_S = _near_bins(known.tempo_bpm * needed / frames)
    onsets_KT = rows[: clip.onsets_BKT.shape[1]]
    return onsets_KT, chroma_PT, _widened(beats_2T), tempo_S, _key(triplets, index, role, turn)


def is_known(triplets: Triplets, index: int) -> bool:
    """Whether the groove's beats are where it is told. A song may have been played into its file without a click: its
    bars there are nobody's, and its strokes lie anywhere between them."""
    if triplets.origin(index)["rhythm_source"] != FREEDOOM:
        return True
    groove = triplets.score(index, "groove")
    drums = next(part for part in groove.parts if part.name == "drums")
    struck = np.array([note.start_s for note in drums.notes]) * groove.tempo_bpm / 60.0 % 1.0
    away = np.abs(struck[:, None] - _PLACES).min(axis=1)
    return bool((away < _NEAR_A_PLACE).mean() >= _MOST)


def _near_bins(tempo_bpm: float) -> Tensor:
    """[BINS]: chances of a tempo that lies between two bins, a little spread."""
    away_S = np.log2(beatnet.tempi_bpm() / tempo_bpm) * beatnet.BINS_AN_OCTAVE
    near_S = torch.from_numpy(np.exp(-0.5 * np.square(away_S))).float()
    return near_S / near_S.sum()


def _widened(beats_2T: Tensor) -> Tensor:
    beside = torch.maximum(F.pad(beats_2T, (1, 0))[:, :-1], F.pad(beats_2T, (0, 1))[:, 1:])
    return torch.maximum(beats_2T, _BESIDE * beside)


def _key(triplets: Triplets, index: int, role: str, turn: int = 0) -> int:
    """Number of the key, C major 0, C minor 1; -1 where it is not known: a groove has one of its own."""
    if role == "groove":
        return -1
    name, _, mode = triplets.origin(index).get("harmony_chart", "").partition(":")[0].partition(" ")
    if name not in PITCH_NAMES or mode not in beatnet.MODES:
        return -1
    return (PITCH_NAMES.index(name) + turn) % 12 * 2 + beatnet.MODES.index(mode)


def test(triplets: Triplets, whole: bool) -> None:
    chance = np.random.default_rng(1)
    for role in ("groove", "harmony"):
        rows, keys, known = [], [], []
        for index in triplets.numbers:
            frames = _FRAMES if whole else _HEARD
            begin, score = int(chance.integers(_FRAMES - frames + 1)), triplets.score(index, role)
            clip = triplets.crops([index], [role], [begin], frames)
            heard = Features(clip.onsets_BKT, clip.chroma_BPT, clip.level_BT)
            pulse = beatnet.hear(heard)[0]
            found = grid.find(pulse, None, heard)
            rows.append((*_errors(found, score.beats, score.tempo_bpm, begin / FRAME_RATE_HZ), found.confidence))
            known.append(role != "groove" or is_known(triplets, index))
            wanted = _key(triplets, index, role)
            if wanted >= 0:
                keys.append(_key_score(int(pulse.key_PM.argmax()), wanted))
        _tell(role, np.array(rows), np.array(keys))
        if not all(known):
            _tell(f"{role}, where its beats are known", np.array(rows)[known], np.array([]))


def _errors(
    found: grid.Grid, beats: tuple[Beat, ...], tempo_bpm: float, begin_s: float
) -> tuple[float, float, float, float]:
    """Share by which the tempo is off, the same but for factors of two, but for half, double, a third and three times
    (Accuracy 2 of Gouyon et al., IEEE TASLP 2006), and seconds from the nearest true downbeat."""
    ratio = found.tempo_bpm / tempo_bpm
    downs = np.array([beat.time_s for beat in beats if beat.is_downbeat])
    either = min(abs(ratio * times - 1.0) for times in (1 / 3, 0.5, 1.0, 2.0, 3.0))
    down = float(np.abs(downs - begin_s - found.downbeat_s).min())
    return abs(ratio - 1.0), abs(nearest_speed(ratio) - 1.0), either, down


def _key_score(found: int, wanted: int) -> float:
    """1, .5 a fifth away, .3 the relative, .2 the parallel key (MIREX)."""
    (f, m), (g, n) = divmod(found, 2), divmod(wanted, 2)
    if (f, m) == (g, n):
        return 1.0
    if m == n and (f - g) % 12 in (5, 7):
        return 0.5
    if m != n and (f - g) % 12 == (9 if n == 0 else 3):
        return 0.3
    return 0.2 if m != n and f == g else 0.0


def _tell(role: str, rows: np.ndarray, keys: np.ndarray) -> None:
    tempo, octave, either, down, sure = rows.T
    print(
        f"{role}: n {len(rows)}; tempo within 2 % on {(tempo <= 0.02).mean():.3f}, but for factors of two "
        f"{(octave <= 0.02).mean():.3f}, of three too {(either <= 0.02).mean():.3f}; downbeat within 70 ms on "
        f"{(down <= 0.07).mean():.3f}"
    )
    if len(keys):
        print(f"  key right on {(keys == 1.0).mean():.3f}, by MIREX {keys.mean():.3f}")
    for least in (0.0, 0.3, 0.4, 0.5, 0.6, 0.7):
        chosen = sure >= least
        print(
            f"  confidence from {least}: {chosen.mean():.2f} of the clips, tempo {(tempo[chosen] <= 0.02).mean():.3f}, "
            f"{(octave[chosen] <= 0.02).mean():.3f}, downbeat {(down[chosen] <= 0.07).mean():.3f}"
        )


if __name__ == "__main__":
    main()
