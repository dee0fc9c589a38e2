"""Piano rolls of rendered clips, made of their notes whenever they are asked for: faster than a clip is read."""

import numpy as np
import torch
from torch import Tensor

from powermuse.audio import features
from powermuse.data.triplets import Triplets

LOW_PITCH, PITCHES = 21, 88
"""MIDI number of A0, and how many notes there are from it to C8."""
SOUNDS, STRUCK, UNKNOWN = 1.0, 2.0, -1.0
"""What a roll holds where a note sounds, where it begins, and where nobody knows the notes."""
_BORDER = 1e-3
"""A time on the border of two frames, in frames: it belongs to the later, whichever side its float32 fell on."""


def crops(dataset: Triplets, indices: list[int], roles: list[str], starts: list[int], frames: int) -> Tensor:
    """[B, 88, T]: 2 where a note is struck and 1 where one sounds on, in the stretch of `frames` frames of each clip,
    drums left out."""
    rolls = [
        roll(dataset.pitched(index, role).double().numpy(), start, frames)
        for index, role, start in zip(indices, roles, starts, strict=True)
    ]
    return torch.from_numpy(np.stack(rolls))


def unknown(frames: int) -> Tensor:
    """[1, 88, T]: the roll of a clip whose notes nobody knows."""
    return torch.full((1, PITCHES, frames), UNKNOWN)


def roll(notes_N5: np.ndarray, start: int, frames: int) -> np.ndarray:
    """[88, T] from frame `start` on: 1 where one of the notes (start_s, end_s, pitch, velocity, part) sounds at some
    time of the frame, 2 where one begins. A note takes one frame at least; those below A0 and above C8 have no row."""
    rows_N = notes_N5[:, 2].astype(np.int64) - LOW_PITCH
    begin_N = np.floor(notes_N5[:, 0] * features.FRAME_RATE_HZ + _BORDER).astype(np.int64)
    end_N = np.ceil(notes_N5[:, 1] * features.FRAME_RATE_HZ - _BORDER).astype(np.int64)
    end_N = np.clip(np.maximum(end_N, begin_N + 1) - start, 0, frames)
    begins_N = (begin_N >= start) & (begin_N < start + frames) & (rows_N >= 0) & (rows_N < PITCHES)
    begin_N = np.clip(begin_N - start, 0, frames)
    lengths_N = np.where((rows_N >= 0) & (rows_N < PITCHES), end_N - begin_N, 0)
    roll_QT = np.zeros((PITCHES, frames), dtype=np.float32)
    # The places of all notes, one after another: of each so many from its first on.
    before_N = np.cumsum(lengths_N) - lengths_N
    places = np.repeat(rows_N * frames + begin_N - before_N, lengths_N) + np.arange(lengths_N.sum())
    roll_QT.reshape(-1)[places] = SOUNDS
    roll_QT[rows_N[begins_N], begin_N[begins_N]] = STRUCK
    return roll_QT
