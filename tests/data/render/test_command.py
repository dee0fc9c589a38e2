import json

import pytest

from data.render.small import needs_font, one_font
from powermuse import cli
from powermuse.data.render import fonts
from powermuse.data.triplets import Triplets


@needs_font
def test_render_then_info_tell_what_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fonts, "FONTS", one_font())
    out = str(tmp_path / "set")
    command = ["render", "-o", out, "--split", "test", "--workers", "1", "--clean"]
    assert cli.main([*command, "--to", "2", "--from", "1"]) == 0
    assert cli.main([*command, "--triplets", "2"]) == 0
    assert "triplets 0 to 1 of test are there, 1 of them new" in capsys.readouterr().out
    data = Triplets(out, "test")
    assert len(data) == 2 and data.truths(0) == 4
    assert {f"00001.{role}.flac" for role in data.roles(1)} <= {
        path.name for path in (tmp_path / "set/test/sound").iterdir()
    }
    assert cli.main(["info", out]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "rendered triplets" and told["splits"]["test"]["triplets"] == 2
    assert list(told["splits"]["test"]["fonts"]) == ["small"]


@pytest.mark.parametrize(("words", "complaint"), [
    ([], "Name --triplets N"),
    (["--triplets", "0"], "--from at least 0 and below"),
    (["--from", "5", "--to", "5"], "--from at least 0 and below"),
    (["--triplets", "1", "--strength", "nan"], "--strength from 0 to 10"),
    (["--triplets", "1", "--strength", "1e300"], "--strength from 0 to 10"),
    (["--triplets", "1", "-s", "seed=-1"], "seed must be from 0"),
    (["--triplets", "1", "--clean", "--all-sources"], "not allowed with"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(words, complaint, tmp_path, capsys):
    assert cli.main(["render", "-o", str(tmp_path / "set"), *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_without_a_font_the_status_is_2_and_the_command_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fonts, "_SYSTEM", ())
    monkeypatch.setattr(fonts, "_packaged", list)
    monkeypatch.delenv("POWERMUSE_SOUNDFONTS", raising=False)
    assert cli.main(["render", "-o", str(tmp_path / "set"), "--triplets", "1", "--split", "test"]) == 2
    assert "apt-get install timgm6mb-soundfont" in capsys.readouterr().err
