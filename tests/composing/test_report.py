import contextlib
import dataclasses
import hashlib
import json
import resource
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch

import sounds
from powermuse import weights
from powermuse.audio import clips, files
from powermuse.composing import report
from powermuse.composing.composer import Blend, Composer
from powermuse.metrics import rhythm
from powermuse.metrics.judges import notes_basic_pitch
from powermuse.types import BadInput


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, blend: Blend) -> Path:
    """A blend that was written, with its report and its picture beside it."""
    path = tmp_path_factory.mktemp("out") / "out.wav"
    report.write(blend, str(path))
    return path


@pytest.fixture(scope="module")
def told(out: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    told: dict[str, Any] = json.loads(out.with_suffix(".json").read_text(), parse_constant=refuse)
    return told


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_blend_is_three_files_and_no_more(out):
    assert sorted(p.name for p in out.parent.iterdir()) == ["out.json", "out.png", "out.wav"]


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(out, mel_model, groove, harmony, tmp_path):
    torch.manual_seed(12345)
    composer = Composer(weights.load_model(str(mel_model)), seed=5)
    report.write(composer.compose(composer.listen(groove), composer.listen(harmony)), str(tmp_path / "out.wav"))
    for name in ("out.wav", "out.json", "out.png"):
        assert (tmp_path / name).read_bytes() == (out.parent / name).read_bytes()


def test_the_report_says_where_everything_came_from_with_true_hashes(told, groove, harmony, mel_model):
    for side, path, seconds, level_db, looped in (
        ("groove", groove, 6, -24, False),
        ("harmony", harmony, 4, -34, True),
    ):
        assert told[side] == {
            "file": str(path),
            "sha256": sha256(path),
            "seconds": seconds,
            "level_db": pytest.approx(level_db, abs=0.05),
            "looped": looped,
        }
    assert told["model"] == {
        "name": str(mel_model),
        "recipe": "tiny test",
        "codec": "mel",
        "agent": "masking",
        "weights_sha256": sha256(mel_model / "model.safetensors"),
        "weights_licence": None,
    }
    assert told["seed"] == 5
    assert told["powermuse"] == version("powermuse")


def test_the_figures_of_the_blend_are_those_of_the_file(told, out):
    wav = files.read(out)
    figures = told["blend"]
    assert figures["file"] == "out.wav"
    assert figures["seconds"] == 6.0
    assert figures["sample_rate_hz"] == 24_000
    assert figures["level_db"] == pytest.approx(clips.level_db(wav), abs=0.006)
    assert figures["peak"] == pytest.approx(np.abs(wav).max(), abs=1e-4)
    wanted = np.sqrt((10 ** (-24 / 10) + 10 ** (-34 / 10)) / 2)
    assert figures["rms_ratio"] == pytest.approx(clips.rms(wav) / wanted, rel=0.01)
    assert figures["level_held_back"] is False
    assert 0 < figures["gain"] <= 3
    assert figures["seam_click"] < 1.1


def test_the_report_holds_the_masks_and_the_rhythm_of_both_sides(told, blend):
    assert blend.masks is not None
    masks = told["agent"]
    assert masks["balance.groove"] == pytest.approx(blend.masks[0].mean(), abs=0.01)
    assert masks["balance.harmony"] == pytest.approx(blend.masks[1].mean(), abs=0.01)
    assert masks["overlap"] == pytest.approx((blend.masks[0] * blend.masks[1]).mean(), abs=0.01)
    assert masks["complementarity"] == pytest.approx(1 - masks["overlap"], abs=1e-4)
    for side in ("groove", "harmony"):
        assert set(told["rhythm"][side]) == set(rhythm.Rhythm._fields)
    # The mix of drums and held chords has the onsets of the drums.
    assert told["rhythm"]["groove"]["onset_correlation"] > 0.5 > told["rhythm"]["harmony"]["onset_correlation"]


def test_the_picture_is_a_readable_png_with_something_on_each_panel(out):
    image = matplotlib.image.imread(out.with_suffix(".png"))
    assert image.shape[:2] == (1170, 1080)
    rows = [
        image[int(top * 1170) : int((top + 0.03) * 1170), 200:1000, :3] for top in (0.1, 0.32, 0.52, 0.7, 0.82, 0.93)
    ]
    assert all(row.std() > 0.02 for row in rows)


def test_an_agent_without_masks_gets_its_picture_too(blend, tmp_path):
    plain = dataclasses.replace(blend, masks=None, stats={})
    report.write(plain, str(tmp_path / "out.flac"))
    assert json.loads((tmp_path / "out.json").read_text())["agent"] == {}
    assert matplotlib.image.imread(tmp_path / "out.png").std() > 0.02


def test_half_a_second_and_silence_can_be_reported_on(mdct_model, tmp_path):
    composer = Composer(weights.load_model(str(mdct_model)))
    a = composer.listen(sounds.write(tmp_path / "a.wav", sounds.drums(0.5, 1)))
    b = composer.listen(sounds.write(tmp_path / "b.wav", sounds.chords(0.5, 1)))
    made = composer.compose(a, b)
    silent = report.describe(dataclasses.replace(made, wav_CN=np.zeros_like(made.wav_CN)))
    for told in (report.describe(made), silent):
        json.dumps(told, allow_nan=False)
    assert silent["blend"]["level_db"] == -200
    assert silent["rhythm"]["groove"]["onset_correlation"] == 0


@pytest.mark.parametrize("name", ["$^$.wav", "歌.wav", "new\nline.wav"])
def test_any_name_of_a_source_can_stand_in_the_picture(blend, name):
    odd = dataclasses.replace(blend, groove=dataclasses.replace(blend.groove, path=f"music/{name}"))
    assert report.draw(odd, report.describe(odd)).startswith(b"\x89PNG")


@pytest.fixture
def drawn_once(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture takes a second; where only the writing matters, the one that was drawn before is written again."""
    picture = out.with_suffix(".png").read_bytes()
    monkeypatch.setattr(report, "draw", lambda *_: picture)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100, 10_000, 420_000], ids=["the report", "the picture", "the sound"])
@pytest.mark.usefixtures("drawn_once")
def test_on_a_full_disk_none_of_the_three_appears(blend, tmp_path, size):
    with files_of_at_most(size), pytest.raises(OSError):
        report.write(blend, str(tmp_path / "out.wav"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".json", ".png", ".wav"])
@pytest.mark.usefixtures("drawn_once")
def test_where_one_of_the_three_cannot_be_put_none_appears(blend, tmp_path, suffix):
    (tmp_path / "out").with_suffix(suffix).mkdir()
    with pytest.raises((OSError, ValueError)):
        report.write(blend, str(tmp_path / "out.wav"))
    assert [p.name for p in tmp_path.iterdir()] == [f"out{suffix}"]


def test_where_the_wave_cannot_be_replaced_the_report_is_the_one_of_before(blend, tmp_path, monkeypatch):
    """A batch takes a blend for done where the report answers its request."""
    report.write(blend, str(tmp_path / "out.wav"), request="before")
    replace = Path.replace

    def held(path: Path, target: Path) -> Path:
        if target.suffix == ".wav":
            raise PermissionError(13, "in use", str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", held)
    with pytest.raises(PermissionError):
        report.write(blend, str(tmp_path / "out.wav"), request="now")
    assert report.read(tmp_path / "out.wav")["request"] == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.json", "out.png", "out.wav"]


@pytest.mark.parametrize("suffix", [".json", ".png", ".wav", ".mid"])
@pytest.mark.usefixtures("drawn_once")
def test_with_midi_it_is_all_four_or_none(blend, tmp_path, suffix):
    played = dataclasses.replace(blend, score=(np.ones((88, 150), bool), np.zeros((88, 150), bool)))
    report.write(played, str(tmp_path / "all.wav"), midi=True)
    assert {p.name for p in tmp_path.iterdir()} == {"all.json", "all.png", "all.wav", "all.mid"}
    (tmp_path / "none").with_suffix(suffix).mkdir()
    with pytest.raises((OSError, ValueError)):
        report.write(played, str(tmp_path / "none.wav"), midi=True)
    assert [p.name for p in tmp_path.glob("none*")] == [f"none{suffix}"]


def test_midi_of_a_composer_that_tells_no_notes_is_refused_and_nothing_written(blend, tmp_path, monkeypatch):
    monkeypatch.setattr(notes_basic_pitch, "is_there", lambda: False)
    with pytest.raises(BadInput, match="does not tell the notes"):
        report.write(blend, str(tmp_path / "out.wav"), midi=True)
    assert not list(tmp_path.iterdir())
    assert "notes" not in report.describe(blend)


@pytest.mark.usefixtures("drawn_once")
def test_a_failure_leaves_the_three_of_before_as_they_were(blend, out):
    before = {p: p.read_bytes() for p in out.parent.iterdir()}
    other = dataclasses.replace(blend, seed=99, wav_CN=-blend.wav_CN)
    with files_of_at_most(420_000), pytest.raises(OSError):
        report.write(other, str(out))
    assert {p: p.read_bytes() for p in out.parent.iterdir()} == before


def test_a_foreign_file_is_not_replaced_and_an_own_report_is(out, tmp_path):
    report.check_free(str(out))  # its own report and picture are there
    for name in ("mine.json", "mine.png"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(BadInput, match=name):
            report.check_free(str(tmp_path / "mine.wav"))
        (tmp_path / name).unlink()
    report.check_free(str(tmp_path / "mine.wav"))


def test_a_click_at_a_border_is_found_whatever_the_length(blend):
    hop = blend.hop_samples
    wav = 0.01 * np.sin(np.arange(100 * hop + 1) / 50.0)[None].astype(np.float32)
    wav[0, 40 * hop :] += 0.5
    clicking = dataclasses.replace(blend, wav_CN=wav, seams_frames=[40])
    assert report.seam_click(clicking) > 10
    assert report.seam_click(dataclasses.replace(clicking, seams_frames=[60])) < 0.1


def test_the_licence_of_the_weights_is_what_their_card_says(mdct_model, groove, harmony, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(mdct_model, model)
    (model / "CARD.md").write_text("# mine\n* **Licence of the weights**: CC-BY-4.0, not for sale.\n")
    assert weights.load_model(str(model)).licence == "CC-BY-4.0"
    assert {weights.load_model(name).licence for name in weights.shipped_models()} == {"Apache-2.0"}
