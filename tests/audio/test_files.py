import errno
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from powermuse.audio import files
from powermuse.audio.files import Unreadable
from powermuse.types import BadInput

SNDFILE_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
RATES_HZ = {
    ".wav": (8_000, 44_100, 96_000),
    ".flac": (24_000, 44_100),
    ".ogg": (22_050, 44_100, 48_000),
    ".opus": (24_000, 48_000),
    ".mp3": (22_050, 44_100, 48_000),
    ".m4a": (24_000, 44_100, 48_000),
}
CASES = [(suffix, rate_hz, channels) for suffix, rates in RATES_HZ.items() for rate_hz in rates for channels in (1, 2)]
PEAK = 0.5
SILENT_S, TONE_S = 0.2, 0.6


def planted_tones(rate_hz: int, channels: int) -> np.ndarray:
    """0.2 s of silence, then 0.6 s of 500 Hz at half scale in the first channel, 1 kHz at a quarter in the second."""
    time_s = np.arange(round((SILENT_S + TONE_S) * rate_hz)) / rate_hz
    tones = [PEAK / (c + 1) * np.sin(2 * np.pi * 500 * (c + 1) * time_s) for c in range(channels)]
    return (np.stack(tones) * (time_s >= SILENT_S)).astype(np.float32)


def encode(path: Path, wav_CN: np.ndarray, rate_hz: int) -> Path:
    if path.suffix.lower() == ".m4a":
        return encode_m4a(path, wav_CN, rate_hz)
    container, subtype = SNDFILE_FORMATS[path.suffix.lower()]
    soundfile.write(path, wav_CN.T, rate_hz, format=container, subtype=subtype)
    return path


def encode_m4a(path: Path, wav_CN: np.ndarray, rate_hz: int) -> Path:
    layout = {1: "mono", 2: "stereo"}[len(wav_CN)]
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate_hz, layout=layout)
        stream.bit_rate = 128_000
        for begin in range(0, wav_CN.shape[1], 1024):
            part = np.ascontiguousarray(wav_CN[:, begin : begin + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, begin, Fraction(1, rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pitch_hz(wav: np.ndarray, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(wav * np.hanning(len(wav)), 8 * len(wav)))
    return float(spectrum.argmax()) * rate_hz / (8 * len(wav))


def rms_db(wav: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(wav, dtype=np.float64)) + 1e-30)


@pytest.mark.parametrize(("suffix", "rate_hz", "channels"), CASES)
def test_a_planted_tone_comes_back_at_its_pitch_level_place_and_length(tmp_path, suffix, rate_hz, channels):
    planted = planted_tones(rate_hz, channels)
    read = files.read(encode(tmp_path / f"tone{suffix}", planted, rate_hz), mono=False)
    assert read.dtype == np.float32
    assert len(read) == channels
    assert planted.shape[1] <= read.shape[1] + 1 <= planted.shape[1] + 2001
    for c, wav in enumerate(read):
        steady = wav[round(0.3 * rate_hz) : round(0.7 * rate_hz)]
        assert pitch_hz(steady, rate_hz) == pytest.approx(500 * (c + 1), abs=0.5)
        assert rms_db(steady) == pytest.approx(20 * np.log10(PEAK / (c + 1) / np.sqrt(2)), abs=0.3)
        begin_s = np.argmax(np.abs(wav) > 0.3 * PEAK / (c + 1)) / rate_hz
        assert begin_s == pytest.approx(SILENT_S, abs=0.005)


def test_mono_is_the_mean_of_the_channels(tmp_path):
    path = tmp_path / "opposed.wav"
    left = np.linspace(-0.5, 0.5, 1000, dtype=np.float32)
    soundfile.write(path, np.stack([left, np.full_like(left, 0.25)], axis=1), 24_000, subtype="FLOAT")
    np.testing.assert_allclose(files.read(path), (left / 2 + 0.125)[None], atol=1e-7)


def test_six_channels_come_back_in_order(tmp_path):
    path = tmp_path / "six.wav"
    levels = np.arange(1, 7) / 8
    soundfile.write(path, np.tile(levels, (100, 1)), 24_000, subtype="FLOAT")
    np.testing.assert_array_equal(files.read(path, mono=False), np.tile(levels[:, None], (1, 100)))


def test_reading_at_another_rate_keeps_the_pitch_and_the_seconds(tmp_path):
    read = files.read(encode(tmp_path / "tone.flac", planted_tones(44_100, 1), 44_100), 24_000)
    assert read.shape == (1, round((SILENT_S + TONE_S) * 24_000))
    assert pitch_hz(read[0, 7_200:16_800], 24_000) == pytest.approx(500, abs=0.5)


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".m4a"])
def test_a_sound_under_a_wrong_or_shouted_suffix_is_read_all_the_same(tmp_path, suffix):
    path = encode(tmp_path / f"tone{suffix}", planted_tones(24_000, 1), 24_000)
    right = files.read(path)
    for name in ("renamed.wav", "renamed.m4a", f"TONE{suffix.upper()}"):
        read = files.read(path.rename(path.with_name(name)))
        path = path.with_name(name)
        assert pitch_hz(read[0, 7_200:16_800], 24_000) == pytest.approx(500, abs=0.5)
        assert abs(read.shape[1] - right.shape[1]) <= 2000


def test_resampling_keeps_a_tone_of_1_khz_sample_for_sample():
    tone = {hz: np.sin(2 * np.pi * 1000 * np.arange(hz) / hz)[None].astype("f4") for hz in (48_000, 44_100, 24_000)}
    for from_hz, to_hz in ((48_000, 24_000), (44_100, 24_000), (24_000, 48_000)):
        inner = slice(to_hz // 10, -to_hz // 10)
        np.testing.assert_allclose(
            files.resample(tone[from_hz], from_hz, to_hz)[0, inner], tone[to_hz][0, inner], atol=2e-4
        )


def test_resampling_kills_what_lies_above_the_new_nyquist():
    time_s = np.arange(48_000) / 48_000
    for hz in (13_000, 15_000, 23_000):
        tone = np.sin(2 * np.pi * hz * time_s).astype(np.float32)[None]
        assert rms_db(files.resample(tone, 48_000, 24_000)[0, 2_400:-2_400]) < -80


def test_resampling_keeps_channels_apart():
    wav = np.zeros((2, 4_800), np.float32)
    wav[1] = 0.5
    there = files.resample(wav, 48_000, 24_000)
    assert np.abs(there[0]).max() == 0
    np.testing.assert_allclose(there[1, 200:-200], 0.5, atol=1e-4)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_what_is_written_is_read_back_to_24_bits(tmp_path, suffix):
    wav = np.random.default_rng(0).uniform(-1, 1, (2, 5_000)).astype(np.float32)
    wav[:, 0] = 1.0, -1.0
    files.write(tmp_path / f"noise{suffix}", wav, 44_100)
    np.testing.assert_allclose(files.read(tmp_path / f"noise{suffix}", mono=False), wav, rtol=0, atol=1.5 * 2**-23)
    assert soundfile.info(tmp_path / f"noise{suffix}").samplerate == 44_100


def cut(folder: Path, suffix: str, size: int) -> Path:
    path = encode(folder / f"cut{suffix}", planted_tones(24_000, 1), 24_000)
    path.write_bytes(path.read_bytes()[:size])
    return path


def holding(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def float_wav(path: Path, *samples: float) -> Path:
    soundfile.write(path, np.array(samples, np.float32), 24_000, subtype="FLOAT")
    return path


BAD = {
    "missing": lambda folder: folder / "missing.wav",
    "missing, to ffmpeg": lambda folder: folder / "missing.m4a",
    "in a missing directory": lambda folder: folder / "nowhere" / "clip.wav",
    "name too long": lambda folder: folder / ("a" * 300 + ".wav"),
    "directory": lambda folder: folder,
    "empty": lambda folder: holding(folder / "empty.wav", b""),
    "empty, to ffmpeg": lambda folder: holding(folder / "empty.m4a", b""),
    "text as wav": lambda folder: holding(folder / "text.wav", b"just words\n" * 50),
    "text as mp3": lambda folder: holding(folder / "text.mp3", b"just words\n" * 50),
    "text as m4a": lambda folder: holding(folder / "text.m4a", b"just words\n" * 50),
    "text as au": lambda folder: holding(folder / "text.au", b"just words\n" * 50),
    "text without suffix": lambda folder: holding(folder / "text", b"just words\n" * 50),
    "zeros as wav": lambda folder: holding(folder / "zeros.wav", bytes(5_000)),
    "wav cut in its header": lambda folder: cut(folder, ".wav", 30),
    "wav cut after its header": lambda folder: cut(folder, ".wav", 44),
    "ogg cut in its header": lambda folder: cut(folder, ".ogg", 60),
    "flac cut in its header": lambda folder: cut(folder, ".flac", 30),
    "m4a cut in its header": lambda folder: cut(folder, ".m4a", 40),
    "NaN": lambda folder: float_wav(folder / "nan.wav", 0.1, np.nan, 0.1),
    "infinity": lambda folder: float_wav(folder / "inf.wav", 0.1, np.inf, 0.1),
    "no samples": lambda folder: float_wav(folder / "none.wav"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_refused_in_one_line_that_names_the_file(tmp_path, case):
    path = BAD[case](tmp_path)
    with pytest.raises(Unreadable) as refusal:
        files.read(path, 24_000)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("missing", "no such file"),
        ("directory", "is a directory"),
        ("empty", "is empty"),
        ("no samples", "0 samples"),
        ("NaN", "not finite"),
        ("text as m4a", "not a sound file"),
    ],
)
def test_a_refusal_says_what_was_found(tmp_path, case, reason):
    with pytest.raises(Unreadable, match=reason):
        files.read(BAD[case](tmp_path))


@pytest.mark.parametrize("case", ["text as wav", "wav cut in its header", "ogg cut in its header"])
def test_the_reason_is_a_reason_and_not_the_path_again(tmp_path, case):
    path = BAD[case](tmp_path)
    with pytest.raises(Unreadable) as refusal:
        files.read(path)
    assert str(refusal.value).count(str(path)) == 1


def test_a_film_without_sound_is_refused(tmp_path):
    path = tmp_path / "silent_film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        container.mux(stream.encode(None))
    with pytest.raises(Unreadable, match=r"silent_film\.mp4: "):
        files.read(path)


def test_a_wav_that_lost_its_end_gives_its_beginning(tmp_path):
    path = encode(tmp_path / "tone.wav", planted_tones(24_000, 1), 24_000)
    whole = files.read(path)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 10_000])
    np.testing.assert_array_equal(files.read(path), whole[:, :10_000])


@pytest.fixture
def full_disk(monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)  # the last step before the rename: by then all is written aside


def test_a_failing_write_leaves_nothing_behind(tmp_path, full_disk):
    with pytest.raises(OSError, match="No space left"):
        files.write(tmp_path / "new.wav", np.zeros((1, 10), np.float32), 24_000)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_keeps_what_was_there(tmp_path, full_disk):
    path = holding(tmp_path / "old.wav", b"precious")
    with pytest.raises(OSError, match="No space left"):
        files.write(path, np.zeros((1, 10), np.float32), 24_000)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("sample", [1.0001, -1.5, np.inf, np.nan])
def test_samples_that_full_scale_cannot_hold_are_not_written(tmp_path, sample):
    with pytest.raises(ValueError, match=r"loud\.wav"):
        files.write(tmp_path / "loud.wav", np.array([[0.0, sample, 0.0]], np.float32), 24_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("clip.mp3", ".wav or .flac"),
        ("clip", ".wav or .flac"),
        ("nowhere/clip.wav", "nowhere"),
        ("folder.wav", "directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_with_the_reason(tmp_path, name, reason):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(BadInput, match=reason) as refusal:
        files.check_writable(tmp_path / name)
    assert str(refusal.value).startswith(f"{tmp_path / name}: ")


def test_a_directory_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path or mode != os.W_OK)  # root may do all
    with pytest.raises(BadInput, match="not writable"):
        files.check_writable(tmp_path / "clip.wav")


def test_a_writable_place_is_accepted_and_not_touched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.check_writable("clip.wav")
    files.check_writable(tmp_path / "clip.FLAC")
    assert list(tmp_path.iterdir()) == []


def test_channels_that_cancel_in_mono_are_refused_by_name(tmp_path):
    tone = 0.5 * np.sin(np.arange(24_000) / 20.0).astype(np.float32)
    soundfile.write(tmp_path / "turned.wav", np.stack([tone, -tone], axis=1), 24_000)
    with pytest.raises(Unreadable, match="cancel each other"):
        files.read(tmp_path / "turned.wav")
    assert files.read(tmp_path / "turned.wav", mono=False).shape == (2, 24_000)


def streamed_flac(path: Path, wav_N: np.ndarray) -> Path:
    """As who records into a pipe writes it: the number of samples in its head is 0, not known."""
    soundfile.write(path, wav_N, 24_000)
    content = bytearray(path.read_bytes())
    total = 8 + 13  # behind "fLaC" and the head of its first block; 36 bits
    content[total] &= 0xF0
    content[total + 1 : total + 5] = bytes(4)
    path.write_bytes(content)
    return path


def test_a_stream_that_does_not_say_how_long_it_lasts_is_read_to_its_end(tmp_path):
    wav_N = np.random.default_rng(0).normal(0.0, 0.1, 48_000).astype(np.float32)
    path = streamed_flac(tmp_path / "stream.flac", wav_N)
    assert files.length_told(path) == 0.0
    assert files.read(path)[0] == pytest.approx(wav_N, abs=1e-4)


@pytest.mark.parametrize("kind", ["wav", "m4a", "stream"])
def test_what_lasts_longer_than_is_allowed_is_refused(tmp_path, kind):
    wav_N = np.random.default_rng(0).normal(0.0, 0.1, 48_000).astype(np.float32)
    if kind == "stream":
        path = streamed_flac(tmp_path / "long.flac", wav_N)
    else:
        path = encode(tmp_path / f"long.{kind}", wav_N[None], 24_000)
    with pytest.raises(Unreadable, match=r"lasts more than 1\.5 s"):
        files.read(path, 24_000, at_most_s=1.5)
    assert files.read(path, 24_000, at_most_s=2.2).shape[1] >= 48_000


def test_no_more_is_decoded_than_is_allowed(tmp_path, monkeypatch):
    path = streamed_flac(tmp_path / "long.flac", np.random.default_rng(0).normal(0.0, 0.1, 480_000))
    decoded, check = [], files._check_length
    monkeypatch.setattr(files, "_check_length", lambda path, s, most: (decoded.append(s), check(path, s, most)))
    with pytest.raises(Unreadable, match="lasts more than 1 s"):
        files.read(path, at_most_s=1.0)
    assert 1.0 < max(decoded) < 1.5


def test_samples_beyond_any_sound_are_refused_before_they_come_to_no_end(tmp_path):
    soundfile.write(tmp_path / "wild.wav", np.full((4800, 2), 3e38, np.float32), 48_000, subtype="FLOAT")
    with pytest.raises(Unreadable, match=r"wild\.wav: has samples of 3e\+38 times full scale"):
        files.read(tmp_path / "wild.wav", 24_000)


def test_a_head_that_claims_more_than_memory_holds_is_damage(tmp_path):
    soundfile.write(tmp_path / "long.flac", np.zeros(4800), 48_000)
    content = bytearray((tmp_path / "long.flac").read_bytes())
    # STREAMINFO: the last 36 bits before the MD5, from bit 108 of its 34 bytes on, are the samples in all.
    content[8 + 13] |= 0x0F
    content[8 + 14 : 8 + 18] = b"\xff\xff\xff\xfe"
    (tmp_path / "long.flac").write_bytes(bytes(content))
    assert soundfile.info(tmp_path / "long.flac").frames == 2**36 - 2
    try:
        assert files.read(tmp_path / "long.flac").shape == (1, 4800)  # PyAV reads what is there
    except Unreadable as error:
        assert "long.flac" in str(error)


def test_a_kind_of_sound_that_ffmpeg_does_not_know_is_refused(tmp_path):
    with av.open(str(tmp_path / "odd.mka"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=24_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2400), np.int16), format="s16", layout="mono")
        frame.sample_rate = 24_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    content = (tmp_path / "odd.mka").read_bytes()
    assert content.count(b"A_PCM/INT/LIT") == 1
    (tmp_path / "odd.mka").write_bytes(content.replace(b"A_PCM/INT/LIT", b"A_UNHEARD/OF_"))
    with pytest.raises(Unreadable, match=r"odd\.mka: is not a sound file that can be read.*FFmpeg does not know"):
        files.read(tmp_path / "odd.mka")


def test_a_pipe_is_not_called_empty(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(Unreadable, match=r"pipe\.wav: is no file but a pipe"):
        files.read(tmp_path / "pipe.wav")
