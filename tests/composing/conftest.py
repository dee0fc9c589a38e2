"""Two short sounds and tiny untrained models, each saved as a real model folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import sounds
from powermuse import recipe, registry, weights
from powermuse.composing.composer import Blend, Composer

TINY = """
name: tiny test
codec: {name: mel, options: {inversion_steps: 8, phase_steps: 4}}
agent: {name: masking, options: {hidden: 16, heads: 2}}
cascade: {layers: 1, heads: 2, ffn_multiple: 0.5}
data: {crop_frames: 150}
"""
MDCT = ("codec={name: mdct}", "cascade.stages=1")
ModelMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> ModelMaker:
    """A maker of model folders: `make_model(*overrides)` builds the tiny recipe with overrides, untrained."""

    def make(*overrides: str) -> Path:
        tiny = recipe.parse(TINY, "tiny", list(overrides))
        torch.manual_seed(1)
        folder = tmp_path_factory.mktemp("model")
        dim = registry.find("codecs", tiny.codec.name)[1].latent_dim
        weights.save_model(folder, weights.build_model(tiny, dim), tiny)
        return folder

    return make


@pytest.fixture(scope="session")
def mel_model(make_model: ModelMaker) -> Path:
    return make_model()


@pytest.fixture(scope="session")
def mdct_model(make_model: ModelMaker) -> Path:
    """The model of the codec that decodes at once."""
    return make_model(*MDCT)


@pytest.fixture(scope="session")
def groove(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drums of 6 s."""
    return sounds.write(tmp_path_factory.mktemp("groove") / "groove.wav", sounds.drums(6.0, 1, level_db=-24.0))


@pytest.fixture(scope="session")
def harmony(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chords of 4 s, quieter."""
    return sounds.write(tmp_path_factory.mktemp("harmony") / "harmony.wav", sounds.chords(4.0, 2, level_db=-34.0))


@pytest.fixture(scope="session")
def blend(mel_model: Path, groove: Path, harmony: Path) -> Blend:
    """What the mel model makes of both: 6 s in five windows of 2 s."""
    composer = Composer(weights.load_model(str(mel_model)), seed=5)
    return composer.compose(composer.listen(groove), composer.listen(harmony))
