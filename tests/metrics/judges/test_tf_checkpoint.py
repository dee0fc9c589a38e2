"""The checkpoint reader on a table written by hand, byte by byte."""

import numpy as np
import pytest

from powermuse.metrics.judges import tf_checkpoint
from powermuse.types import BadInput


def _varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _block(entries: list[tuple[int, bytes, bytes]]) -> bytes:
    """Entries (bytes shared with the key before, the rest of the key, value), one restart, no compression, no CRC."""
    body = b"".join(_varint(s) + _varint(len(k)) + _varint(len(v)) + k + v for s, k, v in entries)
    return body + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def _entry(shape: tuple[int, ...], offset: int, dtype: int = 1) -> bytes:
    dims = b"".join(b"\x12" + _varint(1 + len(_varint(n))) + b"\x08" + _varint(n) for n in shape)
    size = 4 * int(np.prod(shape))
    crc = b"\x35" + bytes(4)  # a field of fixed width, to be stepped over
    where = b"\x20" + _varint(offset) + b"\x28" + _varint(size)
    return b"\x08" + bytes([dtype]) + b"\x12" + _varint(len(dims)) + dims + where + crc


def _write(folder, compressed: bool = False) -> dict[str, np.ndarray]:
    kernel = np.random.default_rng(0).standard_normal((3, 200)).astype(np.float32)
    bias = np.arange(200, dtype=np.float32)
    (folder / ".data-00000-of-00001").write_bytes(bias.tobytes() + kernel.tobytes() + bytes(4))
    data = _block(
        [
            (0, b"", b"\x08\x01"),  # the header of the bundle has the empty key
            (0, b"dense/bias", _entry((200,), 0)),
            (6, b"kernel", _entry((3, 200), 800)),
            (0, b"step", _entry((1,), 3200, dtype=3)),  # an int32
        ]
    )
    meta = _block([])
    trailer = bytes([int(compressed)]) + bytes(4)
    handle = _varint(0) + _varint(len(data))
    index = _block([(0, b"z", handle)])
    meta_at = len(data) + 5
    index_at = meta_at + len(meta) + 5
    handles = _varint(meta_at) + _varint(len(meta)) + _varint(index_at) + _varint(len(index))
    footer = handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")
    (folder / ".index").write_bytes(data + trailer + meta + bytes(5) + index + bytes(5) + footer)
    return {"dense/bias": bias, "dense/kernel": kernel}


def test_every_float_variable_is_read_and_nothing_else(tmp_path):
    wanted = _write(tmp_path)
    found = tf_checkpoint.read(tmp_path)
    assert set(found) == set(wanted)
    assert all((found[name] == wanted[name]).all() and found[name].shape == wanted[name].shape for name in wanted)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no checkpoint"):
        tf_checkpoint.read(tmp_path)
    (tmp_path / ".index").write_bytes(b"something else that is longer than a footer, which has 48 bytes")
    (tmp_path / ".data-00000-of-00001").write_bytes(b"")
    with pytest.raises(BadInput, match="not a table"):
        tf_checkpoint.read(tmp_path)
    _write(tmp_path, compressed=True)
    with pytest.raises(BadInput, match="compressed"):
        tf_checkpoint.read(tmp_path)
