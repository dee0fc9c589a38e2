"""Two sounds on the bars of one, the loop that comes of them, and what is said about it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sounds
from powermuse import weights
from powermuse.audio import clips
from powermuse.audio.align import Bars, Heard, nearest_speed
from powermuse.audio.grid import Grid
from powermuse.cli import main
from powermuse.composing import alignment, formats
from powermuse.composing.alignment import Aligner, Wish
from powermuse.composing.composer import Blend, Composer, Sound
from powermuse.types import BadInput

RATE = 24_000


def heard(tempo_bpm: float = 120.0, confidence: float = 0.9, tonic: int = 0, mode: str = "major") -> Heard:
    return Heard(Grid(tempo_bpm, 4, 0.0, confidence), tonic, mode, 0.9)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("loops")
    random = np.random.default_rng(3)
    time_s = np.arange(9 * RATE) / RATE
    drone = (
        0.1 * sum(np.sin(2 * np.pi * hz * time_s) for hz in (110.0, 164.8, 277.2)) * (1.0 + 0.3 * np.sin(0.7 * time_s))
    )
    return {
        "beat": sounds.write(folder / "beat.wav", sounds.beat(9.6, 100.0)),  # four bars
        "strummed": sounds.write(folder / "strummed.wav", sounds.strummed(16.0, 120.0)),  # eight bars
        "late": sounds.write(folder / "late.wav", np.pad(sounds.strummed(12.0, 120.0), ((0, 0), (12_000, 0)))),
        "noise": sounds.write(folder / "noise.wav", 0.05 * random.standard_normal((1, 8 * RATE))),
        "drone": sounds.write(folder / "drone.wav", drone[None]),
    }


@pytest.fixture(scope="module")
def listen(mdct_model: Path):
    composer = Composer(weights.load_model(str(mdct_model)))
    return composer.listen


def aligned(listen, files, groove: str, harmony: str, **wish: str):
    return Aligner(Wish(**wish), RATE)(listen(files[groove]), listen(files[harmony]))


def beat_s(sound: Sound) -> float:
    """After how long, between .35 and .85 s, the strokes of a sound come again."""
    level = np.abs(sound.wav_CN[0, : sound.wav_CN.shape[1] // 240 * 240]).reshape(-1, 240).mean(axis=1)
    rise = np.maximum(np.diff(level), 0.0)
    lags = range(35, 85)
    return 0.01 * max(lags, key=lambda lag: float((rise[lag:] * rise[:-lag]).sum()))


def test_the_harmony_is_put_on_the_bars_of_the_groove(listen, files):
    groove, harmony, found = aligned(listen, files, "beat", "strummed", align="auto")
    assert found.bars.beats_per_bar in (2, 4)
    assert nearest_speed(found.bars.tempo_bpm / 100.0) == pytest.approx(1.0, abs=0.01)
    assert found.played["harmony"].speed == pytest.approx(100 / 120, abs=0.02)
    assert found.played["groove"].speed == pytest.approx(1.0, abs=1e-9)
    as_read = {side: listen(files[name]) for side, name in (("groove", "beat"), ("harmony", "strummed"))}
    for side, sound in (("groove", groove), ("harmony", harmony)):
        assert sound.wav_CN.shape[1] == round(found.played[side].bars * found.bars.seconds * RATE)
        assert clips.level_db(sound.levelled_CN) == pytest.approx(clips.LEVEL_DB, abs=0.01)
        assert (sound.seconds, sound.level_db) == (as_read[side].seconds, as_read[side].level_db), (
            "a report tells of the file"
        )
    assert beat_s(listen(files["strummed"])) == pytest.approx(0.5, abs=0.015)
    assert beat_s(harmony) == pytest.approx(0.6, abs=0.015), "its beats are the groove's now"


def test_at_a_tempo_both_are_played_at_it(listen, files):
    _, _, found = aligned(listen, files, "beat", "strummed", align="110")
    assert found.bars.tempo_bpm == 110.0
    assert found.played["groove"].speed == pytest.approx(1.1, abs=0.02)
    assert found.played["harmony"].speed == pytest.approx(110 / 120, abs=0.02)


def test_the_other_way_round_the_groove_is_played_faster(listen, files):
    _, _, found = aligned(listen, files, "beat", "strummed", align="harmony")
    assert found.played["harmony"].speed == pytest.approx(1.0, abs=1e-9)
    assert found.played["groove"].speed == pytest.approx(1.2, abs=0.03)


def test_it_begins_with_a_bar(listen, files):
    _, harmony, found = aligned(listen, files, "beat", "late", align="groove")
    assert found.played["harmony"].begin_s % found.heard["harmony"].grid.bar_s == pytest.approx(0.5, abs=0.06)
    assert float(np.abs(harmony.wav_CN[0, :2_400]).max()) > 0.05, "no silence before the first stroke"


def test_without_a_beat_in_the_groove_nothing_is_done_and_that_is_said(listen, files):
    groove, harmony, found = aligned(listen, files, "noise", "strummed", align="auto")
    assert found.bars is None and found.played == {}
    assert groove.wav_CN.shape[1] == 8 * RATE and harmony.wav_CN.shape[1] == 16 * RATE
    assert any("groove is not sure" in doubt for doubt in found.doubts)
    assert "not aligned" in alignment.in_words(found) and "not sure" in alignment.in_words(found)


def test_without_a_beat_in_the_harmony_it_keeps_its_pace_in_the_grooves_bars(listen, files):
    _, harmony, found = aligned(listen, files, "beat", "drone", align="auto")
    assert not alignment.is_sure(found.heard["harmony"])
    assert found.bars is not None and found.played["harmony"].speed == 1.0
    assert harmony.wav_CN.shape[1] % round(found.bars.seconds * RATE) <= 4


def test_moved_alone_it_stays_on_its_clock(listen, files):
    groove, harmony, found = aligned(listen, files, "beat", "strummed", align="off", transpose="-3")
    assert found.bars is None and found.played.keys() == {"harmony"}
    assert harmony.wav_CN.shape[1] == 16 * RATE and groove.wav_CN.shape[1] == round(9.6 * RATE)


def test_nothing_is_wanted_and_nothing_is_done(listen, files):
    groove = listen(files["beat"])
    assert Aligner(Wish(), RATE)(groove, groove) == (groove, groove, None)


@pytest.mark.parametrize(
    ("moved", "kept", "semitones"),
    [
        (heard(tonic=0), heard(tonic=2), 2),
        (heard(tonic=0), heard(tonic=11), -1),
        (heard(tonic=0), heard(tonic=9, mode="minor"), 0),
        (heard(tonic=4, mode="minor"), heard(tonic=0), 5),
        (heard(tonic=0), heard(tonic=6), -6),
    ],
)
def test_a_key_is_brought_to_the_notes_of_another_the_nearest_way(moved, kept, semitones):
    assert alignment.to_key(moved, kept) == semitones


@pytest.mark.parametrize(
    ("wish", "trouble"),
    [
        (Wish(align="sometimes"), "--align: auto, off, groove, harmony or 30 to 300"),
        (Wish(align="400"), "not '400'"),
        (Wish(align="nan"), "not 'nan'"),
        (Wish(transpose="13"), "--transpose: groove, or -12 to 12"),
        (Wish(transpose="up"), "not 'up'"),
    ],
)
def test_a_wish_without_meaning_is_refused_in_one_line(wish, trouble):
    with pytest.raises(BadInput, match=trouble):
        alignment.check(wish)


@pytest.fixture(scope="module")
def loop(mdct_model: Path, files: dict[str, Path]) -> Blend:
    """A blend on common bars, by a model that decodes at once."""
    composer = Composer(weights.load_model(str(mdct_model)))
    groove, harmony, found = Aligner(Wish("groove"), RATE)(
        composer.listen(files["beat"]), composer.listen(files["strummed"])
    )
    return composer.compose(groove, harmony, alignment=found)


def test_the_blend_of_aligned_sounds_is_whole_bars_and_its_end_leads_to_its_beginning(loop):
    bars = loop.alignment.bars
    count = loop.loop_s / bars.seconds
    assert count == pytest.approx(round(count), abs=1e-9)
    assert loop.wav_CN.shape[1] == round(loop.loop_s * RATE)
    wav = loop.wav_CN[0]
    steps = np.abs(np.diff(np.concatenate([wav[-480:], wav[:480]])))
    assert steps[478:481].max() <= 1.2 * np.abs(np.diff(wav)).max()


def test_after_the_end_of_a_loop_comes_its_beginning_whatever_a_longer_clip_plays_there(mdct_model, files):
    composer = Composer(weights.load_model(str(mdct_model)))
    groove, harmony, found = Aligner(Wish("groove"), RATE)(*(composer.listen(files[n]) for n in ("beat", "strummed")))
    samples = groove.wav_CN.shape[1]
    assert harmony.wav_CN.shape[1] > samples
    cut = dataclasses.replace(harmony, wav_CN=harmony.wav_CN[:, :samples], levelled_CN=harmony.levelled_CN[:, :samples])
    one, other = (composer.compose(groove, each, "groove", alignment=found) for each in (harmony, cut))
    assert np.array_equal(one.wav_CN, other.wav_CN)


def test_two_parts_of_a_file_are_two_sounds(mdct_model, tmp_path):
    silent_at_its_ends = np.concatenate(
        [sounds.beat(6.0, 100.0), np.zeros((1, 10)), sounds.beat(6.0, 131.0), np.zeros((1, 10))], axis=1
    )
    path = sounds.write(tmp_path / "both.wav", silent_at_its_ends)
    composer = Composer(weights.load_model(str(mdct_model)))
    half_s = silent_at_its_ends.shape[1] / 2 / RATE
    parts = composer.listen(path, 0.0, half_s), composer.listen(path, half_s, 2 * half_s)
    assert parts[0].wav_CN.shape == parts[1].wav_CN.shape and parts[0].wav_CN[0, -1] == parts[1].wav_CN[0, -1]
    _, _, found = Aligner(Wish("groove"), RATE)(*parts)
    assert nearest_speed(found.heard["harmony"].grid.tempo_bpm / 131.0) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("rate_hz", [24_000, 44_100, 48_000])
def test_at_any_rate_a_loop_is_an_exact_number_of_bars(loop, rate_hz):
    wav_CN, _ = formats.written(loop, formats.Form(rate_hz))
    assert wav_CN.shape[1] == round(loop.loop_s * rate_hz)
    wav = wav_CN[0]
    assert abs(wav[0] - wav[-1]) <= np.abs(np.diff(wav)).max()


def test_the_command_says_what_was_found_and_writes_it_down(files, mel_model, tmp_path, capsys):
    out = tmp_path / "loop.wav"
    command = ["compose", str(files["beat"]), str(files["strummed"]), "-o", str(out), "--model", str(mel_model)]
    assert main([*command, "--length", "groove", "--transpose", "2"]) == 0
    said = capsys.readouterr().out
    assert "alignment: bars of" in said and "moved by +2 semitones" in said
    told = json.loads(out.with_suffix(".json").read_text())
    assert told["blend"]["loops"] is True
    assert told["alignment"]["harmony"]["played"]["semitones"] == 2
    bars = told["alignment"]["bars"]
    count = told["alignment"]["groove"]["played"]["bars"]
    assert soundfile.info(out).frames == pytest.approx(
        count * bars["beats_per_bar"] * 60 / bars["tempo_bpm"] * RATE, abs=9
    )
    assert main([*command, "--align", "off"]) == 0
    assert "alignment" not in capsys.readouterr().out
    assert "alignment" not in json.loads(out.with_suffix(".json").read_text())
    assert main([*command, "--align", "often"]) == 2


def test_bars_have_their_length_by_their_tempo():
    assert Bars(100.0, 4).seconds == pytest.approx(2.4)
