"""Codecs over sound of any length: in pieces, so that memory stays bounded."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from powermuse.audio import clips, features
from powermuse.codecs import Codec
from powermuse.types import Clip

PIECE_FRAMES = 4500
"""A minute: nothing shorter is cut at all."""
_CONTEXT_FRAMES = 32
DECODE_OVERLAP_FRAMES = 24


def encode(wav_BCN: Tensor, codec: Codec) -> Clip:
    """Latents and features of a whole recording, piece by piece with context that is cut off again."""
    return join(
        [_encode_piece(wav_BCN, codec, begin, end) for begin, end in _pieces(wav_BCN.shape[-1], codec.hop_samples)]
    )


def decode(z_BDT: Tensor, codec: Codec, roll_BQT: Tensor | None = None) -> Tensor:
    """The waveform of latents of any length, of which the notes may be known (`Codec.decode_played`); pieces are
    cross-faded over a third of a second."""
    frames = z_BDT.shape[-1]
    if frames <= PIECE_FRAMES:
        return _decode_piece(z_BDT, codec, roll_BQT, 0)
    # Equally long, so that none overlaps its neighbour by more: where two of unrelated phases are mixed, half of the
    # power is lost.
    step = math.ceil((frames - DECODE_OVERLAP_FRAMES) / _pieces_needed(frames))
    begins = range(0, frames - DECODE_OVERLAP_FRAMES, step)
    pieces = [_decode_piece(z_BDT[..., b : b + step + DECODE_OVERLAP_FRAMES], codec, roll_BQT, b) for b in begins]
    hop = codec.hop_samples
    return clips.overlap_add(pieces, [b * hop for b in begins], frames * hop, DECODE_OVERLAP_FRAMES * hop)


def _pieces_needed(frames: int) -> int:
    """How many of at most `PIECE_FRAMES`, each after the first beginning on the overlap, come to `frames`."""
    return math.ceil((frames - DECODE_OVERLAP_FRAMES) / (PIECE_FRAMES - DECODE_OVERLAP_FRAMES))


def _decode_piece(z_BDT: Tensor, codec: Codec, roll_BQT: Tensor | None, begin: int) -> Tensor:
    if roll_BQT is None:
        return codec.decode(z_BDT)
    return codec.decode_played(z_BDT, roll_BQT[..., begin : begin + z_BDT.shape[-1]])


def join(parts: list[Clip]) -> Clip:
    """One clip from consecutive ones."""
    z, onsets, chroma, level = (torch.cat([p[i] for p in parts], dim=-1) for i in range(4))  # type: ignore[misc]
    return Clip(z, onsets, chroma, level)


def _pieces(samples: int, hop: int) -> Iterator[tuple[int, int]]:
    frames = -(-samples // hop)
    for begin in range(0, frames, PIECE_FRAMES):
        yield begin, min(begin + PIECE_FRAMES, frames)


def _encode_piece(wav_BCN: Tensor, codec: Codec, begin: int, end: int) -> Clip:
    first = max(0, begin - _CONTEXT_FRAMES)
    hop = codec.hop_samples
    piece = wav_BCN[..., first * hop : (end + _CONTEXT_FRAMES) * hop]
    found = features.extract(piece[:, 0])
    clip = Clip(codec.encode(piece), found.onsets_BKT, found.chroma_BPT, found.level_BT)
    return clip.crop(begin - first, end - begin)
