"""How far from the harmony clip blends are at five places of the dial, on rendered triplets with their sound:
`python bench/distance.py MODEL TRIPLETS [--split val] [--count 24]`."""

import argparse

import numpy as np

from powermuse.audio import clips, features
from powermuse.composing import factors
from powermuse.composing.composer import Blend, Composer, Sound
from powermuse.data import rolls
from powermuse.data.triplets import Triplets
from powermuse.metrics import score
from powermuse.metrics.score import Case, Prepared, Sources
from powermuse.weights import load_model

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("triplets")
    parser.add_argument("--split", default="val")
    parser.add_argument("--count", type=int, default=24)
    told = parser.parse_args()
    known = Triplets(told.triplets, told.split, told.count)
    nothing: factors.Chosen = dict.fromkeys(("rhythm", "harmony", "colour"), (None, None))
    composers = {
        place: Composer(load_model(told.model, factors.overrides(told.model, nothing, None, place))) for place in PLACES
    }
    found = {place: [] for place in PLACES}
    for index in known.numbers:
        groove, harmony = (known.sound(index, role) for role in ("groove", "harmony"))
        unrelated = known.sound(known.numbers[(index + 1) % len(known)], "harmony")
        sources = Sources(groove, harmony, unrelated_N=unrelated)
        prepared = score.prepare(sources)
        for place, composer in composers.items():
            blend = composer.compose(*map(_sound, (groove, harmony)))
            found[place].append(_figures(blend, known.pitched(index, "harmony").double().numpy(), sources, prepared))
    names = ("chords as B", "colour of B", "notes of B", "onset envelope A")
    print("distance  " + "  ".join(f"{name:>17}" for name in names))
    for place in PLACES:
        rows = np.array(found[place])
        print(
            f"{place:8.2f}  "
            + "  ".join(f"{m:8.3f} ± {e:.3f}" for m, e in zip(rows.mean(0), _error(rows), strict=True))
        )


def _sound(wav_N: np.ndarray) -> Sound:
    wav_CN = wav_N[None]
    levelled_CN, level_db = clips.normalise_level(wav_CN)
    return Sound("", "", wav_CN, levelled_CN, level_db, len(wav_N) / features.SAMPLE_RATE_HZ)


def _figures(blend: Blend, notes_N5: np.ndarray, sources: Sources, prepared: Prepared) -> list[float]:
    """Share of the time with B's chords (as our reader reads them), nearness of colour to B against an unrelated clip,
    F of the notes that sound in the blend and in B at a time, correlation of onset envelopes with A."""
    told = score.evaluate(Case(blend.wav_CN[0], sources), prepared)
    sounds_QN, _ = blend.score
    roll_QT = rolls.roll(notes_N5, 0, sounds_QN.shape[1] * blend.model.recipe.flow.pool)
    of_b_QN = roll_QT.reshape(len(roll_QT), sounds_QN.shape[1], -1).max(axis=-1) > 0
    overlap = 2.0 * (of_b_QN & sounds_QN).sum() / max(1, sounds_QN.sum() + of_b_QN.sum())
    return [told["chords"], told["timbre.harmony"], float(overlap), told["onset_env.groove"]]


def _error(rows: np.ndarray) -> np.ndarray:
    return 1.96 * rows.std(axis=0, ddof=1) / np.sqrt(len(rows))


if __name__ == "__main__":
    main()
