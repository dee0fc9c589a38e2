"""The whole score of one blend under stable names (docs/evaluation.md says what each means).

`prepare` hears the sources once for a triplet; `evaluate` scores one blend against them, without any optional package.
None stands where a figure cannot be had: nothing known to compare with, or no room above chance. What slow judges read
(notes, beats, other chords) is given in the case; names do not change with the reader, so say which one it was.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from powermuse.audio import features, pitches
from powermuse.metrics import (
    chords,
    copying,
    events,
    harmony,
    level,
    novelty,
    nulls,
    quality,
    rhythm,
    timbre,
    truth,
)
from powermuse.metrics.chords import Chords
from powermuse.metrics.truth import Notes

Score = dict[str, float | None]


class Sources(NamedTuple):
    """What a triplet is, whatever the blend: mono clips at 24 kHz, all of one length. Only the first two must be."""

    groove_N: np.ndarray
    harmony_N: np.ndarray
    truths_N: Sequence[np.ndarray] = ()
    """Orchestrations of the right answer; the one under test must not be among them."""
    unrelated_N: np.ndarray | None = None
    """A clip of other music: the far end of the colour scale."""
    chords: Chords | None = None
    """The chords of the harmony clip; None: the reader's reading of it, where that is a chord."""
    chord_stem_N: np.ndarray | None = None
    """The right chords alone: what the reader can reach."""
    groove_onsets_s: np.ndarray | None = None
    """Onsets of the groove [n]; None: the detector's."""
    beats_s: np.ndarray | None = None
    """Beats of the groove [n]."""
    truth_notes: Sequence[Notes] = ()
    """Notes of each truth, drums left out."""


class Case(NamedTuple):
    """One blend, its sources, and what slow judges read in the blend."""

    blend_N: np.ndarray
    sources: Sources
    notes: Notes | None = None
    beats_s: np.ndarray | None = None
    chords: Chords | None = None
    """A judge's reading; None: our reader's."""


class Heard(NamedTuple):
    """What the metrics look at in one clip."""

    wav_N: np.ndarray
    onsets_T: np.ndarray
    """Onset envelope at 75 frames a second."""
    onsets_s: np.ndarray
    strength_QT: np.ndarray
    """Note strengths at 18.75 frames a second (`pitches`)."""
    mel_MT: np.ndarray
    magnitude_FT: np.ndarray
    timbre_S: np.ndarray

    @property
    def chroma_PT(self) -> np.ndarray:
        """Chroma above the bass."""
        return pitches.chromas(self.strength_QT).treble_PT

    @property
    def chords(self) -> Chords:
        """Our reader's chords."""
        return chords.decode(self.strength_QT, len(self.wav_N) / features.SAMPLE_RATE_HZ)


class Prepared(NamedTuple):
    """The sources of a triplet, heard, and what the metrics ask of them alone."""

    groove: Heard
    harmony: Heard
    truths: tuple[Heard, ...]
    copying: copying.Sources
    truth_copies: tuple[tuple[float | None, float | None], ...]
    """Copy and free copy of each truth."""
    unrelated_S: np.ndarray | None
    unrelated_T: tuple[np.ndarray, ...]
    """Onset envelopes of the unrelated clip, moved about: the null of a loop."""
    chords: Chords
    chords_of_the_stem: chords.Accuracy | None
    onsets_s: np.ndarray


def hear(wav_N: np.ndarray) -> Heard:
    """All that the metrics look at in a mono clip at 24 kHz, about 0.3 s for 16 s."""
    pitches.validate(wav_N)
    wav_N = np.ascontiguousarray(wav_N, np.float32)
    onsets_T = _onsets(wav_N)
    with torch.inference_mode():
        return Heard(
            wav_N,
            onsets_T,
            events.onsets(onsets_T, features.FRAME_RATE_HZ),
            pitches.strengths(wav_N),
            truth.log_mel(wav_N),
            copying.magnitude(wav_N),
            timbre.statistics(timbre.mfcc(wav_N)),
        )


def prepare(sources: Sources) -> Prepared:
    """Hears the sources of a triplet, once for all blends of it."""
    validate(sources)
    groove, harmonic = hear(sources.groove_N), hear(sources.harmony_N)
    truths = tuple(hear(wav_N) for wav_N in sources.truths_N)
    copied = copying.prepare(groove.magnitude_FT, harmonic.magnitude_FT, groove.onsets_T, harmonic.onsets_T)
    of_truths = tuple(copying.evaluate(t.magnitude_FT, copied) for t in truths)
    known = chords.sounding(harmonic.chords) if sources.chords is None else sources.chords
    stem = None if sources.chord_stem_N is None else chords.evaluate(known, chords.read(sources.chord_stem_N))
    unrelated = sources.unrelated_N
    return Prepared(
        groove,
        harmonic,
        truths,
        copied,
        of_truths,
        None if unrelated is None else timbre.statistics(timbre.mfcc(unrelated)),
        () if unrelated is None else _moved(_onsets(unrelated)),
        known,
        stem,
        groove.onsets_s if sources.groove_onsets_s is None else sources.groove_onsets_s,
    )


def validate(sources: Sources) -> None:
    """Raises ValueError unless all clips are as long as the groove."""
    for wav_N in (sources.harmony_N, *sources.truths_N):
        if len(wav_N) != len(sources.groove_N):
            raise ValueError(f"clips of one length are wanted, not {len(wav_N)} and {len(sources.groove_N)} samples")


def evaluate(case: Case, prepared: Prepared | None = None) -> Score:
    """Every figure of one blend. Give `prepared` where several blends share their sources."""
    known = prepare(case.sources) if prepared is None else prepared
    if len(case.blend_N) != len(case.sources.groove_N):
        raise ValueError(f"the blend has {len(case.blend_N)} samples, its sources {len(case.sources.groove_N)}")
    blend = hear(case.blend_N)
    return {
        **_rhythm(blend, known, case),
        **_harmony(blend, known, case),
        **_copying(blend, known),
        **_truth(blend, known, case),
        **_sound(blend, known),
        **_prototype(blend, known),
    }


def _rhythm(blend: Heard, known: Prepared, case: Case) -> Score:
    rate_hz = features.FRAME_RATE_HZ
    beats = case.sources.beats_s
    groove_curve = known.groove.onsets_T
    return {
        "onset_env.groove": _onset_env(blend, known.groove, known),
        "onset_env.harmony": _onset_env(blend, known.harmony, known),
        "onset_f1.groove": events.f_measure(known.onsets_s, blend.onsets_s),
        "onset_f1.groove.adjusted": events.adjusted(known.onsets_s, blend.onsets_s, groove_curve, rate_hz),
        "beat_f1.groove": None if beats is None or case.beats_s is None else events.beat_f_measure(beats, case.beats_s),
    }


def _onset_env(blend: Heard, source: Heard, known: Prepared) -> float | None:
    curves = (blend.onsets_T, source.onsets_T, source.onsets_T)
    return nulls.evaluate(nulls.pearson, *curves, features.FRAME_RATE_HZ, known.unrelated_T)


def _onsets(wav_N: np.ndarray) -> np.ndarray:
    """The onset envelope [T] of a clip."""
    with torch.inference_mode():
        wav_BN = torch.from_numpy(np.ascontiguousarray(wav_N, np.float32))[None]
        return features.onset_envelope(features.onset_strength(wav_BN))[0].numpy().astype(np.float64)


def _moved(curve_T: np.ndarray) -> tuple[np.ndarray, ...]:
    """A curve at all the shifts that a null is taken over."""
    return tuple(np.roll(curve_T, n) for n in nulls.all_shifts(len(curve_T), features.FRAME_RATE_HZ))


def _harmony(blend: Heard, known: Prepared, case: Case) -> Score:
    found = chords.evaluate(known.chords, blend.chords if case.chords is None else case.chords)
    stem = known.chords_of_the_stem
    to_truths = [harmony_of(blend, t) for t in known.truths]
    return {
        "chords": found.triads,
        "chords.majmin": found.majmin,
        "chords.root": found.root,
        "chords.relative": chords.relative(found.triads, stem.triads if stem else None),
        "chroma.truth": max((x for x in to_truths if x is not None), default=None),
        "chroma.harmony": harmony_of(blend, known.harmony),
    }


def harmony_of(blend: Heard, other: Heard) -> float | None:
    """Null-corrected chroma similarity of two clips that were heard."""
    return harmony.evaluate(blend.chroma_PT, other.chroma_PT, _coarse(other.onsets_T), pitches.FRAME_RATE_HZ)


def _copying(blend: Heard, known: Prepared) -> Score:
    copy, free = copying.evaluate(blend.magnitude_FT, known.copying)
    of_truth, free_of_truth = (_mean([copies[i] for copies in known.truth_copies]) for i in range(2))
    return {
        "copy": copy,
        "copy.excess": copying.excess(copy, of_truth),
        "copy.free": free,
        "copy.free.excess": copying.excess(free, free_of_truth),
    }


def _truth(blend: Heard, known: Prepared, case: Case) -> Score:
    read, written = case.notes, case.sources.truth_notes
    agree = [] if read is None else [truth.note_f_measure(notes, read) for notes in written]
    return {
        "mel.truth": truth.evaluate(blend.mel_MT, [t.mel_MT for t in known.truths]),
        "notes.truth": max(agree, default=None),
    }


def _sound(blend: Heard, known: Prepared) -> Score:
    far = known.unrelated_S
    return {
        "timbre.harmony": None if far is None else timbre.evaluate(blend.timbre_S, known.harmony.timbre_S, far),
        "level.ratio": level.evaluate(blend.wav_N, known.groove.wav_N, known.harmony.wav_N),
        "flux": quality.flux(blend.magnitude_FT),
        "rolloff": quality.rolloff_hz(blend.magnitude_FT, features.SAMPLE_RATE_HZ),
        "novelty": novelty.evaluate(blend.mel_MT, known.groove.mel_MT, known.harmony.mel_MT),
    }


def _prototype(blend: Heard, known: Prepared) -> Score:
    groove, harmonic = (rhythm.onset_correlation(blend.onsets_T, x.onsets_T) for x in (known.groove, known.harmony))
    envelope = (
        rhythm.envelope_correlation(blend.wav_N, x.wav_N, features.SAMPLE_RATE_HZ)
        for x in (known.groove, known.harmony)
    )
    return {
        "proto.rhythm.groove": groove,
        "proto.rhythm.harmony": harmonic,
        "proto.balance": rhythm.balance(groove, harmonic),
        **dict(zip(("proto.envelope.groove", "proto.envelope.harmony"), envelope, strict=True)),
    }


def _coarse(onsets_T: np.ndarray) -> np.ndarray:
    """An onset curve on the clock of note strengths, a quarter of its own."""
    step = pitches.HOP_SAMPLES // features.HOP_SAMPLES
    return np.pad(onsets_T, (0, -len(onsets_T) % step)).reshape(-1, step).max(axis=1)


def _mean(values: Sequence[float | None]) -> float | None:
    scored = [v for v in values if v is not None]
    return float(np.mean(scored)) if scored else None
