import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data.render.small import compose, needs_font, one_font, plan, song, wad
from powermuse.data import triplets
from powermuse.data.prepare import encode_batch
from powermuse.data.render import fonts, wads
from powermuse.data.render import plan as planning
from powermuse.data.render.augment import Strength
from powermuse.data.render.fonts import Font
from powermuse.data.render.perform import roles
from powermuse.data.render.plan import missing
from powermuse.data.render.store import perform_triplet, render
from powermuse.data.triplets import Shard, Triplets
from powermuse.registry import build
from powermuse.types import BadInput

pytestmark = needs_font


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Shards of three, and one font for all."""
    monkeypatch.setattr(fonts, "FONTS", one_font())
    monkeypatch.setattr(triplets, "A_SHARD", 3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Triplets 0 to 6, rendered at once, with their sound."""
    out = tmp_path_factory.mktemp("whole") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fonts, "FONTS", one_font())
        patch.setattr(triplets, "A_SHARD", 3)
        assert render(plan(out, 0, 7, sound=True)) == 7
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_parts_made_elsewhere_and_copied_together_are_the_whole(whole, tmp_path):
    for begin, end in ((3, 7), (0, 3)):
        part = tmp_path / str(begin)
        render(plan(part, begin, end, sound=True))
        shutil.copytree(part, tmp_path / "together", dirs_exist_ok=True)
    assert contents(tmp_path / "together") == contents(whole)


def test_any_two_ranges_are_the_whole_in_other_shards(whole, tmp_path):
    out = tmp_path / "set"
    render(plan(out, 2, 5, sound=True))
    assert render(plan(out, 0, 7, sound=True)) == 4
    assert triplets.found(out, "train") == [Shard(0, 2), Shard(2, 3), Shard(3, 5), Shard(5, 6), Shard(6, 7)]
    assert Triplets(out).record == Triplets(whole).record
    assert render(plan(out, 0, 7, sound=True)) == 0


def test_two_processes_give_the_bytes_of_one(whole, tmp_path):
    render(plan(tmp_path / "set", 0, 7, sound=True, workers=2))
    assert contents(tmp_path / "set") == contents(whole)


def test_killed_and_started_again_it_comes_to_the_same_bytes(whole, tmp_path):
    code = (
        "import os, pathlib, signal, sys\n"
        "from data.render.small import one_font, plan\n"
        "from powermuse.data import triplets\n"
        "from powermuse.data.render import fonts, store\n"
        "fonts.FONTS, triplets.A_SHARD = one_font(), 3\n"
        "kill = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 5 else None\n"
        "store.render(plan(pathlib.Path(sys.argv[1]), 0, 7, sound=True), kill)\n"
    )
    tests = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "set")], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert triplets.found(tmp_path / "set", "train") == [Shard(0, 3)]
    assert render(plan(tmp_path / "set", 0, 7, sound=True)) == 4
    assert contents(tmp_path / "set") == contents(whole)


def test_stems_and_noise_sum_to_the_clip_that_was_kept_and_encoded(whole):
    data, asked = Triplets(whole), plan(whole, 0, 7)
    codec = build("codecs", "mel", {}).eval()
    for role, clip in perform_triplet(asked, fonts.at_hand("train"), 4)[1]:
        mix_N = clip.stems_PN.sum(axis=0) + clip.noise_N
        assert np.abs(mix_N - clip.mix_N).max() < 1e-6
        assert np.sqrt(np.mean(np.square(clip.mix_N, dtype=np.float64))) == pytest.approx(0.1, rel=1e-4)
        assert np.abs(data.sound(4, role) - clip.mix_N).max() < 2e-6  # 24 bits, and where need be a gain
        packed = encode_batch(torch.from_numpy(clip.mix_N)[None, None], codec)[0]
        assert np.array_equal(data.clip(4, role).z_BDT[0].numpy(), packed[:128].astype(np.float32))


def test_what_is_known_is_what_was_played(whole):
    data = Triplets(whole)
    assert len(data) == 7
    for index in (0, 4):
        for role, score in roles(compose(0, "train", index, ())).items():
            known = data.score(index, role)
            assert [(p.name, p.program) for p in known.parts] == [(p.name, p.program) for p in score.parts]
            for ours, theirs in zip(known.parts, score.parts, strict=True):
                assert np.allclose(np.array(ours.notes), np.array(theirs.notes), atol=1e-5)
            assert known.chords == score.chords and known.tempo_bpm == score.tempo_bpm
        assert data.origin(index)["rhythm"] == str(index) and data.origin(index)["font"] == "small"


def test_onsets_of_the_features_fall_on_the_notes(whole):
    data = Triplets(whole)
    onsets_T = data.clip(0, "groove").onsets_BKT[0].mean(dim=0)
    frames = [round(note.start_s * 75) for note in data.score(0, "groove").parts[0].notes][1:-1]
    near = [float(onsets_T[frame - 2 : frame + 3].max()) for frame in frames]
    # Strikes every 0.4 s: each stands out from what lies halfway to the next.
    between = [float(onsets_T[frame + 13 : frame + 18].max()) for frame in frames]
    assert min(near) > 2 * max(between)


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"seed": 1}, "was begun with seed 0, now it is 1"),
    ({"strength": Strength(0.5)}, "was begun with strength.equaliser 1.0"),
    ({"sound": False}, "was begun with sound True"),
    ({"codec": "mdct"}, "was begun with header.codec mel"),
])  # fmt: skip
def test_another_plan_does_not_go_into_the_same_folder(whole, changes, complaint):
    before = contents(whole)
    with pytest.raises(BadInput, match=complaint):
        render(plan(whole, 7, 9, **{"sound": True, **changes}))
    assert contents(whole) == before


@pytest.fixture
def freedoom(tmp_path, monkeypatch) -> Path:
    """A WAD of one song in the place of freedoom's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(wads, "FOLDERS", (tmp_path / "doom",))
    (tmp_path / "doom").mkdir()
    path = tmp_path / "doom/freedoom1.wad"
    path.write_bytes(wad(D_ONE=song()))
    return path


def test_other_songs_of_freedoom_do_not_go_into_the_same_folder(freedoom, tmp_path):
    asked, found = plan(tmp_path / "set", 0, 3, kinds=("own", "freedoom")), fonts.at_hand("train")
    planning.begin(asked, found)
    before = contents(tmp_path / "set")
    planning.begin(asked, found)
    freedoom.write_bytes(wad(D_ONE=song(tempo_bpm=121)))
    with pytest.raises(BadInput, match=r"was begun with sources_sha256\.freedoom \w{64}, now it is \w{64}"):
        planning.begin(asked, found)
    with pytest.raises(BadInput, match=r"was begun with sources .*'freedoom'.*, now it is \['own'\]"):
        planning.begin(dataclasses.replace(asked, kinds=("own",)), found)
    freedoom.unlink()
    with pytest.raises(BadInput, match="apt-get install freedoom"):
        planning.begin(asked, found)
    assert contents(tmp_path / "set") == before


def test_a_plan_of_before_tells_no_digests_of_sources_and_is_gone_on_with(freedoom, tmp_path):
    asked, found = plan(tmp_path / "set", 0, 3, kinds=("own", "freedoom")), fonts.at_hand("train")
    planning.begin(asked, found)
    path = tmp_path / "set/train/plan.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "sources_sha256"}))
    before = contents(tmp_path / "set")
    for tempo_bpm in (121, 122):
        freedoom.write_bytes(wad(D_ONE=song(tempo_bpm=tempo_bpm)))
        planning.begin(asked, found)
    assert contents(tmp_path / "set") == before  # nor does a run that learns from it find another plan


def test_a_font_that_is_no_longer_there_is_named_with_its_command(whole, monkeypatch, tmp_path):
    mine = fonts.FONTS[0]
    (tmp_path / "other.sf2").write_bytes(fonts.at_hand("train")[0].path.read_bytes())
    other = Font("other", "other.sf2", "any", True, fonts.SPLITS, "nothing")
    monkeypatch.setattr(fonts, "FONTS", (mine._replace(file="gone.sf2", install="bring it"), other))
    with pytest.raises(BadInput, match=r"fonts\.small .* \(bring it\)"):
        render(plan(whole, 7, 9, sound=True, soundfonts=(str(tmp_path),)))


def test_other_folders_and_empty_stretches_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="is not empty and holds no rendered triplets"):
        render(plan(tmp_path, 0, 3))
    with pytest.raises(BadInput, match="at least one is wanted"):
        render(plan(tmp_path / "new", 3, 3))


def test_missing_shards_are_cut_where_something_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(triplets, "A_SHARD", 64)
    asked = dataclasses.replace(plan(tmp_path, 10, 200))
    assert missing(asked) == [Shard(10, 64), Shard(64, 128), Shard(128, 192), Shard(192, 200)]
    asked.folder.mkdir()
    for part in (Shard(0, 12), Shard(70, 80), Shard(90, 130), Shard(192, 256)):
        (asked.folder / part.name).touch()
    assert missing(asked) == [Shard(12, 64), Shard(64, 70), Shard(80, 90), Shard(130, 192)]


def test_a_silent_score_is_an_error_that_names_it(tmp_path):
    def silent(*which: object) -> object:
        made = compose(*which)  # type: ignore[arg-type]
        return made._replace(harmony=made.harmony._replace(parts=()))

    with pytest.raises(ValueError, match="triplet 0/train/1: its harmony is silent"):
        render(plan(tmp_path / "set", 1, 2, compose=silent))
    assert not triplets.found(tmp_path / "set", "train")
