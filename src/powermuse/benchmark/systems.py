"""Everything that stands in a table: models, the rivals of `baselines`, the references that know the answer."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from powermuse import disk, registry, weights
from powermuse.audio import clips
from powermuse.audio.features import SAMPLE_RATE_HZ
from powermuse.benchmark import baselines
from powermuse.benchmark.cases import Material
from powermuse.benchmark.results import RETOLD, TRUTH, Kind
from powermuse.composing.composer import Composer, Sound
from powermuse.types import BadInput

THROUGH_CODEC = "truth through the codec"
VERSION = "1"
"""Of the rivals and references: raise when one of them composes otherwise than before."""
_PLAYED = "3"
"""Of the composers that play from a score: raise when the same weights come to sound otherwise than before."""
_REFERENCE_CODEC = "mel"
_FILES = {"weights": "model.safetensors", "recipe": "recipe.yaml"}
"""What decides how a model composes."""


@dataclass(frozen=True)
class System:
    """One row. `identity` decides its blends: the same identity on the same case is not computed twice."""

    name: str
    kind: Kind
    description: str
    identity: str
    make: Callable[[Material], np.ndarray | None]
    """The blend [N] of a case; None where it has none to give (a truth that is not known)."""
    answer: int | None = None
    """The right answer that it is, whose copy is then not held against itself."""
    truth: int | None = None
    """The same, where it is not compared with itself in anything else either."""
    digests: tuple[tuple[str, str], ...] = ()
    """SHA-256 of the files of a model, by what is in them."""

    @property
    def key(self) -> str:
        """Names its folder in a cache."""
        return hashlib.blake2b(f"{self.name}/{self.identity}".encode(), digest_size=8).hexdigest()


def rivals() -> list[System]:
    """The references, then the baselines, then the floor: what stands in every table."""
    return [*_references(), *(_of_baseline(baseline) for baseline in baselines.BASELINES.values())]


def of_model(name_or_folder: str, seed: int = 0) -> System:
    """A trained model as a row. Raises BadInput where there is none, or where its codec has another rate than the
    benchmark."""
    folder = weights.find_model(name_or_folder)
    digests = _digests(folder)
    loaded = weights.load_model(name_or_folder)
    if _digests(folder) != digests:
        raise changed(name_or_folder)
    if registry.find("codecs", loaded.recipe.codec.name)[1].sample_rate_hz != SAMPLE_RATE_HZ:
        raise BadInput(f"{name_or_folder}: composes at another rate than {SAMPLE_RATE_HZ} Hz")
    composer = Composer(loaded, seed)

    def compose(case: Material) -> np.ndarray:
        groove, harmony = (_sound(wav_N) for wav_N in case.clips)
        return composer.compose(groove, harmony, "groove").wav_CN[0]

    # The recipe decides how it composes with the same weights.
    identity = f"{digests['weights']}/{seed}/{digests['recipe']}"
    if loaded.recipe.composer == "flow":
        identity += f"/{_PLAYED}"
    name, told = folder.resolve().name, tuple(digests.items())
    return System(name, "model", f"recipe {loaded.recipe.name}", identity, compose, digests=told)


def changed(model: str) -> BadInput:
    """What there is to say of a model that is not the same from one look to the next."""
    return BadInput(f"{model}: was written while it was evaluated (does a training go on?); evaluate a copy of it")


def _digests(folder: Path) -> dict[str, str]:
    return {what: disk.sha256(folder / file) for what, file in _FILES.items()}


def _of_baseline(baseline: baselines.Baseline) -> System:
    def make(case: Material) -> np.ndarray:
        unrelated_N = case.sources.unrelated_N
        assert unrelated_N is not None
        return baseline.compose(*case.clips, unrelated_N)

    told = f"{baseline.description} ({baseline.reference})" if baseline.reference else baseline.description
    return System(baseline.name, baseline.kind, told, VERSION, make)


def _references() -> list[System]:
    def truth(number: int) -> Callable[[Material], np.ndarray | None]:
        return lambda case: case.right_N[number] if len(case.right_N) > number else None

    def through_codec(case: Material) -> np.ndarray | None:
        return _round_trip(case.right_N[0]) if case.right_N else None

    return [
        System(TRUTH, "reference", "B's chords and instruments, played from A's drums", VERSION, truth(0), 0),
        System(RETOLD, "reference", "the same, played from them in another way", VERSION, truth(1), 1, 1),
        System(
            THROUGH_CODEC, "reference", f"the truth, encoded and decoded by {_REFERENCE_CODEC}", VERSION, through_codec
        ),
    ]


@torch.inference_mode()
def _round_trip(wav_N: np.ndarray) -> np.ndarray:
    codec = registry.build("codecs", _REFERENCE_CODEC, {}).eval()
    levelled_CN, _ = clips.normalise_level(wav_N[None])
    back_BCN = codec.decode(codec.encode(torch.from_numpy(np.ascontiguousarray(levelled_CN))[None]))
    found: np.ndarray = back_BCN[0, 0, : len(wav_N)].numpy()
    return found


def _sound(wav_N: np.ndarray) -> Sound:
    """A waveform as a source; silence stays silence."""
    wav_CN = np.ascontiguousarray(wav_N[None], np.float32)
    seconds = wav_CN.shape[1] / SAMPLE_RATE_HZ
    try:
        levelled_CN, level_db = clips.normalise_level(wav_CN)
    except BadInput:
        levelled_CN, level_db = wav_CN, clips.level_db(wav_CN)
    return Sound("", "", wav_CN, levelled_CN, level_db, seconds)
