"""Factors on the command line: where each comes from, how far it is insisted on, orchestrations and variations."""

import argparse
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sounds
from powermuse import recipe, weights
from powermuse.agents.factors import Config, FactorsAgent
from powermuse.audio import files
from powermuse.cli import main
from powermuse.commands.compose import _distinct, _shares
from powermuse.composing import factors, notes
from powermuse.composing.composer import Composer
from powermuse.data.render import midi
from powermuse.metrics.judges import notes_basic_pitch
from powermuse.types import BadInput, Clip

Capture = pytest.CaptureFixture[str]
MODEL = """
name: small factors
codec: {name: mel, options: {inversion_steps: 8, phase_steps: 4}}
agent: {name: factors}
composer: flow
flow:
  {width: 16, heads: 2, draft_layers: 1, refine_layers: 1, steps: 2, guidance: [0.0, 0.5], leaning: 0.4,
  orchestrations: [blocks, "held: no", "off"]}
weights: {draft.truth: 1.0}
"""
OWN = dict.fromkeys(factors.FACTORS, (None, None))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("factors")
    sounds.write(folder / "a.wav", sounds.drums(2.0, 1))
    sounds.write(folder / "b.wav", sounds.chords(2.0, 2))
    torch.manual_seed(0)
    run = recipe.parse(MODEL, "here")
    model = weights.build_model(run, 128)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    weights.save_model(folder / "model", model, run)
    return folder


def compose(shop: Path, out: Path, *more: str) -> int:
    sources = (str(shop / "a.wav"), str(shop / "b.wav"))
    return main(["compose", *sources, "-o", str(out), "--model", str(shop / "model"), *more])


def sound(path: Path) -> np.ndarray:
    return files.read(path, 24_000)


def test_variations_are_numbered_differ_and_are_what_their_seeds_give(shop, tmp_path):
    assert compose(shop, tmp_path / "blend.wav", "--variations", "2", "--seed", "5") == 0
    assert compose(shop, tmp_path / "single.wav", "--seed", "6") == 0
    first, second = (sound(tmp_path / f"blend-{i}.wav") for i in (1, 2))
    assert not np.allclose(first, second)
    assert np.array_equal(second, sound(tmp_path / "single.wav"))
    assert json.loads((tmp_path / "blend-2.json").read_text())["seed"] == 6
    single = json.loads((tmp_path / "single.json").read_text())
    assert single["asked"] == {"length": "longer", "align": "auto", "transpose": "0"}
    assert single["chords"][0][0] == 0.0 and single["chords"][-1][1] == pytest.approx(
        single["blend"]["seconds"], abs=0.1
    )
    assert not (tmp_path / "blend.wav").exists()


def test_no_variation_takes_the_place_of_a_source(shop, tmp_path, capsys):
    mine = tmp_path / "blend-2.wav"
    mine.write_bytes((shop / "b.wav").read_bytes())
    words = ["compose", str(shop / "a.wav"), str(mine), "-o", str(tmp_path / "blend.wav"), "--variations", "2"]
    assert main([*words, "--model", str(shop / "model")]) == 2
    assert "is also a source" in capsys.readouterr().err
    assert mine.read_bytes() == (shop / "b.wav").read_bytes() and not (tmp_path / "blend-1.wav").exists()


def told(path: Path) -> Any:
    return json.loads(path.read_text())


def test_variations_take_the_orchestrations_in_their_turn(shop, tmp_path):
    assert compose(shop, tmp_path / "blend.wav", "--variations", "3", "--seed", "5") == 0
    assert [told(tmp_path / f"blend-{i}.json")["orchestration"] for i in (1, 2, 3)] == ["off", "blocks", "held: no"]


def test_the_orchestration_asked_for_is_the_one_heard(shop, tmp_path):
    assert compose(shop, tmp_path / "asked.wav", "--seed", "5", "--orchestration", "blocks") == 0
    assert compose(shop, tmp_path / "own.wav", "--seed", "5", "--orchestration", "off") == 0
    assert compose(shop, tmp_path / "turn.wav", "--seed", "5") == 0
    assert told(tmp_path / "asked.json")["orchestration"] == "blocks"
    assert np.array_equal(sound(tmp_path / "own.wav"), sound(tmp_path / "turn.wav"))
    assert not np.allclose(sound(tmp_path / "own.wav"), sound(tmp_path / "asked.wav"))
    assert compose(shop, tmp_path / "all.wav", "--variations", "2", "--orchestration", "held: no") == 0
    assert {told(tmp_path / f"all-{i}.json")["orchestration"] for i in (1, 2)} == {"held: no"}


def test_what_was_composed_is_written_as_midi_beside_the_wave(shop, tmp_path, capsys: Capture):
    assert compose(shop, tmp_path / "blend.wav", "--midi", "--seed", "2", "--align", "off") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"blend.{kind}" for kind in ("json", "mid", "png", "wav")]
    made = Composer(weights.load_model(str(shop / "model")), seed=2)
    played = notes.played(made.compose(*(made.listen(shop / f"{name}.wav") for name in "ab")))
    assert played
    (channel,) = midi.read((tmp_path / "blend.mid").read_bytes()).channels
    read = sorted((n.pitch, n.start, n.end, n.velocity) for n in channel.notes)
    assert read == [(n.pitch, round(1000 * n.start_s), round(1000 * n.end_s), n.velocity) for n in played]
    report = told(tmp_path / "blend.json")
    assert report["notes"] == len(played) and report["blend"]["midi"] == "blend.mid"
    assert f"MIDI: {tmp_path / 'blend.mid'}, {len(played)} notes\n" in capsys.readouterr().out
    assert compose(shop, tmp_path / "blend.wav", "--midi") == 0, "its own may be replaced"
    assert compose(shop, tmp_path / "blend.wav") == 0
    assert not (tmp_path / "blend.mid").exists(), "the notes of what is no longer there"
    assert compose(shop, tmp_path / "blend.wav", "--midi") == 0


def test_without_being_asked_for_there_is_no_midi_and_a_foreign_one_is_left_alone(shop, tmp_path, capsys: Capture):
    (tmp_path / "blend.mid").write_bytes(b"mine")
    assert compose(shop, tmp_path / "blend.wav") == 0
    assert "midi" not in told(tmp_path / "blend.json")["blend"]
    assert compose(shop, tmp_path / "blend.wav", "--midi") == 2
    assert "blend.mid: exists" in capsys.readouterr().err
    assert (tmp_path / "blend.mid").read_bytes() == b"mine"


@pytest.mark.skipif(not notes_basic_pitch.is_there(), reason="basic-pitch is not installed")
@pytest.mark.long
def test_notes_of_a_model_that_tells_none_are_those_that_basic_pitch_hears(shop, tmp_path, capsys: Capture):
    assert compose(shop, tmp_path / "own.wav", "--midi") == 0
    assert told(tmp_path / "own.json")["notes_by"] == "score"
    sounds.write(tmp_path / "chords.wav", sounds.strummed(2.0, 120.0))
    mix = [str(tmp_path / "chords.wav")] * 2 + ["-o", str(tmp_path / "mix.wav"), "--model", "starter", "--align", "off"]
    assert main(["compose", *mix, "--midi"]) == 0
    report = told(tmp_path / "mix.json")
    (channel,) = midi.read((tmp_path / "mix.mid").read_bytes()).channels
    assert report["notes_by"] == "basic-pitch" and report["notes"] == len(channel.notes)
    assert {note.pitch % 12 for note in channel.notes} >= {0, 4, 7}, "C major"
    assert f"{len(channel.notes)} notes, as basic-pitch hears them\n" in capsys.readouterr().out


def test_a_model_that_tells_no_notes_says_so_before_any_work(tmp_path, monkeypatch, capsys: Capture):
    monkeypatch.setattr(notes_basic_pitch, "is_there", lambda: False)
    assert (
        main(["compose", "gone.wav", "gone.ogg", "-o", str(tmp_path / "blend.wav"), "--model", "starter", "--midi"])
        == 2
    )
    error = capsys.readouterr().err
    assert "model starter does not tell the notes that it composes" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_factor_from_the_other_clip_is_heard(shop, tmp_path):
    assert compose(shop, tmp_path / "own.wav") == 0
    assert compose(shop, tmp_path / "stated.wav", "--rhythm-from", "groove", "--colour-from", "harmony") == 0
    assert compose(shop, tmp_path / "turned.wav", "--rhythm-from", "harmony") == 0
    assert compose(shop, tmp_path / "shared.wav", "--colour-from", "groove:0.3,harmony:0.7") == 0
    own = sound(tmp_path / "own.wav")
    assert np.array_equal(own, sound(tmp_path / "stated.wav"))
    assert not np.allclose(own, sound(tmp_path / "turned.wav"))
    assert not np.allclose(own, sound(tmp_path / "shared.wav"))


def test_notes_lean_to_the_chords_that_the_agent_tells(shop):
    def notes_of(*settings: str) -> np.ndarray:
        composer = Composer(weights.load_model(shop / "model", ["flow.guidance=[]", *settings]))
        blend = composer.compose(composer.listen(shop / "a.wav"), composer.listen(shop / "b.wav"))
        assert blend.notes_QN is not None
        return blend.notes_QN

    plain, leant = notes_of("flow.leaning=0"), notes_of("flow.leaning=3")
    assert (leant > plain).any(axis=1).any() and (leant < plain).any(axis=1).any()


def test_strengths_become_guidance_on_top_of_the_models_own(shop):
    model = str(shop / "model")
    assert factors.overrides(model, OWN) == []
    assert factors.overrides(model, {**OWN, "rhythm": (None, 2.0)}) == ["flow.guidance=[1.0, 0.5, 0.0]"]
    assert factors.overrides(model, {**OWN, "harmony": (None, 2.0)}) == [
        "flow.leaning=1.4",
        "flow.guidance=[0.0, 2.0, 0.0]",
    ]
    assert factors.overrides(model, {**OWN, "harmony": ((1.0, 0.0), 0.0)}) == [
        "agent.options.harmony_from=[1.0, 0.0]",
        "flow.leaning=0.0",
        "flow.guidance=[0.0, -1.0, 0.0]",
    ]
    assert factors.overrides(model, {**OWN, "harmony": (None, 0.5)})[0] == "flow.leaning=0.2"
    loaded = weights.load_model(model, factors.overrides(model, {**OWN, "colour": ((1.0, 1.0), 3.0)}))
    assert loaded.recipe.flow.guidance == [0.0, 0.5, 2.0]
    assert loaded.recipe.agent.options["colour_from"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--rhythm-from", "nowhere"], "groove, harmony, both or shares"),
        (["--rhythm-from", "groove:-1"], "groove, harmony, both or shares"),
        (["--rhythm-from", "both:1"], "groove, harmony, both or shares"),
        (["--harmony-strength", "3.5"], "--harmony-strength must be from 0 to 3"),
        (["--harmony-strength", "nan"], "--harmony-strength must be from 0 to 3"),
        (["--variations", "0"], "--variations must be at least 1"),
        (["--orchestration", "waltz"], "model knows blocks, held: no, off; not 'waltz'"),
        (["--orchestration", "Blocks"], "not 'Blocks'"),
        (["--orchestration", ""], "not ''"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_said_and_nothing_written(shop, tmp_path, capsys: Capture, more, words):
    try:
        status = compose(shop, tmp_path / "blend.wav", *more)
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", [".", "/", ""])
def test_variations_want_a_name_to_be_numbered(shop, tmp_path, monkeypatch, capsys: Capture, out):
    monkeypatch.chdir(tmp_path)
    assert main(["compose", str(shop / "a.wav"), str(shop / "b.wav"), "-o", out, "--variations", "2"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_it_is_known_how_many_variations_have_notes_of_their_own():
    def of(model: str, *settings: str) -> float:
        return _distinct(weights.load_model(model, settings).recipe)

    assert of("factors") == 8 and of("factors", "flow.orchestration=arpeggio") == 1
    assert of("factors", "flow.steps=4") == of("starter") == math.inf


def test_what_has_the_same_notes_is_told_before_it_is_composed_again(shop, tmp_path, capsys: Capture):
    model = shutil.copytree(shop / "model", tmp_path / "still")
    told = (model / "recipe.yaml").read_text()
    (model / "recipe.yaml").write_text(re.sub("steps: 2", "steps: 0", told))
    words = ["compose", *(str(shop / f"{name}.wav") for name in "ab"), "-o", str(tmp_path / "blend.wav")]
    assert main([*words, "--model", str(model), "--variations", "2", "--orchestration", "blocks"]) == 0
    assert "note: 2 variations, but notes for 1 only" in capsys.readouterr().err


def test_shares_keep_their_proportion_and_the_larger_is_whole():
    assert _shares("groove:70,harmony:30") == (1.0, pytest.approx(3 / 7))
    with pytest.raises(argparse.ArgumentTypeError, match=r"groove:1,groove:0\.5"):
        _shares("groove:1,groove:0.5")
    assert _shares("groove:0.6,harmony:0.3") == (1.0, 0.5) and _shares("harmony:0.5") == (0.0, 1.0)


def test_a_model_without_factors_says_so():
    with pytest.raises(BadInput, match="starter: its agent is masking"):
        factors.overrides("starter", {**OWN, "rhythm": ((0.0, 1.0), None)})


def test_a_model_without_orchestrations_says_so(shop, tmp_path, capsys: Capture):
    sources = (str(shop / "a.wav"), str(shop / "b.wav"))
    model = ("--model", "starter")
    assert main(["compose", *sources, "-o", str(tmp_path / "blend.wav"), *model, "--orchestration", "blocks"]) == 2
    assert capsys.readouterr().err == "powermuse: --orchestration: model starter tells no orchestrations apart\n"
    assert not list(tmp_path.iterdir())


def clip(seed: int, frames: int = 120) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    z_BDT = 5.0 + 4.0 * torch.randn(1, 128, frames, generator=generator)
    chroma_BPT = torch.rand(1, 24, frames // 40, generator=generator).pow(6).repeat_interleave(40, dim=-1)
    return Clip(z_BDT, torch.rand(1, 8, frames, generator=generator), chroma_BPT, torch.full((1, frames), -20.0))


@torch.inference_mode()
@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("factor", ["rhythm", "harmony", "colour"])
def test_at_strength_0_a_factor_is_gone_with_all_that_tells_of_it(shop, factor, strength):
    """What the factor alone is read from, the voicing too, may then be another clip's as well."""
    settings = factors.overrides(str(shop / "model"), {**OWN, factor: (None, strength)})
    model = weights.load_model(str(shop / "model"), [*settings, "flow.steps=0"]).model
    groove, harmony, other = clip(1), clip(2), clip(3)
    changed = {
        "rhythm": (other, harmony),
        "harmony": (groove, harmony._replace(chroma_BPT=other.chroma_BPT)),
        "colour": (groove, harmony._replace(z_BDT=other.z_BDT)),
    }
    before, after = (model(*clips)[1].blend_BDT for clips in ((groove, harmony), changed[factor]))
    assert torch.allclose(before, after, atol=1e-2) is (strength == 0.0)


def test_shares_of_the_rhythm_are_told_against_the_larger_and_a_pad_is_no_drum():
    def rhythm_of(*shares: float, harmony: Clip) -> torch.Tensor:
        agent = FactorsAgent(Config(rhythm_from=list(shares)), 128).eval()
        return agent(drums, harmony).streams[0]

    drums = clip(1)
    quiet = clip(2)._replace(onsets_BKT=1e-3 * clip(2).onsets_BKT, level_BT=drums.level_BT)
    alone, both = rhythm_of(1.0, 0.0, harmony=quiet), rhythm_of(1.0, 1.0, harmony=quiet)
    assert torch.equal(both, rhythm_of(0.5, 0.5, harmony=quiet)), "equal shares are both whole"
    assert (both - alone)[:, :-1].max() < 0.04, "the strokes of a pad are not those of drums"
    assert rhythm_of(0.0, 1.0, harmony=quiet)[:, :-1].max() == 1.0, "alone it counts as what it is"
    loud = clip(2)
    most, less = rhythm_of(0.7, 0.3, harmony=loud), rhythm_of(7.0, 3.0, harmony=loud)
    assert torch.allclose(most, less) and bool((most >= alone - 0.2).all())


def test_a_blend_is_decoded_with_the_notes_that_it_was_painted_from(shop, monkeypatch):
    made = Composer(weights.load_model(str(shop / "model")), seed=2)
    decode, heard = made.codec.decode_played, []
    monkeypatch.setattr(made.codec, "decode_played", lambda z, roll: heard.append(roll) or decode(z, roll))
    blend = made.compose(*(made.listen(shop / f"{name}.wav") for name in "ab"))
    (roll_BQT,) = heard
    sounds_QN, struck_QN = blend.score
    assert sounds_QN.any() and roll_BQT.shape[-1] == blend.wav_CN.shape[-1] / 320
    assert np.array_equal(roll_BQT[0, :, ::3] == 2, struck_QN)
    assert np.array_equal(roll_BQT[0, :, 1::3] > 0, sounds_QN)
