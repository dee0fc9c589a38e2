import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from powermuse.training.trainer import Trainer
from training.toys import toy

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tensorboard") is None,
        reason="tensorboard is missing: pip install 'powermuse[tensorboard]'",
    ),
    pytest.mark.filterwarnings("ignore"),  # its own
]


def train(data: Path, run: Path, *settings: str) -> None:
    recipe = toy("tracking={mlflow: false, tensorboard: true, listen: 1}", *settings)
    Trainer(recipe, str(data), str(run), lambda _: None).fit()


def events(run: Path) -> Any:
    """What TensorBoard itself reads in the folder, nothing left out."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = {"scalars": 0, "images": 0, "audio": 0, "tensors": 0}
    return EventAccumulator(str(run / "tensorboard"), size_guidance=everything).Reload()


def assert_as_logged(run: Path, found: Any) -> None:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    names = {f"{line['split']}/{name}" for line in lines for name in line.keys() - {"seen", "split"}}
    assert set(found.Tags()["scalars"]) == names
    for tag in names:
        split, _, name = tag.partition("/")
        wanted = {line["seen"]: line[name] for line in lines if line["split"] == split and name in line}
        events = found.Scalars(tag)
        assert [event.step for event in events] == sorted(wanted), tag
        if not name.startswith("clock."):
            assert [event.value for event in events] == pytest.approx([wanted[e.step] for e in events], rel=1e-6)


def test_it_has_every_scalar_once_whatever_was_repeated_and_what_is_heard(dataset, tmp_path):
    run = tmp_path / "run"
    train(dataset, run)
    assert_as_logged(run, events(run))
    (run / f"checkpoints/{80:012d}.safetensors").unlink()  # as if it had been killed at 80, on its way from 60
    train(dataset, run, "training.pairs=100")
    found = events(run)
    assert_as_logged(run, found)
    assert [event.step for event in found.Images("listen/spectrograms")] == [28, 56, 84, 100]
    assert [event.step for event in found.Audio("listen/blend")] == [28, 56, 84, 100]
    sound, rate_hz = soundfile.read(io.BytesIO(found.Audio("listen/blend")[-1].encoded_audio_string))
    kept, _ = soundfile.read(run / f"listen/{100:012d}.flac")
    assert rate_hz == 24_000 and np.abs(sound - kept).max() < 2**-14
    assert len(found.Audio("listen/groove")) == 2  # each process decodes it once
    (recipe,) = found.Tensors("recipe/text_summary")
    assert (recipe.step, b"latent.groove" in recipe.tensor_proto.string_val[0]) == (0, True)
