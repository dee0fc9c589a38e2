"""Which stretches of a crop are decoded for the losses that listen, and decoding them: a second or two of the clip, in
one piece or in several spread over it, the same for every clip of a pair."""

from typing import NamedTuple

import torch
from torch import Tensor

from powermuse.chance import number
from powermuse.codecs import Codec


class Stretches(NamedTuple):
    """Where to listen, in frames: `frames` from each of `starts`, each decoded after `context` frames that are not
    heard, so that it sounds as it does within the whole."""

    starts: tuple[int, ...]
    frames: int
    context: int


def choose(key: str, crop_frames: int, frames: int, count: int, context: int) -> Stretches:
    """`count` stretches of `frames` frames, one anywhere in each of `count` equal parts of the crop, `key` deciding.

    Where the crop leaves no room for the context, it is shortened.
    """
    part = crop_frames // count
    frames = min(frames, part)
    context = min(context, part - frames)
    slack = part - frames - context + 1
    starts = (i * part + context + (number(f"{key}/{i}") >> 1) % slack for i in range(count))
    return Stretches(tuple(starts), frames, context)


def decode(codec: Codec, z_BDT: Tensor, where: Stretches) -> Tensor:
    """The stretches [B * S, C, N] of a batch, the S stretches of a clip one after another."""
    cuts = [z_BDT[..., start - where.context : start + where.frames] for start in where.starts]
    wav_BCN = codec.decode(torch.stack(cuts, dim=1).flatten(0, 1))
    return wav_BCN[..., where.context * codec.hop_samples :]
