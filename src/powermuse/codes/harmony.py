"""The harmony of a clip: which chord holds when, and how strongly its notes sound while it does.

Chords are read from the clip's chroma by templates and Viterbi at 18.75 frames a second: by what sounds in the moment
and in the second about it, and by the scale, which is what all of the chroma sounds: a note foreign to it needs more to
be believed. (`metrics.chords`, which reads a waveform to judge by, does not look about.) Within a chord everything is
constant. When the clip strikes its chords, in which voicing and on what instruments, is not in it.
"""

from collections import Counter
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio import clock
from powermuse.metrics import chords

ROWS = 49
"""12 for the root, 12 for the chord's notes, 12 for the bass and 12 for the treble while it holds, 1 for no chord."""
FRAMES_TOGETHER = 4
"""Frames of the chroma that are one frame of the reader."""
RATE_HZ = clock.FRAME_RATE_HZ / FRAMES_TOGETHER
Detail = Literal["names", "chords", "quarters"]
_QUARTER = 5
"""Frames of the reader that are some quarter of a second."""
_SHARPNESS, _CHANGE_COST = 2.0, 6.0
"""Of clear chords those of half a second are read, of doubtful ones longer ones alone."""
_BASS_WEIGHT, _BASS_SHARE = 0.8, 0.4
"""What the bass counts by itself, and beside the treble."""
_ABOUT, _ABOUT_FRAMES = 0.25, 21
"""Share of what sounds in the second about a frame."""
_SCALE = 0.7
_NO_CHORD = 1.05
_PRIOR = {"maj": 0.0, "min": 0.02, "7": -0.02, "maj7": -0.03, "min7": -0.05, "dim": -0.35, "sus4": -0.25}


def code(chroma_BPT: Tensor) -> Tensor:
    """[B, 49, T] in [0, 1], piecewise constant, from chroma [B, 24, T] (`audio.features`)."""
    return told(chroma_BPT, states(chroma_BPT))


def states(chroma_BPT: Tensor) -> Tensor:
    """The chord state that `read` finds at every fourth frame of a chroma [B, 24, T]: [B, ceil(T / 4)]."""
    return read(_coarse(chroma_BPT))


def told(chroma_BPT: Tensor, states_BT: Tensor, detail: Detail = "chords") -> Tensor:
    """The code of a chroma whose `states` are known. `detail`: how strongly bass and treble sound each pitch class is
    left out ("names"), a mean over each chord, or over each quarter of a second of it ("quarters")."""
    frames = chroma_BPT.shape[-1]
    coarse_BPT = _coarse(chroma_BPT)
    held_BPT = _held(coarse_BPT, _changed(states_BT, _QUARTER if detail == "quarters" else 0))
    if detail == "names":
        held_BPT = torch.zeros_like(held_BPT)
    named_BRT = _meanings().to(chroma_BPT)[states_BT].transpose(1, 2)
    together_BRT = torch.cat([named_BRT[:, :24], held_BPT, named_BRT[:, 24:]], dim=1)
    return together_BRT.repeat_interleave(FRAMES_TOGETHER, dim=-1)[..., :frames]


def held_for(states_BT: Tensor, seconds: float) -> Tensor:
    """The same `states` where a chord holds for `seconds` at least: one that is shorter is joined to the shorter of its
    neighbours, the shortest first, and of what is joined the chord that held longest holds. What is long enough stays
    as it is, and every border is one of the clip's own."""
    least = round(seconds * RATE_HZ)
    return states_BT if least < 2 else torch.stack([_held_for(states_T, least) for states_T in states_BT])


def _held_for(states_T: Tensor, least: int) -> Tensor:
    """Of one clip, in frames."""
    states, frames = (each.tolist() for each in torch.unique_consecutive(states_T, return_counts=True))
    stretches = [Counter({state: count}) for state, count in zip(states, frames, strict=True)]
    while len(stretches) > 1 and min(map(Counter.total, stretches)) < least:
        lengths = [stretch.total() for stretch in stretches]
        at = lengths.index(min(lengths))
        beside = min((i for i in (at - 1, at + 1) if 0 <= i < len(lengths)), key=lengths.__getitem__)
        first = min(at, beside)
        stretches[first : first + 2] = [stretches[first] + stretches[first + 1]]
        stretches = _of_one_chord(stretches)
    held = torch.tensor([_longest(stretch) for stretch in stretches], dtype=states_T.dtype)
    return held.repeat_interleave(torch.tensor([stretch.total() for stretch in stretches])).to(states_T.device)


def _of_one_chord(stretches: list[Counter[int]]) -> list[Counter[int]]:
    """Neighbours in which the same chord holds are one."""
    found = stretches[:1]
    for stretch in stretches[1:]:
        if _longest(stretch) == _longest(found[-1]):
            found[-1] = found[-1] + stretch
        else:
            found.append(stretch)
    return found


def _longest(stretch: Counter[int]) -> int:
    return stretch.most_common(1)[0][0]


def belonging(code_BRT: Tensor) -> Tensor:
    """[B, 12, T]: 1 for the pitch classes of the chord that a code tells, -1 for the others, 0 where it tells none; of
    a mean of codes the mean."""
    return 2.0 * code_BRT[:, 12:24] - (1.0 - code_BRT[:, -1:])


def nearest(code_BRT: Tensor) -> Tensor:
    """Number of the chord state [B, T] whose root and notes a code, or a mean of codes, is nearest to."""
    named_BRT = torch.cat([code_BRT[:, :24], code_BRT[:, -1:]], dim=1)
    meanings_SR = _meanings().to(code_BRT)
    distance_BST = (
        meanings_SR.square().sum(dim=1)[:, None] - 2.0 * meanings_SR @ named_BRT
    )  # squared, but for a constant
    return distance_BST.argmin(dim=1)


def read(chroma_BPT: Tensor) -> Tensor:
    """Number of the chord state [B, T] that holds at each frame of a chroma at 18.75 Hz: seven qualities on twelve
    roots, then no chord."""
    return _viterbi(_likelihoods(chroma_BPT))


def _coarse(chroma_BPT: Tensor) -> Tensor:
    spare = -chroma_BPT.shape[-1] % FRAMES_TOGETHER
    padded_BPT = torch.cat([chroma_BPT, chroma_BPT[..., -1:].expand(-1, -1, spare)], dim=-1) if spare else chroma_BPT
    return padded_BPT.unflatten(-1, (-1, FRAMES_TOGETHER)).mean(dim=-1)


def _likelihoods(chroma_BPT: Tensor) -> Tensor:
    """Log likelihood [B, 85, T] of each state, up to a constant."""
    treble_SP, _, prior_S = (t.to(chroma_BPT) for t in _templates())
    scale_BP1 = _unit(_together(chroma_BPT)).mean(dim=-1, keepdim=True)
    scale_BP1 = scale_BP1 / scale_BP1.norm(dim=1, keepdim=True).clamp_min(1e-9)
    found_BST = (1.0 - _ABOUT) * _likeness(chroma_BPT) + _ABOUT * _likeness(_about(chroma_BPT))
    # The scale chooses among chords, not whether there is one: drums have a scale, too.
    in_scale_BS1 = treble_SP @ scale_BP1
    found_BST = found_BST + _SCALE * (in_scale_BS1 - in_scale_BS1.mean(dim=1, keepdim=True)) + prior_S[:, None]
    none_B1T = torch.full_like(found_BST[:, :1], _NO_CHORD)
    return _SHARPNESS * torch.cat([found_BST, none_B1T], dim=1)


def _likeness(chroma_BPT: Tensor) -> Tensor:
    """Cosines [B, 84, T] with the templates of the chords."""
    treble_SP, bass_SP, _ = (t.to(chroma_BPT) for t in _templates())
    return treble_SP @ _unit(_together(chroma_BPT)) + _BASS_WEIGHT * (bass_SP @ _unit(chroma_BPT[:, :12]))


def _together(chroma_BPT: Tensor) -> Tensor:
    """[B, 12, T]: the treble, and something of the bass."""
    return chroma_BPT[:, 12:] + _BASS_SHARE * chroma_BPT[:, :12]


def _about(chroma_BPT: Tensor) -> Tensor:
    """Means over the second about each frame; beyond the ends what is there last."""
    side = _ABOUT_FRAMES // 2
    return F.avg_pool1d(F.pad(chroma_BPT, (side, side), mode="replicate"), _ABOUT_FRAMES, stride=1)


def _unit(x_BPT: Tensor) -> Tensor:
    compressed_BPT = x_BPT**chords.COMPRESSION
    return compressed_BPT / compressed_BPT.norm(dim=1, keepdim=True).clamp_min(1e-9)


def _viterbi(likely_BST: Tensor) -> Tensor:
    """The best path of every clip where each change costs the same."""
    stay_S = torch.arange(likely_BST.shape[1], device=likely_BST.device)
    score_BS, came_from = likely_BST[..., 0], []
    for now_BS in likely_BST.unbind(dim=-1)[1:]:
        best_B1, at_B1 = score_BS.max(dim=1, keepdim=True)
        change_BS = best_B1 - _CHANGE_COST > score_BS
        came_from.append(torch.where(change_BS, at_B1, stay_S))
        score_BS = torch.where(change_BS, best_B1 - _CHANGE_COST, score_BS) + now_BS
    path = [score_BS.argmax(dim=1, keepdim=True)]
    for back_BS in reversed(came_from):
        path.append(back_BS.gather(1, path[-1]))
    return torch.cat(path[::-1], dim=1)


def _changed(states_BT: Tensor, every: int) -> Tensor:
    """1 where a chord begins that is not the first one; and every so many frames, if that is not 0."""
    changed_BT = torch.zeros_like(states_BT)
    changed_BT[:, 1:] = states_BT[:, 1:] != states_BT[:, :-1]
    if every:
        changed_BT[:, every::every] = 1
    return changed_BT


def _held(chroma_BPT: Tensor, changed_BT: Tensor) -> Tensor:
    """The mean of the chroma from one change to the next, at every frame of it; the strongest of a frame 1."""
    order_T = torch.arange(changed_BT.shape[1], device=changed_BT.device)
    member_BNT = (changed_BT.cumsum(dim=1)[:, None] == order_T[:, None]).to(chroma_BPT)
    mean_BNP = member_BNT @ chroma_BPT.transpose(1, 2) / member_BNT.sum(dim=-1, keepdim=True).clamp_min(1.0)
    mean_BNP = mean_BNP / mean_BNP.amax(dim=-1, keepdim=True).clamp_min(1e-6)
    return (member_BNT.transpose(1, 2) @ mean_BNP).transpose(1, 2)


# Kept for all that is to come: what composes first may do so in inference mode, whose tensors no training could use.
@lru_cache(maxsize=1)
@torch.inference_mode(False)
def _templates() -> tuple[Tensor, Tensor, Tensor]:
    treble_SP, bass_SP = (torch.from_numpy(x).float() for x in chords.templates())
    return treble_SP, bass_SP, torch.tensor([_PRIOR[shape] for shape in chords.QUALITIES]).repeat_interleave(12)


@lru_cache(maxsize=1)
@torch.inference_mode(False)
def _meanings() -> Tensor:
    """[85, 25]: root, notes, and whether it is no chord, of every state."""
    table = torch.zeros(len(chords.QUALITIES) * 12 + 1, 25)
    for i, shape in enumerate(chords.QUALITIES.values()):
        for root in range(12):
            table[12 * i + root, root] = 1.0
            table[12 * i + root, [12 + (root + step) % 12 for step in shape]] = 1.0
    table[-1, -1] = 1.0
    return table
