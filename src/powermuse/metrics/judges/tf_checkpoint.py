"""Reads the variables of a TensorFlow checkpoint without TensorFlow.

`PREFIX.index` is a table of sorted keys (LevelDB's format, uncompressed): blocks of prefix-compressed entries, found
through an index block, found through the footer. Each value is a BundleEntryProto: type 1, shape 2, offset 4, size 5,
into `PREFIX.data-00000-of-00001`. Only float32 in a single shard is read; nothing in either file is run.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from powermuse.types import BadInput

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_FLOAT32 = 1


def read(folder: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """All float32 variables by name. Raises BadInput where the files are not such a checkpoint."""
    try:
        table = (folder / f"{prefix}.index").read_bytes()
        data = (folder / f"{prefix}.data-00000-of-00001").read_bytes()
    except OSError as error:
        raise BadInput(f"{folder}: no checkpoint can be read there ({error.strerror})") from None
    if table[-8:] != _MAGIC:
        raise BadInput(f"{folder}: the index is not a table of a TensorFlow checkpoint")
    found = {}
    for key, value in _entries(table):
        fields = _fields(value)
        if key and fields.get(1) == _FLOAT32:
            offset, size = int(fields.get(4, 0)), int(fields.get(5, 0))
            flat = np.frombuffer(data, "<f4", count=size // 4, offset=offset)
            found[key.decode()] = flat.reshape(_shape(fields.get(2, b"")))
    return found


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    footer = table[-_FOOTER:]
    _, at = _varint(footer, 0)  # the metaindex block: its offset,
    _, at = _varint(footer, at)  # and its size
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    for _, handle in _block(table, offset, size):
        start, after = _varint(handle, 0)
        yield from _block(table, start, _varint(handle, after)[0])


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if table[offset + size] != 0:
        raise BadInput("a compressed checkpoint index cannot be read")
    block = table[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    at, end, key = 0, size - 4 - 4 * restarts, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The last value of each field of a protocol-buffer message."""
    return dict(_all_fields(message))


def _all_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            width = {1: 8, 5: 4}[tag & 7]
            yield tag >> 3, message[at : at + width]
            at += width


def _shape(message: int | bytes) -> tuple[int, ...]:
    """TensorShapeProto: field 2, repeated, each with its size in field 1."""
    assert isinstance(message, bytes)
    dims = [value for number, value in _all_fields(message) if number == 2]
    return tuple(int(_fields(d).get(1, 0)) for d in dims if isinstance(d, bytes))
