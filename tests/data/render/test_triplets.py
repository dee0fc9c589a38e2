import itertools
import random
import statistics
from collections import Counter

import pytest

from powermuse.data.render import charts, metres, progressions
from powermuse.data.render import triplets as triplets_module
from powermuse.data.render.mappings import GHOST, LOUDNESS, MAPPINGS
from powermuse.data.render.metres import CLIP_S, METRES
from powermuse.data.render.orchestrations import BORDER_S, TOGETHER_S, strokes
from powermuse.data.render.programs import KITS, SETS, SPLITS, sets_of
from powermuse.data.render.score import Score
from powermuse.data.render.sources import Sources
from powermuse.data.render.triplets import compose

SOURCES = {split: Sources.for_split(split, ("own",)) for split in SPLITS}
COUNT = 24


@pytest.fixture(scope="module")
def triplets():
    return {split: [compose(3, split, i, SOURCES[split]) for i in range(COUNT)] for split in SPLITS}


@pytest.fixture(scope="module")
def everything(triplets):
    return [triplet for split in SPLITS for triplet in triplets[split]]


def _onsets(score: Score) -> list[float]:
    return sorted({note.start_s for part in score.parts for note in part.notes})


def test_a_triplet_is_a_function_of_seed_split_and_index(triplets):
    random.seed(99)
    again = compose(3, "test", 5, Sources.for_split("test", ("own",)))
    assert again == triplets["test"][5]
    assert compose(4, "test", 5, SOURCES["test"]) != again != compose(3, "val", 5, SOURCES["val"])


def test_sources_of_another_split_are_refused():
    with pytest.raises(ValueError, match="sources of val for a triplet of test"):
        compose(0, "test", 0, SOURCES["val"])


def test_four_truths_for_scoring_and_one_for_training(triplets):
    assert [{len(t.truths) for t in triplets[split]} for split in SPLITS] == [{1}, {4}, {4}]
    for triplet in triplets["test"]:
        assert len({truth.parts for truth in triplet.truths}) == 4
    assert len({t.origin["mappings"] for t in triplets["train"]}) > len(MAPPINGS) // 2


def test_no_rhythm_cycle_of_chords_or_program_is_in_two_splits(triplets):
    def used(split, *keys):
        return {t.origin[k] for t in triplets[split] for k in keys if k in t.origin}

    def programs(split):
        parts = [p for t in triplets[split] for s in (t.groove, t.harmony, *t.truths) for p in s.parts]
        return {(p.is_drums, p.program) for p in parts} - {(True, 0)}

    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not used(one, "rhythm_family", "harmony_rhythm_family") & used(other, "rhythm_family")
        assert not used(one, "groove_progression", "harmony_progression") & used(
            other, "groove_progression", "harmony_progression"
        )
        assert not programs(one) & programs(other)
        assert set(KITS[one]).isdisjoint(KITS[other])


def test_there_are_five_program_sets_and_no_program_is_in_two():
    assert len(SETS) >= 5 and all(sets_of(split) for split in SPLITS)
    counts = Counter(program for roles in SETS.values() for programs in roles.values() for program in programs)
    assert max(counts.values()) == 1 and all(0 <= program < 128 for program in counts)


def test_half_have_one_tempo_and_the_others_clearly_two(everything):
    same = [t for t in everything if t.origin["same_tempo"] == "true"]
    assert len(same) == len(everything) // 2
    assert all(t.groove.tempo_bpm == t.harmony.tempo_bpm for t in same)
    ratios = [t.harmony.tempo_bpm / t.groove.tempo_bpm for t in everything if t.origin["same_tempo"] == "false"]
    assert all(0.7 <= ratio <= 1.4 and abs(ratio - 1) > 0.03 for ratio in ratios)


def test_another_tempo_is_never_nearly_the_same():
    rhythm = SOURCES["train"].rhythm(random.Random(1))
    draws = [triplets_module._other_tempo(random.Random(i), 100.0, rhythm) / 100 for i in range(500)]
    assert all(0.7 <= ratio <= 1.4 and abs(ratio - 1) > 0.03 for ratio in draws)
    assert min(draws) < 0.75 and max(draws) > 1.35


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("metre", METRES.values(), ids=METRES)
def test_every_split_has_rhythms_of_every_metre(split, metre):
    drawn = [SOURCES[split].rhythm(random.Random(i), metre) for i in range(20)]
    assert {rhythm.metre for rhythm in drawn} == {metre} and len({rhythm.hits for rhythm in drawn}) == 20


def test_kinds_of_groove_and_harmony_are_equally_frequent(everything):
    assert Counter(t.origin["groove"] for t in everything) == {"drums": 36, "band": 36}
    assert set(Counter(t.origin["harmony"] for t in everything).values()) == {24}
    for t in everything:
        names = {part.name for part in t.harmony.parts}
        assert ("drums" in names) == (t.origin["harmony"] == "band and drums")
        assert bool(t.groove.chords) == (len(t.groove.parts) > 1) == (t.origin["groove"] == "band")


def test_the_truth_strikes_where_the_drums_strike_and_nowhere_else(everything):
    missed = total = 0
    for triplet in everything:
        hits = [n.start_s for n in triplet.groove.parts[0].notes if n.velocity >= GHOST]
        for truth in triplet.truths:
            onsets = _onsets(truth)
            assert all(min(abs(onset - hit) for hit in hits) <= BORDER_S for onset in onsets)
            missed += sum(min(abs(onset - hit) for onset in onsets) > BORDER_S + TOGETHER_S for hit in hits)
            total += len(hits)
    assert total > 20_000 and missed == 0


@pytest.mark.parametrize("kind", ["kick", "snare", "hat"])
def test_velocity_follows_the_drums(everything, kind):
    pairs = []
    for triplet in everything:
        answers: dict[float, int] = {}
        for note in (n for p in triplet.truths[0].parts for n in p.notes if p.name != "pad"):  # pads only hold
            answers[note.start_s] = max(answers.get(note.start_s, 0), note.velocity)
        hits = [s for s in strokes(triplet.groove.parts[0].notes) if set(s.kinds) == {kind}]
        pairs += [(hit.kinds[kind], answers[hit.time_s]) for hit in hits if hit.time_s in answers]
    assert len(pairs) > 100 and statistics.correlation(*zip(*pairs, strict=True)) > 0.95
    ratio = statistics.mean(answer / hit for hit, answer in pairs)
    assert ratio == pytest.approx(LOUDNESS[kind], rel=0.03)


def test_every_note_of_a_truth_is_of_the_chord_that_holds_and_ends_with_it(everything):
    for triplet in everything:
        for truth in triplet.truths:
            assert truth.chords == triplet.harmony.chords and truth.beats == triplet.groove.beats
            for note in (note for part in truth.parts for note in part.notes):
                (chord,) = [c for c in truth.chords if c.start_s <= note.start_s < c.end_s]
                assert note.pitch % 12 in chord.pitch_classes and note.start_s < note.end_s <= chord.end_s


def test_the_lowest_note_of_a_stated_chord_is_its_root(everything):
    for triplet in everything:
        truth = triplet.truths[0]
        basses = [part for part in truth.parts if part.name == "bass"]
        for note in (note for part in basses for note in part.notes):
            (chord,) = [c for c in truth.chords if c.start_s <= note.start_s < c.end_s]
            assert note.pitch % 12 == chord.root and 28 <= note.pitch <= 51


def test_a_truth_has_the_instruments_of_the_harmony_clip(everything):
    for triplet in everything:
        wanted = [(p.name, p.program) for p in triplet.harmony.parts if not p.is_drums]
        for truth in triplet.truths:
            assert [(p.name, p.program) for p in truth.parts] == wanted


def test_a_full_groove_has_other_instruments_and_other_chords(everything):
    for triplet in (t for t in everything if t.origin["groove"] == "band"):
        mine, others = ({p.program for p in s.parts if not p.is_drums} for s in (triplet.groove, triplet.harmony))
        assert not mine & others
        assert triplet.origin["groove_progression"] != triplet.origin["harmony_progression"]


def test_what_a_musician_would_expect_of_every_clip(everything):
    for triplet in everything:
        for score in (triplet.groove, triplet.harmony, *triplet.truths):
            for part in score.parts:
                assert all(0 <= n.start_s < n.end_s <= CLIP_S and 1 <= n.velocity <= 127 for n in part.notes)
                pitches = [n.pitch for n in part.notes]
                if part.name == "bass":
                    assert min(pitches) >= 26 and max(pitches) <= 52
                elif not part.is_drums and pitches:
                    assert min(pitches) >= 40 and max(pitches) <= 90
                per_pitch = sorted((n.pitch, n.start_s, n.end_s) for n in part.notes)
                if not part.is_drums:
                    pairs = itertools.pairwise(per_pitch)
                    assert all(b[0] != a[0] or a[2] <= b[1] for a, b in pairs), "a pitch sounds twice at once"
            starts = [0.0, *_onsets(score), CLIP_S]
            assert max(b - a for a, b in itertools.pairwise(starts)) < 5.0
        assert 1.2 <= len(strokes(triplet.groove.parts[0].notes)) / CLIP_S < 12


def test_beats_are_the_tempos_and_bars_the_metres(everything):
    for triplet in everything:
        for score in (triplet.groove, triplet.harmony):
            metre = METRES[triplet.origin["rhythm_metre"]]
            gaps = [b.time_s - a.time_s for a, b in itertools.pairwise(score.beats)]
            assert gaps == pytest.approx([60 / score.tempo_bpm] * len(gaps))
            assert [i for i, b in enumerate(score.beats) if b.is_downbeat] == list(
                range(0, len(score.beats), metre.beats)
            )
            assert CLIP_S - 60 / score.tempo_bpm <= score.beats[-1].time_s < CLIP_S


def test_chords_cover_the_clip_and_change_with_the_beat_of_harmony(everything):
    for triplet in everything:
        chords, beats = triplet.harmony.chords, [b.time_s for b in triplet.harmony.beats]
        assert chords[0].start_s == 0 and chords[-1].end_s == CLIP_S and len(chords) >= 3
        for a, b in itertools.pairwise(chords):
            assert a.end_s == b.start_s and a.label != b.label
            assert min(abs(b.start_s - time_s) for time_s in beats) < 1e-6


def test_the_harmony_clip_plays_its_chords(everything):
    shares = []
    for triplet in everything:
        sounding = inside = 0.0
        for part in (p for p in triplet.harmony.parts if not p.is_drums):
            for note in part.notes:
                (chord,) = [c for c in triplet.harmony.chords if c.start_s <= note.start_s < c.end_s]
                assert note.end_s <= chord.end_s + 1e-9
                sounding += note.end_s - note.start_s
                inside += (note.end_s - note.start_s) * (note.pitch % 12 in chord.pitch_classes)
        shares.append(inside / sounding)
    assert min(shares) > 0.75 and statistics.mean(shares) > 0.96  # walking basses and leads pass other notes


def test_a_cycle_of_chords_is_the_same_from_any_chord_and_in_any_key():
    one, two = (progressions.Progression("major", text) for text in ("I V vi IV", "vi IV I V I V vi IV"))
    assert one.identity == progressions.Progression("major", "vi IV I V").identity
    assert one.identity == progressions.Progression("major", "I V vi IV I V vi IV").identity
    assert one.identity == progressions.Progression("minor", "III VII i VI").identity
    assert one.identity != two.identity
    assert {progressions.draw(random.Random(i), "val").split for i in range(20)} == {"val"}


def test_numerals_are_read_as_musicians_read_them():
    read = [progressions.numeral(text, "major") for text in ("I", "ii7", "bVII", "viio", "Vsus4", "IVmaj7", "V7")]
    assert read == [(0, "maj"), (2, "min7"), (10, "maj"), (11, "dim"), (7, "sus4"), (5, "maj7"), (7, "7")]
    assert progressions.numeral("VI", "minor") == (8, "maj") and progressions.numeral("VI", "major") == (9, "maj")


def test_a_chart_in_seconds():
    chart = charts.Chart(9, progressions.Progression("minor", "i VI i i"), METRES["4/4"], 4)
    found = [(c.start_s, c.end_s, c.label) for c in chart.chords(120, 9.0)]
    assert found == [(0, 2, "A:min"), (2, 4, "F:maj"), (4, 9.0, "A:min")]


def test_swing_moves_the_offbeat_alone():
    assert [metres.swung(beat, 2 / 3) for beat in (0, 0.5, 1, 1.25, 1.5)] == pytest.approx([0, 2 / 3, 1, 4 / 3, 5 / 3])
