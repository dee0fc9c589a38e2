"""The bars that a composer is held to, each relative to what right answers reach in the same benchmark."""

from powermuse.benchmark.gates import Bar
from powermuse.benchmark.intervals import Interval
from powermuse.benchmark.legend import FRECHET
from powermuse.benchmark.results import ALL, RETOLD, TRUTH, Report
from powermuse.benchmark.systems import THROUGH_CODEC

RHYTHM, CHORDS, COPY, LEAK = 0.95, 0.90, 0.10, 0.10
"""At least so much of the truth's onset envelope to A and chord accuracy; at most so much copied beyond it; B's own
rhythm within so much of it."""
Of = dict[str, dict[str, Interval]]
"""Means by system and metric."""
_NOTES, _FRECHET, _SOUND = 0.8, 1.5, 0.2


def bars(report: Report, group: str = ALL) -> list[Bar]:
    """Those whose references were measured in a group, as ranges of numbers. The slow judge's chords count where it
    was asked."""
    means = report.means[group]
    chords = "judge.chords" if _mean(means, TRUTH, "judge.chords") is not None else "chords"
    notes = _mean(means, RETOLD, "judge.notes.truth")
    made = [
        _from(means, "rhythm of A", "onset_env.groove", RHYTHM),
        _from(means, "harmony of B", chords, CHORDS),
        _not_copied(means),
        _about(means, "B's rhythm left out", "onset_env.harmony", LEAK),
        _near_truth(report, means),
        None if notes is None else Bar(
            "notes of a right answer", "judge.notes.truth", _NOTES * notes, None, f"at least {_NOTES:g} of {RETOLD}'s"
        ),
        _real(means),
        *(_about(means, f"{name} as the truth's", name, _SOUND, share=True) for name in ("flux", "rolloff")),
    ]  # fmt: skip
    return [bar for bar in made if bar is not None]


def _from(means: Of, name: str, metric: str, share: float) -> Bar | None:
    truth = _mean(means, TRUTH, metric)
    return None if truth is None else Bar(name, metric, share * truth, None, f"at least {share:g} of the truth's")


def _not_copied(means: Of) -> Bar | None:
    """Where it is known what a right answer has in common with its sources."""
    known = any(_mean(means, system, "copy.excess") is not None for system in means)
    return Bar("not copied", "copy.excess", None, COPY, f"at most {COPY:g}") if known else None


def _about(means: Of, name: str, metric: str, by: float, share: bool = False) -> Bar | None:
    truth = _mean(means, TRUTH, metric)
    if truth is None:
        return None
    reach = by * truth if share else by
    told = f"within {by:.0%} of the truth's" if share else f"within {by:g} of the truth's"
    return Bar(name, metric, truth - reach, truth + reach, told)


def _near_truth(report: Report, means: Of) -> Bar | None:
    """Half-way between another right answer and the best rival."""
    other = _mean(means, RETOLD, "mel.truth")
    rivals = [_mean(means, system.name, "mel.truth") for system in report.systems if system.kind == "baseline"]
    known = [value for value in rivals if value is not None]
    if other is None or not known:
        return None
    bound = other + 0.5 * (min(known) - other)
    return Bar("near a truth", "mel.truth", None, bound, f"at most half-way from {RETOLD} to the best rival")


def _real(means: Of) -> Bar | None:
    through_codec = _mean(means, THROUGH_CODEC, FRECHET.name)
    if through_codec is None:
        return None
    told = f"at most {_FRECHET:g} times that of the {THROUGH_CODEC}"
    return Bar("sounds real", FRECHET.name, None, _FRECHET * through_codec, told)


def _mean(means: Of, system: str, metric: str) -> float | None:
    found = means.get(system, {}).get(metric)
    return None if found is None else found.mean
