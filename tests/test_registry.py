import dataclasses
import sys
from pathlib import Path

import pytest
import torch

import powermuse.codecs
from powermuse import registry
from powermuse.codecs.mel import Config, MelCodec
from powermuse.types import BadInput

ECHO = """
from dataclasses import dataclass
from powermuse.codecs import Codec
from powermuse.codecs.mel import MelCodec  # an import is not a definition

@dataclass(frozen=True)
class Config:
    gain: float = 1.0
    taps: int = 3

class Echo(Codec):
    def __init__(self, config, louder=0.0):
        super().__init__()
        self.gain = config.gain + louder

    def encode(self, wav_BCN):
        return wav_BCN * self.gain

    def decode(self, z_BDT):
        return z_BDT / self.gain
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A second folder of codecs, forgotten after the test."""
    monkeypatch.setattr(powermuse.codecs, "__path__", [*powermuse.codecs.__path__, str(tmp_path)])
    yield tmp_path
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(f"powermuse.codecs.{file.stem}", None)
        if hasattr(powermuse.codecs, file.stem):
            delattr(powermuse.codecs, file.stem)


def test_every_file_in_the_folder_of_codecs_is_on_offer_and_can_be_found():
    files = Path(powermuse.codecs.__file__).parent.glob("*.py")
    assert registry.names("codecs") == sorted(f.stem for f in files if not f.stem.startswith("_"))
    for name in registry.names("codecs"):
        config, cls = registry.find("codecs", name)
        assert dataclasses.is_dataclass(config)
        assert issubclass(cls, powermuse.codecs.Codec)
        assert cls.__module__ == config.__module__ == f"powermuse.codecs.{name}"


def test_a_name_finds_its_config_and_its_class():
    assert registry.find("codecs", "mel") == (Config, MelCodec)


def test_a_file_put_into_the_folder_is_a_codec(folder):
    before = registry.names("codecs")
    (folder / "echo.py").write_text(ECHO)
    (folder / "_notes.py").write_text("raise RuntimeError('never imported')")
    assert registry.names("codecs") == sorted([*before, "echo"])
    assert registry.defaults("codecs", "echo") == {"gain": 1.0, "taps": 3}
    codec = registry.build("codecs", "echo", {"gain": 2}, louder=1.0)
    assert codec.encode(torch.ones(1, 1, 1)).item() == 3.0


@pytest.mark.parametrize(
    ("text", "count"), [(ECHO + ECHO.replace("Echo", "Second"), 2), (ECHO.split("class Echo")[0], 0)]
)
def test_a_file_with_two_codecs_or_none_is_refused(folder, text, count):
    (folder / f"holding{count}.py").write_text(text)
    with pytest.raises(TypeError, match=f"exactly one Codec, it defines {count}"):
        registry.find("codecs", f"holding{count}")


@pytest.mark.parametrize("name", ["nope", "", "mel.Config", "__init__"])
def test_an_unknown_name_is_refused_with_those_that_exist(name):
    with pytest.raises(BadInput) as refusal:
        registry.build("codecs", name, {})
    assert str(refusal.value) == f"no codec is called {name!r}; there are: {', '.join(registry.names('codecs'))}"


@pytest.mark.parametrize(
    ("options", "named"),
    [({"nope": 1}, "nope"), ({"seed": "first"}, "seed"), ({"seed": 1.5}, "seed"), ({"seed": None}, "seed")],
)
def test_an_option_that_the_codec_does_not_have_or_cannot_use_is_refused_in_one_line(options, named):
    with pytest.raises(BadInput, match=f"codec mel: .*{named}") as refusal:
        registry.configure("codecs", "mel", options)
    assert "\n" not in str(refusal.value)


def test_options_reach_the_codec_and_the_others_keep_their_defaults():
    assert registry.build("codecs", "mel", {"phase_steps": 3}).config == Config(phase_steps=3)
    assert registry.defaults("codecs", "mel") == dataclasses.asdict(Config())


def test_an_encodec_that_is_not_there_is_refused_with_what_to_do(tmp_path):
    pytest.importorskip("transformers", reason="transformers is not installed: pip install 'powermuse[hub]'")
    with pytest.raises(BadInput, match="name a directory that holds the 24 kHz EnCodec"):
        registry.build("codecs", "encodec", {"source": str(tmp_path / "nowhere")})
