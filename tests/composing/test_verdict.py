"""What a blend took: known blends of known clips, each beside a plain mix of them."""

import dataclasses
import itertools

import numpy as np
import pytest

import sounds
from powermuse.audio import clips
from powermuse.composing import verdict
from powermuse.composing.composer import Blend, Sound
from powermuse.recipe import Choice

RATE, SECONDS = 24_000, 16.0


def sound(wav_CN: np.ndarray) -> Sound:
    levelled_CN, level_db = clips.normalise_level(wav_CN)
    return Sound("", "", wav_CN, levelled_CN, level_db, wav_CN.shape[1] / RATE)


@pytest.fixture(scope="module")
def pair() -> tuple[Sound, Sound]:
    return sound(sounds.drums(SECONDS, 1)), sound(sounds.chords(SECONDS, 2))


def judged(blend: Blend, wav_CN: np.ndarray, pair: tuple[Sound, Sound]) -> dict:
    made = dataclasses.replace(blend, wav_CN=wav_CN, sample_rate_hz=RATE, groove=pair[0], harmony=pair[1])
    return verdict.evaluate(made)


def test_a_plain_mix_is_told_as_one(blend, pair):
    told = judged(blend, 0.3 * (pair[0].levelled_CN + pair[1].levelled_CN), pair)
    assert told["blend"] == pytest.approx(told["plain_mix"], abs=0.01)
    assert told["blend"]["copied"] > 0.9 and told["blend"]["rhythm_of_groove"] > 0.5
    assert told["nearest_bar"]["similarity"] > 0.5
    assert told["heard_s"] == SECONDS


def test_music_of_neither_has_nothing_of_either(blend, pair):
    told = judged(blend, sounds.chords(SECONDS, 77), pair)["blend"]
    assert told["copied"] < 0.4 and told["rhythm_of_groove"] < 0.3


def test_what_is_the_harmony_itself_has_its_chords_and_its_nearest_bar_is_in_it(blend, pair):
    told = judged(blend, pair[1].wav_CN, pair)
    assert told["blend"]["chords_of_harmony"] == 1.0
    bar = told["nearest_bar"]
    assert bar["source"] == "harmony" and bar["similarity"] == pytest.approx(1.0, abs=1e-3)
    assert bar["blend_s"] == pytest.approx(bar["source_s"], abs=0.05)


def test_the_nearest_bar_of_a_short_loop_lies_in_it(blend, pair):
    loop_s = 2.16
    at = slice(0, round(loop_s * RATE))
    parts = [sound(s.wav_CN[:, at]) for s in pair]
    made = dataclasses.replace(
        blend, wav_CN=parts[1].wav_CN, sample_rate_hz=RATE, groove=parts[0], harmony=parts[1], loop_s=loop_s
    )
    found = [verdict._nearest_bar(verdict._at_one_rate(made), bar_s, loop_s) for bar_s in (0.5, 1.08, 2.0, 2.16)]
    assert all(bar["blend_s"] <= loop_s and bar["source_s"] <= loop_s for bar in found)


def test_the_rank_is_the_mean_of_rhythm_chords_and_what_is_not_copied():
    told = {"rhythm_of_groove": 0.8, "rhythm_of_harmony": 0.9, "chords_of_harmony": 0.6, "copied": 0.3}
    usual = {"rhythm": "groove", "harmony": "harmony"}
    assert verdict._rank(told, usual) == pytest.approx((0.8 + 0.6 + 0.7) / 3, abs=1e-4)
    assert verdict._rank({**told, "rhythm_of_groove": -0.2, "copied": 1.2}, usual) == pytest.approx(0.2, abs=1e-4)
    assert verdict._rank({**told, "copied": None}, usual) is None
    assert verdict._rank(told, {**usual, "rhythm": "harmony"}) == pytest.approx((0.9 + 0.6 + 0.7) / 3, abs=1e-4)
    assert verdict._rank(told, {**usual, "harmony": "both"}) is None


def test_a_blend_is_ranked_by_the_clips_that_it_was_asked_from(blend, pair):
    """The same two sounds, their places exchanged and the factors too, are ranked alike."""

    def by(**shares: list[float]) -> Blend:
        agent = Choice("factors", {f"{name}_from": share for name, share in shares.items()})
        run = dataclasses.replace(blend.model.recipe, agent=agent)
        return dataclasses.replace(blend, model=dataclasses.replace(blend.model, recipe=run))

    wav_CN = sounds.drums(SECONDS, 1) + 0.5 * sounds.chords(SECONDS, 2)
    usual = judged(by(), wav_CN, pair)
    exchanged = judged(by(rhythm=[0.0, 1.0], harmony=[1.0, 0.0]), wav_CN, pair[::-1])
    assert usual["rank"] > 0.3 and exchanged["rank"] == pytest.approx(usual["rank"], abs=0.02)
    assert exchanged["blend"]["chords_of_groove"] == pytest.approx(usual["blend"]["chords_of_harmony"], abs=0.01)
    assert exchanged["from"] == {"rhythm": "harmony", "harmony": "groove"}
    assert judged(by(rhythm=[1.0, 1.0]), wav_CN, pair)["rank"] is None


def test_a_long_piece_is_heard_in_four_stretches_spread_over_it():
    minute = 60 * RATE
    spans = verdict._spans(5 * minute)
    assert len(spans) == 4 and spans[0][0] == 0 and spans[-1][1] == 5 * minute
    assert all(end - begin == 16 * RATE for begin, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert verdict._spans(minute // 10) == [(0, minute // 10)]


def test_of_three_seconds_nothing_is_said_and_of_silence_no_figure(blend, pair):
    short = tuple(sound(s.wav_CN[:, : 3 * RATE]) for s in pair)
    assert judged(blend, short[0].wav_CN, short) == {}
    hushed = dataclasses.replace(pair[1], wav_CN=np.zeros_like(pair[1].wav_CN))
    told = judged(blend, pair[0].wav_CN, (pair[0], hushed))
    assert set(told["blend"].values()) == {None} and told["rank"] is None
