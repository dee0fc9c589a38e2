"""Folders of grooves and harmonies: every pair once, in order, made once, and ranked."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import sounds
from powermuse import weights
from powermuse.cli import main
from powermuse.composing import batch
from powermuse.composing.composer import Composer
from powermuse.types import BadInput


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    made = tmp_path_factory.mktemp("sounds")
    for i in range(2):
        sounds.write(made / f"grooves/g{i}.wav", sounds.drums(5.0, i))
        sounds.write(made / f"harmonies/h{i}.wav", sounds.chords(5.0, 7 + i))
    return made / "grooves", made / "harmonies"


def pairs(folders: tuple[Path, Path], count: int | None = None, seed: int = 0) -> list[batch.Pair]:
    return batch.pairs(str(folders[0]), str(folders[1]), "out", count, seed)


def table(out: Path) -> list[dict[str, str]]:
    with (out / batch.RANKING).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_every_groove_meets_every_harmony_once(folders):
    assert [p.out.name for p in pairs(folders)] == ["g0+h0.wav", "g0+h1.wav", "g1+h0.wav", "g1+h1.wav"]
    alone = batch.pairs(str(folders[0] / "g1.wav"), str(folders[1]), "out", None, 0)
    assert [p.out.name for p in alone] == ["g1+h0.wav", "g1+h1.wav"]


def test_some_pairs_are_drawn_by_the_seed(folders):
    drawn = {tuple(p.out.name for p in pairs(folders, 2, seed)) for seed in range(20)}
    assert len(drawn) > 3 and all(len(set(names)) == 2 for names in drawn)
    assert pairs(folders, 2, 5) == pairs(folders, 2, 5)
    for count in (0, 5):
        with pytest.raises(BadInput, match="from 1 to 4"):
            pairs(folders, count)


def test_files_of_one_name_in_two_folders_have_names_of_their_own(tmp_path):
    for folder in ("one", "two"):
        sounds.write(tmp_path / f"many/{folder}/loop.wav", sounds.drums(1.0, 1))
    found = [
        p.out.name for p in batch.pairs(str(tmp_path / "many"), str(tmp_path / "many/one/loop.wav"), "out", None, 0)
    ]
    assert len(set(found)) == 2 and all(name.endswith("+loop.wav") for name in found)


def test_a_file_that_is_added_renames_its_namesakes_alone(tmp_path):
    def names() -> dict[Path, str]:
        return {
            p.groove: p.out.name for p in batch.pairs(str(tmp_path / "g"), str(tmp_path / "g/a/loop.wav"), "o", None, 0)
        }

    for place in ("a/loop", "a/kick", "b/snare"):
        sounds.write(tmp_path / f"g/{place}.wav", sounds.drums(1.0, 1))
    before = names()
    sounds.write(tmp_path / "g/b/kick.wav", sounds.drums(1.0, 2))
    after = names()
    assert {p.name for p in before if before[p] != after[p]} == {"kick.wav"}
    assert len(set(after.values())) == 4 and after[tmp_path / "g/b/kick.wav"] == "g-b-kick+loop.wav"


def test_a_name_that_is_no_utf_8_is_told_with_marks(tmp_path):
    sounds.write(tmp_path / "here/a.wav", sounds.drums(1.0, 1))
    old = os.fsdecode(b"caf\xe9.wav")
    try:
        (tmp_path / "here/a.wav").rename(tmp_path / "here" / old)
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    (pair,) = batch.pairs(str(tmp_path / "here"), str(tmp_path / "here" / old), "out", None, 0)
    assert pair.groove.exists() and pair.out.name == "caf\ufffd+caf\ufffd.wav"
    assert batch._row(batch.Made(pair, {}))[1].endswith("caf\ufffd.wav")
    assert Composer(weights.load_model("starter")).listen(pair.groove).path.endswith("caf\ufffd.wav")


def test_no_two_pairs_come_to_one_name_and_none_is_too_long(tmp_path):
    long = "x" * 130
    for name in ("grooves/a", "grooves/a+b", f"grooves/{long}", "harmonies/c", "harmonies/b+c", f"harmonies/{long}"):
        sounds.write(tmp_path / f"{name}.wav", sounds.drums(1.0, 1))
    found = [p.out.name for p in pairs((tmp_path / "grooves", tmp_path / "harmonies"))]
    assert len(set(found)) == 9 and "a+c.wav" in found and max(map(len, found)) < 230
    assert found == [p.out.name for p in pairs((tmp_path / "grooves", tmp_path / "harmonies"))]


def test_blends_are_not_composed_again(tmp_path):
    for name in ("loops/a", "loops/b", "loops/blends/a+b"):
        sounds.write(tmp_path / f"{name}.wav", sounds.drums(1.0, 1))
    loops = str(tmp_path / "loops")
    found = batch.pairs(loops, loops, f"{loops}/blends", None, 0)
    assert [p.out.name for p in found] == ["a+a.wav", "a+b.wav", "b+a.wav", "b+b.wav"]
    with pytest.raises(BadInput, match="the sounds are taken from there"):
        batch.pairs(loops, loops, loops, None, 0)
    with pytest.raises(BadInput, match=r"loops: lies in .*, where the blends go; name another folder with -o"):
        batch.pairs(loops, loops, str(tmp_path), None, 0)


def test_folders_are_composed_ranked_and_not_composed_again(folders, mel_model, tmp_path, capsys, monkeypatch):
    out = tmp_path / "blends"
    command = ["compose", str(folders[0]), str(folders[1]), "-o", str(out), "--model", str(mel_model)]
    assert main(command) == 0
    assert "4 blends, 0 of them were there" in capsys.readouterr().out
    assert {p.name for p in out.glob("*.wav")} == {p.out.name for p in pairs(folders)}
    rows = table(out)
    scores = [float(row["score"]) for row in rows]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"] and scores == sorted(scores, reverse=True)
    taken = json.loads((out / rows[0]["blend"]).with_suffix(".json").read_text())["taken"]
    assert float(rows[0]["score"]) == pytest.approx(taken["rank"], abs=5e-4)
    before = {p: p.stat().st_mtime_ns for p in out.glob("*.wav")}
    (out / "g1+h0.wav").unlink()
    assert main(command) == 0
    assert "4 blends, 3 of them were there" in capsys.readouterr().out
    after = {p: p.stat().st_mtime_ns for p in out.glob("*.wav")}
    assert {p.name for p in after if after[p] != before[p]} == {"g1+h0.wav"}
    (out / "g1+h1.png").unlink()
    assert main(command) == 0
    assert "4 blends, 3 of them were there" in capsys.readouterr().out and (out / "g1+h1.png").exists()
    assert main([*command, "--seed", "3"]) == 0
    assert "0 of them were there" in capsys.readouterr().out


def test_a_file_that_is_no_sound_is_told_and_the_others_are_composed(folders, mel_model, tmp_path, capsys):
    shutil.copytree(folders[0], tmp_path / "g")
    (tmp_path / "g/broken.wav").write_bytes(b"no sound")
    harmony = str(folders[1] / "h0.wav")
    status = main(["compose", str(tmp_path / "g"), harmony, "-o", str(tmp_path / "out"), "--model", str(mel_model)])
    said = capsys.readouterr()
    assert status == 2 and "broken.wav" in said.err and "1 of 3 pairs" in said.err
    assert len(table(tmp_path / "out")) == 2


def test_a_part_of_the_pairs_or_a_slip_does_not_take_the_others_out_of_the_table(tmp_path):
    sounds.write(tmp_path / "a.wav", sounds.drums(1.0, 1))
    made = [batch.Made(pair, {"taken": {"rank": 0.1 * i - 0.15}}) for i, pair in enumerate(_four(tmp_path))]
    for one in made:
        one.pair.out.touch()
    batch.write_ranking(str(tmp_path), made)
    batch.write_ranking(str(tmp_path), [made[0]._replace(told={"taken": {"rank": 0.9}})])
    assert [row["blend"] for row in table(tmp_path)] == [made[i].pair.out.name for i in (0, 3, 2, 1)]
    made[2].pair.out.unlink()
    batch.write_ranking(str(tmp_path), [])
    assert [row["rank"] for row in table(tmp_path)] == ["1", "2", "3"]
    with pytest.raises(BadInput, match=r"harmny\.wav: no such file"):
        batch.pairs(str(tmp_path), str(tmp_path / "harmny.wav"), "out", None, 0)


def _four(folder: Path) -> list[batch.Pair]:
    return [batch.Pair(folder / "a.wav", folder / f"{i}.wav", folder / f"a+{i}.wav") for i in range(4)]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--variations", "2"], "--variations is for one pair"), (["--pairs", "9"], "from 1 to 4")],
)
def test_what_does_not_go_with_folders_is_said_before_any_work(words, said, folders, mel_model, tmp_path, capsys):
    command = ["compose", str(folders[0]), str(folders[1]), "-o", str(tmp_path / "out"), "--model", str(mel_model)]
    assert main([*command, *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pairs_are_for_folders_and_an_out_that_is_a_file_is_refused(folders, mel_model, tmp_path, capsys):
    files = [str(folders[0] / "g0.wav"), str(folders[1] / "h0.wav")]
    assert main(["compose", *files, "-o", str(tmp_path / "x.wav"), "--model", str(mel_model), "--pairs", "2"]) == 2
    assert "--pairs is for folders" in capsys.readouterr().err
    (tmp_path / "file").write_text("mine")
    command = ["compose", *map(str, folders), "-o", str(tmp_path / "file"), "--model", str(mel_model)]
    assert main(command) == 2
    assert "is a file" in capsys.readouterr().err and (tmp_path / "file").read_text() == "mine"


def test_the_table_tells_the_figures_that_it_ranks_by(tmp_path):
    figures = {"rhythm_of_groove": 0.1, "rhythm_of_harmony": 0.8, "chords_of_groove": 0.9, "copied": 0.2}
    asked = {"rhythm": "harmony", "harmony": "groove"}
    pair = batch.Pair(Path("g.wav"), Path("h.wav"), tmp_path / "g+h.wav")
    batch.write_ranking(str(tmp_path), [batch.Made(pair, {"taken": {"rank": 0.83, "blend": figures, "from": asked}})])
    assert [table(tmp_path)[0][name] for name in ("score", "rhythm", "chords", "copied")] == [
        "0.830", "0.800", "0.900", "0.200",
    ]  # fmt: skip


def test_blends_that_are_not_on_the_bars_of_one_are_told():
    pair = batch.Pair(Path("g.wav"), Path("h.wav"), Path("g+h.wav"))
    told = ({"alignment": {"bars": None}}, {"alignment": {"bars": {"tempo_bpm": 120.0}}}, {})
    made = [batch.Made(pair, one) for one in told]
    assert batch.not_aligned(made) == made[:1]


def test_progress_within_a_blend_is_told(folders, mel_model, tmp_path):
    composer = Composer(weights.load_model(str(mel_model)), 0)
    todo = batch.pairs(str(folders[0] / "g0.wav"), str(folders[1] / "h0.wav"), str(tmp_path), None, 0)
    seen = []
    wanted = batch.Request(0, "longer", False, batch.Form())
    assert [one.trouble for one in batch.compose(composer, todo, wanted, None, lambda *told: seen.append(told))] == [""]
    assert len({what for what, *_ in seen}) > 1


@pytest.mark.parametrize(("words", "told"), [(["--align", "off", "--transpose", "2"], False), ([], True)])
def test_who_wants_nothing_aligned_is_told_of_nothing_that_is_not(mel_model, tmp_path, capsys, words, told):
    """Noise has no beat."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (1, 4 * 24_000)).astype(np.float32)
    for name in ("gs/one", "hs/other"):
        sounds.write(tmp_path / f"{name}.wav", noise)
    folders = [str(tmp_path / name) for name in ("gs", "hs")]
    assert main(["compose", *folders, "-o", str(tmp_path / "out"), "--model", str(mel_model), *words]) == 0
    assert ("not aligned" in capsys.readouterr().out) is told
