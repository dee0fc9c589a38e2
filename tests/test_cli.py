import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sounds
from powermuse import about, recipe, weights
from powermuse.audio import files
from powermuse.cli import _parser, main
from powermuse.types import BadInput

Capture = pytest.CaptureFixture[str]
TINY = """
name: tiny test
codec: {name: mel, options: {inversion_steps: 8, phase_steps: 4}}
agent: {name: masking, options: {hidden: 16, heads: 2}}
cascade: {layers: 1, heads: 2, ffn_multiple: 0.5}
data: {crop_frames: 48}
training: {pairs: 8, batch: 4, log_every: 4, validate_every: 8, validation_pairs: 4, save_every: 8}
tracking: {mlflow: false}
weights: {latent.groove: 1.0}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad things to give to a command."""
    folder = tmp_path_factory.mktemp("shop")
    sounds.write(folder / "groove.wav", sounds.drums(2.0, 1, level_db=-24.0))
    sounds.write(folder / "harmony.wav", sounds.chords(2.0, 2, level_db=-24.0))
    shutil.copy(folder / "groove.wav", folder / "own.wav")
    sounds.write(folder / "silent.wav", np.zeros((1, 48_000), np.float32))
    sounds.write(folder / "blip.wav", sounds.drums(0.01, 1))
    (folder / "empty.wav").touch()
    (folder / "words.wav").write_text("these are words, not music\n" * 100)
    (folder / "corrupt.flac").write_bytes(b"fLaC" + bytes(range(256)) * 40)
    (folder / "folder.wav").mkdir()
    for name in ("precious", "made"):
        shutil.copy(folder / "groove.wav", folder / f"{name}.wav")
    (folder / "made.json").write_text('{"powermuse": "0", "blend": {"file": "made.wav"}}')
    (folder / "nothing").mkdir()
    shutil.copy(folder / "words.wav", sounds.write(folder / "bad/a.wav", sounds.drums(1.0)))
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "twisted.yaml").write_text("name: [unclosed")
    _save_model(folder / "model", TINY)
    (folder / "no-weights").mkdir()
    shutil.copy(folder / "model/recipe.yaml", folder / "no-weights")
    shutil.copytree(folder / "model", folder / "other-recipe")
    (folder / "other-recipe/recipe.yaml").write_text(TINY.replace("hidden: 16", "hidden: 32"))
    shutil.copytree(folder / "model", folder / "other-codec")
    other = "{name: encodec, options: {source: random, num_filters: 2}}"  # of as many channels
    (folder / "other-codec/recipe.yaml").write_text(re.sub(r"(?<=\ncodec: ).*", other, TINY))
    shutil.copytree(folder / "model", folder / "broken-weights")
    (folder / "broken-weights/model.safetensors").write_bytes(b"words")
    shutil.copytree(folder / "model", folder / "broken-run")
    (folder / "broken-run/log.jsonl").write_text('{"seen": 4}\n')
    (folder / "broken-data").mkdir()
    (folder / "broken-data/dataset.json").write_text("{")
    return folder


def _save_model(folder: Path, text: str) -> None:
    tiny = recipe.parse(text, "tiny")
    torch.manual_seed(1)
    weights.save_model(folder, weights.build_model(tiny, 128), tiny)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds.dataset(tmp_path_factory.getbasetemp() / "sounds", "mel")


@pytest.fixture(scope="module")
def mdct_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds.dataset(tmp_path_factory.getbasetemp() / "sounds", "mdct")


@pytest.fixture
def here(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of good and bad things, to stand in."""
    monkeypatch.chdir(shop)
    return shop


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and directory with its size and when it was changed."""
    return {str(p): (p.stat().st_size if p.is_file() else -1, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*"))}


def compose(
    *more: str, groove: str = "groove.wav", harmony: str = "harmony.wav", out: str = "out.wav", model: str = "model"
) -> list[str]:
    return ["compose", groove, harmony, "-o", out, "--model", model, *more]


def train(*more: str, name: str = "tiny.yaml", data: str = "DATA", run: str = "run") -> list[str]:
    return ["train", name, "--data", data, "--run", run, *more]


BAD = {
    # sources
    "a missing source": (compose(groove="gone.wav"), "gone.wav: no such file"),
    "an empty name": (compose(groove=""), "GROOVE is empty"),
    "blends in a folder named as a file": (["compose", "bad", "own.wav", "-o", "new.wav"], "is named as a file"),
    "a wave of somebody's": (compose(out="precious.wav"), "precious.wav: exists, and is no blend"),
    "a report of another wave": (compose(out="made.flac"), "is the report of made.wav"),
    "a share that is no number": (compose("--rhythm-from", "groove:nan,harmony:1"), "--rhythm-from"),
    "a missing second source": (compose(harmony="gone.wav"), "gone.wav: no such file"),
    "an empty source": (compose(groove="empty.wav"), "empty.wav: the file is empty"),
    "a corrupt source": (compose(groove="corrupt.flac"), "corrupt.flac: is not a sound file that can be read"),
    "a silent source": (compose(harmony="silent.wav"), "silent.wav: silent"),
    "10 ms": (compose(groove="blip.wav"), "blip.wav: lasts 0.01 s; at least 0.5 s"),
    "text named wav": (compose(groove="words.wav"), "words.wav: is not a sound file that can be read"),
    "a directory as a source": (compose(groove="folder.wav"), "folder.wav: no sound files found"),
    # what is written
    "a directory as output": (compose(out="folder.wav"), "folder.wav: is a directory"),
    "mp3 as output": (compose(out="out.mp3"), "as .wav or .flac, not as .mp3"),
    "output without an ending": (compose(out="out"), "out: can be written as .wav or .flac"),
    "output into nowhere": (compose(out="nowhere/out.wav"), "there is no directory"),
    "an output that is looked at first": (compose(out="out.mp3", model="nobody", groove="gone.wav"), "not as .mp3"),
    "the groove as output": (compose(out="./nothing/../groove.wav"), "is also a source"),
    "the harmony as output": (compose(out="harmony.wav"), "is also a source"),
    # models
    "an unknown model": (compose(model="nobody"), "no model is called 'nobody'; shipped: factors, starter"),
    "a model without weights": (compose(model="no-weights"), "model.safetensors missing"),
    "weights of another recipe": (compose(model="other-recipe"), "the recipe wants"),
    "weights of another codec": (compose(model="other-codec"), "mel"),
    "damaged weights": (compose(model="broken-weights"), "not a readable weight file"),
    "a file as model": (compose(model="groove.wav"), "no model is called 'groove.wav'"),
    # words of the command
    "no command": ([], "a command is wanted"),
    "an unknown command": (["destroy"], "destroy"),
    "an unknown option": (compose("--loud"), "--loud"),
    "an option with a line break": (compose("--lo\nud"), "--lo"),
    "no output": (["compose", "groove.wav", "harmony.wav"], "-o"),
    "a seed that is no number": (compose("--seed", "x"), "--seed"),
    "a seed beyond 64 bits": (compose("--seed", str(2**70)), "seed"),
    "an unknown length": (compose("--length", "long"), "--length"),
    # training
    "an unknown recipe": (train(name="huge"), "no recipe is called 'huge'; shipped: "),
    "a recipe file that is not there": (train(name="gone.yaml"), "no recipe is called 'gone.yaml'"),
    "a recipe that is no YAML": (train(name="twisted.yaml"), "not valid YAML"),
    "an unknown key": (train("-s", "training.speed=9"), "speed"),
    "an unknown option of the agent": (train("-s", "agent.options.speed=9"), "speed"),
    "an unknown agent": (train("-s", "agent.name=nobody"), "no agent is called 'nobody'"),
    "an unknown codec": (train("-s", "codec.name=nobody"), "nobody"),
    "a key of the wrong type": (train("-s", "training.batch=many"), "batch"),
    "an unknown loss": (train("-s", "weights.joy=1"), "no term is called 'joy'"),
    "a date that is none": (train("-s", "name=2024-13-45"), "not a YAML value"),
    "a damaged model to begin from": (train("-s", "training.begin_from=broken-weights"), "not a readable weight file"),
    "a setting without an end": (train("-s", "training.learning_rate=.inf"), "learning_rate is inf; a finite number"),
    "an option that is no number": (train("-s", "agent.options.temperature=.nan"), "a finite number is wanted"),
    "a setting that holds itself": (train("-s", "agent.options=&a {x: *a}"), "recursion"),
    "a share above 1": (train("-s", "flow.drop=2"), "flow.drop must be from 0 to 1"),
    "fewer than no steps": (train("-s", "flow.steps=-1"), "flow.steps must be at least 0"),
    "a seed beyond 63 bits": (train("-s", f"training.seed={10**23}"), "training.seed must be a number of 63 bits"),
    "an override without a value": (train("-s", "training.batch"), "key=value is wanted"),
    "no data set": (train(data="nothing"), "is not a prepared data set"),
    "a damaged data set": (train(data="broken-data"), "damaged"),
    "a data set of another codec": (train(data="MDCT"), "prepared with codec mdct, the recipe wants mel"),
    "a run that is none": (train(run="model/.."), "exists and is not a run"),
    "a file as run": (train(run="groove.wav"), "groove.wav: exists and is not a run"),
    # preparing
    "a missing folder": (["prepare", "gone", "-o", "made"], "gone: no such directory"),
    "a file as folder": (["prepare", "groove.wav", "-o", "made"], "groove.wav: is a file"),
    "a folder without sound": (["prepare", "nothing", "-o", "made"], "no sound files found"),
    "an unknown codec to prepare with": (["prepare", "bad", "-o", "made", "--codec", "x"], "no codec is called 'x'"),
    "an unknown option of the codec": (["prepare", "bad", "-o", "made", "-s", "speed=9"], "speed"),
    "an option of the wrong type": (["prepare", "bad", "-o", "made", "-s", "phase_steps=many"], "phase_steps"),
    "a codec that cannot be had": (
        ["prepare", "bad", "-o", "made", "--codec", "encodec", "-s", "source=nowhere", "--workers", "2"], "nowhere",
    ),
    "fewer than no workers": (["prepare", "bad", "-o", "made", "--workers", "-1"], "--workers"),
    "all songs for validation": (["prepare", "bad", "-o", "made", "--validation", "1"], "--validation"),
    "a file as data set": (["prepare", "bad", "-o", "groove.wav", "--workers", "1"], "groove.wav"),
    "a full folder as data set": (["prepare", "bad", "-o", "model", "--workers", "1"], "not a data set"),
    # looking at things
    "a folder of runs without one": (["runs", "nothing"], "nothing: no run is in here; make one: powermuse train tiny"),
    "a folder of runs that is not there": (["runs", "gone"], "gone: no such directory"),
    "an unknown order of runs": (["runs", "--sort", "beauty"], "--sort"),
    "an unknown thing": (["info", "nobody"], "'nobody' is no codec (encodec, mdct, mel), no model (factors, starter)"),
    "an empty folder": (["info", "nothing"], "no folder of a model, a run or a data set"),
    "a damaged data set to look at": (["info", "broken-data"], "dataset.json: damaged"),
    "a model to look at with damaged weights": (["info", "broken-weights"], "not a readable weight file"),
    "a run to look at with a damaged log": (["info", "broken-run"], "log.jsonl: damaged"),
    "a seed of a codec beyond 64 bits": (["codec-check", "groove.wav", "-s", f"seed={2**70}"], "seed must be from 0"),
    "a missing sound to check": (["codec-check", "gone.wav"], "gone.wav: no such file"),
    "a silent sound to check": (["codec-check", "silent.wav"], "silent.wav: silent"),
    "an unknown codec to check": (["codec-check", "groove.wav", "--codec", "x"], "no codec is called 'x'"),
    "a check into mp3": (["codec-check", "groove.wav", "-o", "out.mp3"], "as .wav or .flac"),
    "a check into its source": (["codec-check", "own.wav", "--codec", "mdct", "-o", "own.wav"], "own.wav"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_status_2_and_nothing_is_written(here, dataset, mdct_dataset, capsys, case):
    words, told = BAD[case]
    places = {"DATA": str(dataset), "MDCT": str(mdct_dataset)}
    before = everything(here)
    status = main([places.get(word, word) for word in words])
    out, error = capsys.readouterr()
    assert error.startswith("powermuse: ") and error.count("\n") == 1 and error.endswith("\n"), error
    assert told in error
    assert status == 2
    assert out == ""
    assert "Traceback" not in error
    assert everything(here) == before


def test_two_triplets_at_least_are_compared(here, capsys):
    assert main(["evaluate", "--benchmark", "pairs.tsv", "-o", "report", "--triplets", "0"]) == 2
    assert "--triplets at least 2" in capsys.readouterr().err


def test_whoever_stops_reading_stops_the_command_without_a_word(here):
    with subprocess.Popen(
        [Path(sys.executable).with_name("powermuse"), "info", "mel"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        command.stdout.close()
        assert command.stderr.read() == b"" and command.wait(timeout=60) == 141


def test_another_pipe_that_broke_is_told(monkeypatch, capsys):
    monkeypatch.setattr(
        about, "describe", lambda *_: (_ for _ in ()).throw(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    )
    assert main(["info", "mel"]) == 2
    assert "Broken pipe" in capsys.readouterr().err


def test_a_name_that_the_terminal_has_no_signs_for_is_told_all_the_same(here):
    told = subprocess.run(
        [Path(sys.executable).with_name("powermuse"), "stems", "groove.wav", "-o", "m\xf6"], cwd=here, text=True,
        capture_output=True, timeout=120, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert told.returncode == 0 and "m\\xf6" in told.stdout, told.stderr


def test_a_folder_of_nothing_usable_gets_one_line(here, tmp_path, capsys):
    assert main(["prepare", "bad", "-o", str(tmp_path / "made"), "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "not one usable clip in 1 files (the first: a.wav: " in error


def powermuse(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command as a user types it."""
    command = Path(sys.executable).with_name("powermuse")
    return subprocess.run([command, *words], cwd=cwd, capture_output=True, text=True, timeout=120)


def test_the_installed_command_refuses_in_one_line(here):
    done = powermuse(*compose(groove="gone.wav"), cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "powermuse: gone.wav: no such file\n"


def test_debug_shows_where_by_a_traceback(here):
    done = powermuse("compose", "groove.wav", "--debug", cwd=here)
    assert done.returncode != 0
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert "required: HARMONY, -o/--out" in done.stderr.splitlines()[-1]
    with pytest.raises(BadInput, match=r"out\.mp3: can be written as"):
        main(compose("--debug", out="out.mp3"))


def test_help_answers_at_once_without_importing_torch(here):
    begin = time.monotonic()
    done = powermuse("--help", cwd=here)
    assert time.monotonic() - begin < 2.0  # 0.1 s on a quiet machine; torch alone takes 2
    assert done.returncode == 0
    for command in ("compose", "prepare", "train", "slurm", "runs", "info", "codec-check"):
        assert command in done.stdout
    code = (
        "import sys, powermuse.cli\n"
        "try: powermuse.cli.main(['compose', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, timeout=60)
    assert "GROOVE" in asked.stdout
    assert asked.stdout.splitlines()[-1] == "False"


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == version("powermuse") + "\n"


def test_every_example_of_composing_is_a_command_that_is_understood():
    page = (Path(__file__).parent.parent / "docs/composing.md").read_text()
    asked = subprocess.run([sys.executable, "-m", "powermuse.cli", "compose", "--help"], capture_output=True, text=True)
    examples = page + asked.stdout.split("examples:")[1]
    shown = [shlex.split(line, comments=True) for line in re.findall("powermuse (compose .*)", examples)]
    assert len(shown) == 14
    for words in shown:
        assert _parser().parse_args(words).handler
    taken = {word for words in shown for word in words}
    assert taken >= {"--orchestration", "--midi", "--variations", "--rhythm-from", "--harmony-strength"}


# What goes wrong inside


def fail(error: BaseException) -> Callable[..., Any]:
    def failing(*_: object) -> None:
        raise error

    return failing


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ZeroDivisionError("one\nand another"), 1, "ZeroDivisionError: one and another (--debug shows where)"),
        (KeyboardInterrupt(), 130, "stopped"),
        (
            OSError(28, "full", "a.wav"),
            2,
            "a.wav: no space left on the disk; nothing half-written was left, make room and run it again",
        ),
    ],
)
def test_every_failure_is_one_line_with_the_status_it_deserves(monkeypatch, capsys, error, status, said):
    monkeypatch.setattr(about, "describe", fail(error))
    assert main(["info", "mel"]) == status
    assert capsys.readouterr().err == f"powermuse: {said}\n"


def test_with_debug_a_failure_comes_through(monkeypatch):
    monkeypatch.setattr(about, "describe", fail(ZeroDivisionError("one")))
    with pytest.raises(ZeroDivisionError):
        main(["info", "mel", "--debug"])


# What goes right


def answer(capsys: Capture, *words: str) -> dict[str, Any]:
    assert main(words) == 0
    out, error = capsys.readouterr()
    assert error == ""
    described: dict[str, Any] = json.loads(out)
    return described


def test_the_whole_path_from_songs_to_a_blend(here, tmp_path, capsys):
    music = sounds.write(tmp_path / "music/ada.wav", sounds.song(33.0, 1)).parent
    sounds.write(music / "bix.wav", sounds.song(33.0, 2))
    sounds.write(music / "short.wav", sounds.song(3.0, 3))
    (music / "words.wav").write_text("these are words")
    data, run, out = (str(tmp_path / name) for name in ("data", "run", "out.wav"))

    assert main(["prepare", str(music), "-o", data, "--workers", "1"]) == 2  # one file could not be read
    printed, error = capsys.readouterr()
    assert printed == f"{data}: 0.02 h, 2 clips of 1 songs to train on, 2 of 1 to validate\n"
    assert error.splitlines() == [
        "left out: short.wav: 3.0 s, shorter than a clip of 16 s; --loop-short repeats it",
        next(line for line in error.splitlines() if line.startswith("unreadable: words.wav: ")),
        "powermuse: 1 file(s) could not be read; the others were kept",
    ]
    (music / "words.wav").unlink()

    assert main(["train", "tiny.yaml", "--data", data, "--run", run, "-s", "data.pairing=continuation"]) == 0
    printed, error = capsys.readouterr()
    assert printed.startswith(f"{run}: 8 pairs, best validation loss ") and error == ""

    assert main(compose("--seed", "3", "--align", "off", out=out, model=run)) == 0
    printed, error = capsys.readouterr()
    assert error == ""
    told = json.loads(Path(out).with_suffix(".json").read_text())
    assert printed.startswith(f"{out}: 2.0 s at {told['blend']['level_db']:.1f} dBFS")
    assert told["seed"] == 3 and told["model"]["name"] == run
    assert files.read(out).shape == (1, 48_000)

    described = answer(capsys, "info", run)
    assert described["kind"] == "run"
    assert described["checkpoints"] == ["000000000008.safetensors"]
    assert described["last"]["train"]["seen"] == described["last"]["val"]["seen"] == 8
    assert described["model"]["sha256"] == told["model"]["weights_sha256"]


@pytest.mark.parametrize(("name", "dim"), [("mel", 128), ("mdct", 320), ("encodec", 128)])
def test_info_on_a_codec_tells_its_rates_and_options(capsys, name, dim):
    described = answer(capsys, "info", name)
    rates = {"kind": "codec", "name": name, "sample_rate_hz": 24_000, "hop_samples": 320, "latent_dim": dim}
    assert rates.items() <= described.items()
    assert ("phase_steps" in described["options"]) == (name == "mel")


def test_info_on_a_model_tells_its_recipe_sizes_and_hash(shop, capsys):
    described = answer(capsys, "info", str(shop / "model"))
    loaded = weights.load_model(str(shop / "model"))
    assert described == {
        "kind": "model",
        "name": str(shop / "model"),
        "recipe": "tiny test",
        "codec": "mel",
        "agent": "masking",
        "weights": {
            "agent": sum(p.numel() for p in loaded.model.agent.parameters()),
            "cascade": sum(p.numel() for p in loaded.model.cascade.parameters()),
        },
        "window_frames": 48,
        "sha256": loaded.sha256,
    }


def test_info_on_the_shipped_model_finds_it_by_its_name(capsys):
    assert answer(capsys, "info", "starter")["kind"] == "model"
    factors = weights.load_model("factors").recipe
    assert answer(capsys, "info", "factors")["window_frames"] == factors.flow.window_frames != factors.data.crop_frames


def test_info_on_a_data_set_tells_what_is_in_it(dataset, capsys):
    described = answer(capsys, "info", str(dataset))
    assert described["kind"] == "data set"
    assert described["clips"] == {"train": 6, "val": 4}
    assert described["header"]["codec"] == "mel"
    assert described["files_left_out"] == 0


def test_codec_check_writes_what_came_back(here, tmp_path, capsys):
    out = tmp_path / "back.wav"
    figures = answer(capsys, "codec-check", "harmony.wav", "--codec", "mdct", "-o", str(out))
    assert figures["seconds"] == 2.0
    assert figures["level_db"] == pytest.approx(-24.0, abs=0.05)
    assert figures["latents"] == [320, 150]
    assert figures["waveform_snr_db"] > 80
    back, source = files.read(out), files.read("harmony.wav")
    np.testing.assert_allclose(back, source, atol=0.002)  # as loud as it was


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["codec-check", "harmony.wav", "-o", "mine.wav"], "mine.wav"),
        (["stems", "harmony.wav", "-o", "."], "melody.wav"),
    ],
)
def test_what_is_there_is_not_replaced_without_a_word(here, tmp_path, capsys, words, made):
    shutil.copyfile("groove.wav", tmp_path / made)
    words = [*words[:-1], str(tmp_path / words[-1])]
    before = (tmp_path / made).read_bytes()
    assert main(words) == 2
    assert f"{made}: exists" in capsys.readouterr().err
    assert (tmp_path / made).read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    assert main([*words, "--force"]) == 0
    assert (tmp_path / made).read_bytes() != before


def test_codec_check_takes_options_and_writes_nothing_unless_asked(here, capsys):
    before = everything(here)
    figures = answer(capsys, "codec-check", "harmony.wav", "-s", "phase_steps=2", "-s", "inversion_steps=4")
    assert figures["codec"] == "mel" and figures["waveform_snr_db"] < 10
    assert everything(here) == before


def test_the_seed_is_0_unless_another_is_given_and_is_heard(here, tmp_path, capsys):
    for name, more in {"a": (), "b": ("--seed", "1")}.items():
        assert main(compose(*more, out=str(tmp_path / f"{name}.wav"))) == 0
    assert [json.loads((tmp_path / f"{name}.json").read_text())["seed"] for name in "ab"] == [0, 1]
    assert (tmp_path / "a.wav").read_bytes() != (tmp_path / "b.wav").read_bytes()
    capsys.readouterr()
