"""Reading any sound file, writing wav and flac, changing the sample rate. Waveforms are float32 [C, N] in [-1, 1]."""

import io
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr

from powermuse.disk import write_bytes
from powermuse.types import BadInput

# What soundfile (libsndfile 1.2) reads by itself; everything else in SUFFIXES goes through PyAV.
_SNDFILE_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"})
SUFFIXES = _SNDFILE_SUFFIXES | {".m4a", ".aac", ".mp4", ".wma", ".webm", ".mka", ".oga", ".ac3", ".mp2"}
_CANCELLED = 1e-3
_NO_LENGTH = 2**63 - 1
"""Frames of a stream whose head does not say how many, as libsndfile has it."""
_LOUDEST = 1e6
"""Times full scale; much above it the numbers of what is made of a sound come to no end."""
_WRITABLE = {".wav": "PCM_24", ".flac": "PCM_24"}


class Unreadable(BadInput):
    """A sound file that cannot be used, with the reason."""


def read(
    path: str | os.PathLike[str], sample_rate_hz: int | None = None, *, mono: bool = True, at_most_s: float = math.inf
) -> np.ndarray:
    """Waveform [C, N], float32, C = 1 if `mono`; resampled to `sample_rate_hz` unless None.

    Raises Unreadable for what is missing, empty, not sound, or holds values that are not finite or beyond any sound;
    and, before the rest is decoded, for what lasts longer than `at_most_s`.
    """
    path = Path(path)
    wav_CN, rate_hz = _read_native(path, at_most_s)
    if wav_CN.shape[1] == 0:
        raise Unreadable(f"{path}: holds no sound (0 samples)")
    if not np.isfinite(wav_CN).all():
        raise Unreadable(f"{path}: holds samples that are not finite numbers")
    if (loudest := float(np.abs(wav_CN).max())) > _LOUDEST:
        raise Unreadable(f"{path}: has samples of {loudest:.1g} times full scale; that is no sound")
    if mono:
        wav_CN = _mixed_down(wav_CN, path)
    return wav_CN if sample_rate_hz is None else resample(wav_CN, rate_hz, sample_rate_hz)


def length_told(path: str | os.PathLike[str]) -> float:
    """Seconds that the head of a file says it lasts, without reading the sound; 0 where it does not say."""
    path = Path(path)
    try:
        if path.suffix.lower() in _SNDFILE_SUFFIXES:
            head = soundfile.info(path)
            return 0.0 if head.frames == _NO_LENGTH else float(head.duration)
        import av

        with av.open(str(path)) as container:
            return float((container.duration or 0) / av.time_base)
    except _decoder_errors():
        return 0.0


def _mixed_down(wav_CN: np.ndarray, path: Path) -> np.ndarray:
    """The mean of the channels. Raises Unreadable where they cancel (a channel with its phase turned)."""
    mono = wav_CN.mean(axis=0, keepdims=True)
    if np.abs(mono).max() < _CANCELLED * np.abs(wav_CN).max():
        raise Unreadable(f"{path}: its channels cancel each other in mono; turn the phase of one of them")
    return mono


def resample(wav_CN: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """The same sound at another rate, N' = round(N * to_hz / from_hz) (soxr, high quality)."""
    if from_hz == to_hz:
        return wav_CN
    return np.ascontiguousarray(soxr.resample(wav_CN.T, from_hz, to_hz, quality="HQ").T, dtype=np.float32)


def write(path: str | os.PathLike[str], wav_CN: np.ndarray, sample_rate_hz: int) -> None:
    """Writes [C, N] as 24-bit wav or flac, by the suffix: aside first, then renamed, so that no half file stays."""
    write_bytes(path, encoded(wav_CN, sample_rate_hz, path))


def encoded(wav_CN: np.ndarray, sample_rate_hz: int, path: str | os.PathLike[str]) -> bytes:
    """The content of the file that `write` would write at `path`."""
    path = Path(path)
    check_writable(path)
    if not np.abs(wav_CN).max(initial=0.0) <= 1.0:  # NaN is not
        raise ValueError(f"{path}: samples beyond full scale, or not finite, cannot be written; lower the level")
    suffix = path.suffix.lower()
    content = io.BytesIO()  # in memory, so that a full disk is an OSError with its reason, not libsndfile's silence
    soundfile.write(content, wav_CN.T, sample_rate_hz, subtype=_WRITABLE[suffix], format=suffix[1:].upper())
    return content.getvalue()


def told(path: str | os.PathLike[str]) -> str:
    """A path as a report or a table says it: one whose name is no UTF-8 (of an old archive, say) with marks in it."""
    return os.fsencode(path).decode(errors="replace")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises BadInput, before any work is done, where `path` could not be written in the end."""
    path = Path(path)
    if path.suffix.lower() not in _WRITABLE:
        raise BadInput(
            f"{path}: can be written as {' or '.join(_WRITABLE)}, not as {path.suffix or 'a name without ending'}"
        )
    if path.is_dir():
        raise BadInput(f"{path}: is a directory; name a file in it")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"{path}: there is no directory {path.absolute().parent}")
    if not os.access(path.absolute().parent, os.W_OK):
        raise BadInput(f"{path}: the directory {path.absolute().parent} is not writable")


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raises BadInput, before any work is done, where no folder can be made or written to at `path`."""
    at = Path(path).absolute()
    while not os.path.lexists(at):
        at = at.parent
    if not at.is_dir():
        raise BadInput(f"{path}: {at} is no folder")
    if not os.access(at, os.W_OK):
        raise BadInput(f"{path}: the directory {at} is not writable")


def _read_native(path: Path, at_most_s: float) -> tuple[np.ndarray, int]:
    if not os.path.exists(path):  # noqa: PTH110 - False, not OSError, for a name that is too long
        raise Unreadable(f"{path}: no such file")
    if path.is_dir():
        raise Unreadable(f"{path}: is a directory; name a sound file")
    if not path.is_file():
        raise Unreadable(f"{path}: is no file but a pipe or a device; write the sound into a file first")
    if path.stat().st_size == 0:
        raise Unreadable(f"{path}: the file is empty")
    first, second = _read_sndfile, _read_av
    if path.suffix.lower() not in _SNDFILE_SUFFIXES:
        first, second = second, first
    try:
        return first(path, at_most_s)
    except Unreadable:
        raise
    except _decoder_errors() as error:
        return _last_resort(second, path, at_most_s, error)


def _last_resort(
    reader: Callable[[Path, float], tuple[np.ndarray, int]], path: Path, at_most_s: float, error: Exception
) -> tuple[np.ndarray, int]:
    """What the other reader makes of it; where that fails too, the reason of the one meant for this kind of file."""
    try:
        return reader(path, at_most_s)
    except Unreadable:
        raise
    except PermissionError:
        raise Unreadable(f"{path}: may not be read (permission denied)") from None
    except _decoder_errors():
        reason = (getattr(error, "strerror", None) or str(error).split(":")[-1]).strip().rstrip(".")
        raise Unreadable(f"{path}: is not a sound file that can be read, or is damaged ({reason})") from None


def _decoder_errors() -> tuple[type[Exception], ...]:
    """What damaged files raise: a head that claims more than memory holds among them."""
    av = sys.modules.get("av")  # imported only for what soundfile cannot read
    own = (av.FFmpegError,) if av else ()
    return (soundfile.LibsndfileError, OSError, ValueError, RuntimeError, LookupError, EOFError, MemoryError, *own)


def _check_length(path: Path, seconds: float, at_most_s: float) -> None:
    if seconds > at_most_s:
        raise Unreadable(f"{path}: lasts more than {at_most_s:g} s")


def _read_sndfile(path: Path, at_most_s: float) -> tuple[np.ndarray, int]:
    with soundfile.SoundFile(path) as file:
        if file.format == "RAW":  # libsndfile takes anything called .au for headerless telephone speech
            raise ValueError("no header")
        if file.frames == _NO_LENGTH:
            raise ValueError("its head does not say how long it lasts")  # PyAV reads it to its end
        _check_length(path, file.frames / file.samplerate, at_most_s)
        return np.ascontiguousarray(file.read(dtype="float32", always_2d=True).T), file.samplerate


def _read_av(path: Path, at_most_s: float) -> tuple[np.ndarray, int]:
    import av  # bundles FFmpeg: imported only for what soundfile cannot read

    parts: list[np.ndarray] = []
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise ValueError("no audio track")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise ValueError("a kind of sound that FFmpeg does not know")
        rate_hz = stream.rate
        layout = stream.layout.name
        convert = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
        samples = 0
        for frame in container.decode(stream):
            parts += [out.to_ndarray() for out in convert.resample(frame)]
            samples += frame.samples
            _check_length(path, samples / rate_hz, at_most_s)
        parts += [out.to_ndarray() for out in convert.resample(None)]
    if not parts:
        raise ValueError("no audio frames")
    return np.concatenate(parts, axis=1).astype(np.float32, copy=False), rate_hz
