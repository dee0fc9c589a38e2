import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from powermuse import weights
from powermuse.audio import clips
from powermuse.codecs.mel import MelCodec
from powermuse.composing import report
from powermuse.composing.composer import at_level
from powermuse.data.pairs import validation_source
from powermuse.data.shards import Dataset
from powermuse.recipe import Recipe
from powermuse.training import checkpoint, runs
from powermuse.training.tracking import CLOCK
from powermuse.training.trainer import Trainer
from powermuse.types import BadInput
from training.toys import toy

# A moving average, dropout, sound losses: whatever listening might disturb.
FULL = (
    "training.ema=0.9",
    "training.validate_every=12",
    "training.pairs=60",
    "codec.options={inversion_steps: 4, phase_steps: 2}",
)


def train(recipe: Recipe, data: Path, run: Path) -> tuple[Trainer, list[str]]:
    messages: list[str] = []
    trainer = Trainer(recipe, str(data), str(run), lambda p: messages.append(p.message) if p.message else None)
    trainer.fit()
    return trainer, messages


def log(run: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith(CLOCK)} for line in found]


@pytest.fixture(scope="module")
def heard(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was listened to."""
    run = tmp_path_factory.mktemp("heard") / "run"
    train(toy(*FULL, "tracking.listen=1"), dataset, run)
    return run


def read(path: Path) -> np.ndarray:
    wav, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate_hz == 24_000
    return wav.T


def names(run: Path, suffix: str) -> set[str]:
    return {path.stem.lstrip("0") for path in (run / "listen").glob(f"*{suffix}")}


def test_each_validation_is_heard_and_groove_and_harmony_once(heard):
    assert [line["seen"] for line in log(heard) if line["split"] == "val"] == [12, 24, 36, 48, 60]
    assert names(heard, ".flac") >= {"12", "60", "groove", "harmony"} and len(names(heard, ".flac")) <= 5
    assert names(heard, ".png") == names(heard, ".flac") - {"groove", "harmony"}


def test_first_best_and_newest_stay_each_with_its_picture(dataset, tmp_path):
    trainer, _ = train(toy(*FULL, "training.pairs=12", "tracking.listen=2"), dataset, tmp_path / "run")
    assert trainer.listening is not None
    for seen in (24, 36, 48, 60):
        files = trainer.listening.hear(seen, 1.0, best_at=24)
        assert files is not None and set(files.sounds) == {"blend"}
        assert files.sounds["blend"].exists() and files.picture.exists()
    assert names(tmp_path / "run", ".png") == {"12", "24", "48", "60"}
    assert names(tmp_path / "run", ".flac") == {"12", "24", "48", "60", "groove", "harmony"}


def test_what_a_killed_process_heard_after_its_checkpoint_is_no_newest(dataset, tmp_path):
    run = tmp_path / "run"
    train(toy(*FULL, "training.pairs=12", "tracking.listen=1"), dataset, run)
    for seen in (48, 60):
        for suffix in (".flac", ".png"):
            shutil.copy(run / f"listen/{12:012d}{suffix}", run / f"listen/{seen:012d}{suffix}")
    _, messages = train(toy(*FULL, "training.pairs=36", "tracking.listen=1"), dataset, run)
    assert messages == ["going on from pair 12"]
    assert "36" in names(run, ".flac") & names(run, ".png")
    assert not {"48", "60"} & (names(run, ".flac") | names(run, ".png"))


def test_what_was_just_heard_stays_until_the_trackers_have_it(dataset, tmp_path):
    trainer, _ = train(toy(*FULL, "training.pairs=12", "tracking.listen=1"), dataset, tmp_path / "run")
    assert trainer.listening is not None and trainer.listening.hear(60, 1.0, best_at=12) is not None
    heard = trainer.listening.hear(24, 1.0, best_at=12)  # 60 is of another process, or of a clock set back
    assert heard is not None and heard.sounds["blend"].exists() and heard.picture.exists()


def test_what_is_heard_is_the_first_validation_pair_by_the_model_that_was_validated(heard, dataset):
    losses = {line["seen"]: line["loss"] for line in log(heard) if line["split"] == "val"}
    best = min(losses, key=lambda seen: losses[seen])
    loaded = weights.load_model(str(heard))  # the best, as it was saved
    source = validation_source(Dataset(dataset, "val"), "shuffled", 48)
    assert source is not None
    pair, codec = source.batch(0, 1), weights.build_codec(loaded.recipe)
    with torch.no_grad():
        blend_BDT = loaded.model(pair.groove, pair.harmony)[1].blend_BDT
        blend, groove, harmony = (
            codec.decode(z)[0].numpy() for z in (blend_BDT, pair.groove.z_BDT, pair.harmony.z_BDT)
        )
    wanted, *_ = at_level(blend, groove, harmony, 24_000)
    found = read(heard / f"listen/{best:012d}.flac")
    assert found.shape == (1, 48 * 320)
    assert clips.rms(found - wanted) < 1e-4 * clips.rms(wanted)
    assert clips.rms(read(heard / "listen/groove.flac") - clips.limit_peaks(groove, 0.98, 24_000)) < 1e-5
    assert clips.rms(read(heard / "listen/harmony.flac") - clips.limit_peaks(harmony, 0.98, 24_000)) < 1e-5


def test_no_number_of_the_run_is_another_for_it(heard, dataset, tmp_path):
    train(toy(*FULL, "tracking.listen=0"), dataset, tmp_path / "run")
    assert not (tmp_path / "run/listen").exists()
    assert log(tmp_path / "run") == log(heard)
    ours, theirs = (checkpoint.load(checkpoint.found(run / "checkpoints")[-1]) for run in (heard, tmp_path / "run"))
    assert ours.values == theirs.values
    assert not checkpoint.differences(ours.tensors, theirs.tensors, exact=True)


def test_listening_leaves_dice_and_model_as_they_are(dataset, tmp_path, monkeypatch):
    decode = MelCodec.decode
    # A codec of the future that throws the common dice.
    monkeypatch.setattr(MelCodec, "decode", lambda codec, z_BDT: decode(codec, z_BDT) + 0 * torch.rand(()))
    trainer, _ = train(toy(*FULL, "training.pairs=12", "tracking.listen=1"), dataset, tmp_path / "run")
    assert trainer.listening is not None
    before = {name: t.clone() for name, t in trainer.learner.bare_model.state_dict().items()}
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    assert trainer.listening.hear(12, 1.0, 12) is not None
    assert torch.equal(torch.rand(3), wanted)
    assert trainer.learner.bare_model.training
    now = trainer.learner.bare_model.state_dict()
    assert all(torch.equal(now[name], tensor) for name, tensor in before.items())


def test_eight_seconds_at_most_are_heard(dataset, tmp_path):
    short = ("training.pairs=4", "training.batch=2", "training.validation_pairs=2", "data.crop_frames=700")
    train(toy(*FULL, *short, "tracking.listen=2"), dataset, tmp_path / "run")
    for name in ("groove", "harmony", f"{4:012d}"):
        assert read(tmp_path / f"run/listen/{name}.flac").shape == (1, 8 * 24_000)


def test_a_picture_that_cannot_be_drawn_is_said_once_and_leaves_nothing(dataset, tmp_path, monkeypatch):
    def fail(figure: Any) -> bytes:
        raise RuntimeError("no font")

    monkeypatch.setattr(report, "png", fail)
    trainer, messages = train(toy(*FULL, "tracking.listen=1"), dataset, tmp_path / "run")
    assert messages == ["listening to the validation pair failed: no font; the run goes on"]
    assert trainer.seen == 60 and not list((tmp_path / "run/listen").iterdir())


def test_a_codec_whose_weights_are_not_here_is_not_fetched(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(MelCodec, "at_hand", classmethod(lambda cls, options: False))
    _, (message,) = train(toy(*FULL, "training.pairs=12", "tracking.listen=1"), dataset, tmp_path / "run")
    assert "the weights of codec mel are not on this machine" in message
    assert not (tmp_path / "run/listen").exists()


def test_the_codec_of_the_losses_is_the_one_that_is_heard_with(dataset, tmp_path):
    recipe = toy(*FULL, "training.pairs=12", "weights={mel.groove: 1}", "tracking.listen=1")
    trainer, _ = train(recipe, dataset, tmp_path / "run")
    assert trainer.listening is not None
    assert trainer.listening._codec is trainer.learner.codec is not None


def test_fewer_than_none_are_refused():
    with pytest.raises(BadInput, match=r"tracking\.listen must be at least 0, not -1"):
        runs.check_settings(toy("tracking.listen=-1"))
