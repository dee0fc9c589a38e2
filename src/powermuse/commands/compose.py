"""`powermuse compose`: a third clip from two."""

import argparse
import math
from pathlib import Path
from typing import Any

from powermuse.commands.shared import Handler, check_out
from powermuse.terminal import progress

_CHANNELS = {1: "mono", 2: "stereo"}
_TOLD = 10
"""Of the blends of folders, at the terminal."""
FACTORS = ("rhythm", "harmony", "colour")
_USUAL = (("rhythm", "groove"), ("harmony", "harmony"))
_BESIDE = {
    "rhythm": "; the larger share at full strength",
    "harmony": " (voicings pass from one clip alone, which gives chords and colour)",
    "colour": "",
}


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "compose",
        help="compose a third clip from two",
        description="Composes a clip with the rhythm of GROOVE and the harmony of HARMONY. Beside OUT it writes a\n"
        "report (OUT's name with .json) and a picture of the sounds and of what passed between them\n"
        "(.png), with --midi also the notes (.mid): all of these, or none. Where the groove has a beat,\n"
        "the blend is a loop of whole bars. It is as long as the longer clip; the shorter is looped.\n"
        "Where GROOVE or HARMONY is a folder, every sound of the one is composed with every sound of the\n"
        "other into the folder OUT, the best told first in OUT/ranking.tsv; run again after an interruption\n"
        "it goes on.",
        epilog="examples: powermuse compose examples/groove.ogg examples/harmony.ogg -o blend.wav\n"
        "          powermuse compose A B -o blend.wav --orchestration arpeggio --midi\n"
        "          powermuse compose A B -o blend.wav --align 120 --transpose groove\n"
        "          powermuse compose grooves/ harmonies/ -o blends/ --pairs 20",
    )
    command.add_argument("groove", metavar="GROOVE", help="sound file that gives the rhythm, or a folder of them")
    command.add_argument("harmony", metavar="HARMONY", help="sound file that gives chords and colour, or a folder")
    command.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="the blend: a .wav or .flac file; of folders a folder"
    )
    command.add_argument("--model", default="factors", help="a shipped model, a run or a folder (default: factors)")
    command.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    command.add_argument(
        "--length", choices=("longer", "shorter", "groove", "harmony"), default="longer",
        help="whose length the blend has: the shorter clip is looped, the longer one cut (default: longer)",
    )  # fmt: skip
    _add_factors(command)
    command.add_argument(
        "--orchestration", metavar="NAME",
        help="how drum hits become notes, by a name from the model's recipe (flow.orchestrations), as arpeggio; else "
        "the seed chooses; a model without that exits with status 2",
    )  # fmt: skip
    command.add_argument(
        "--midi", action="store_true",
        help="write the notes that are composed as MIDI too (OUT's name with .mid); of a model that tells none, those "
        "that basic-pitch hears, where it is installed",
    )  # fmt: skip
    command.add_argument(
        "--variations", type=int, default=1, metavar="N",
        help="write N blends, OUT-1 to OUT-N, with seeds from --seed on, each with the next orchestration; with "
        "--orchestration the notes are the same unless the model draws some (flow.steps above 0)",
    )  # fmt: skip
    _add_bars_and_form(command)
    command.add_argument(
        "--pairs", type=int, metavar="N", help="of folders: so many pairs, drawn by --seed (default: all)"
    )
    return command, _compose


def _add_factors(command: argparse.ArgumentParser) -> None:
    for factor in FACTORS:
        command.add_argument(
            f"--{factor}-from", metavar="CLIP", type=_shares, default=None,
            help=f"where the {factor} comes from: groove, harmony, both, or shares such as groove:0.7,harmony:0.3"
            f"{_BESIDE[factor]}",
        )  # fmt: skip
        command.add_argument(
            f"--{factor}-strength", metavar="X", type=float, default=None,
            help=f"how far the {factor} is insisted on: 1 as the model has it, 0 not at all, 2 more so",
        )  # fmt: skip
    command.add_argument(
        "--distance", metavar="X", type=float, default=None,
        help="how far from the harmony clip: 0 close to its chords and colour, 1 free of both; sets their strengths "
        "and how long a chord holds at least",
    )  # fmt: skip


def _add_bars_and_form(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--align", default="auto", metavar="HOW",
        help="auto: where the groove has a clear beat the harmony is put on its bars, and the blend loops; groove, "
        "harmony: on the bars of that one, however clear; a number: both on bars at so many beats a minute; off: both "
        "as they are (default: auto)",
    )  # fmt: skip
    command.add_argument(
        "--transpose", default="0", metavar="N",
        help="move the harmony by N semitones, or to the key of the groove: groove (default: 0)",
    )  # fmt: skip
    command.add_argument(
        "--rate", type=int, choices=(24_000, 44_100, 48_000), metavar="HZ",
        help="of the file: 24000, 44100 or 48000 (default: the model's, 24000; what it cannot hold is not added)",
    )  # fmt: skip
    command.add_argument("--stereo", action="store_true", help="write two channels, both the same")


def _compose(options: argparse.Namespace) -> int:
    from powermuse.types import BadInput

    for name in ("groove", "harmony"):
        if not getattr(options, name):
            raise BadInput(f"{name.upper()} is empty; name a sound file or a folder")
    many = Path(options.groove).is_dir() or Path(options.harmony).is_dir()
    outs = [] if many else _outs(options.out, options.variations)
    for out in outs:
        check_out(out, options.groove, options.harmony)
    if many and options.variations != 1:
        raise BadInput("--variations is for one pair of files; of folders run it again with another --seed and -o")
    if not many and options.pairs is not None:
        raise BadInput("--pairs is for folders; neither GROOVE nor HARMONY is one")
    if not 0 <= options.seed < 2**63 - options.variations:
        raise BadInput(f"--seed must be from 0 to below 2^63, not {options.seed}")
    if options.variations < 1:
        raise BadInput(f"--variations must be at least 1, not {options.variations}")
    from powermuse import weights
    from powermuse.composing import alignment, factors, notes, report
    from powermuse.terminal import say

    alignment.check(_wish(options))
    for out in outs:
        report.check_free(out, midi=options.midi)
    if options.midi:
        notes.check_told(options.model)
    chosen = {name: (getattr(options, f"{name}_from"), getattr(options, f"{name}_strength")) for name in FACTORS}
    settings = factors.overrides(options.model, chosen, options.orchestration, options.distance)
    model = weights.load_model(options.model, settings)
    if many:
        return _many(options, model)
    if options.variations > (distinct := _distinct(model.recipe)):
        note = f"note: {options.variations} variations, but notes for {distinct} only: the others repeat them"
        say(f"{note} (--help, --variations)")
    for seed, out in enumerate(outs, start=options.seed):
        _one(options, model, seed, out)
    return 0


def _one(options: argparse.Namespace, model: Any, seed: int, out: str) -> None:
    """One blend with its report and picture."""
    from powermuse.composing import alignment, notes, report
    from powermuse.composing.alignment import Aligner
    from powermuse.composing.composer import Composer, report_paths

    composer = Composer(model, seed)
    groove, harmony = composer.listen(options.groove), composer.listen(options.harmony)
    with progress() as update:
        update("beat", 0, 1)
        groove, harmony, found = Aligner(_wish(options), composer.codec.sample_rate_hz)(groove, harmony)
        blend = composer.compose(groove, harmony, options.length, update, found)
        update("report", 0, 1)
        told = report.write(blend, out, midi=options.midi, form=_form(options), asked=_asked(options))
    rhythm = told["rhythm"]
    orchestrated = f"; orchestration {told['orchestration']}" if "orchestration" in told else ""
    print(
        f"{out}: {told['blend']['seconds']:.1f} s at {told['blend']['level_db']:.1f} dBFS, onset correlation "
        f"{rhythm['groove']['onset_correlation']:.2f} to the groove, "
        f"{rhythm['harmony']['onset_correlation']:.2f} to the harmony{orchestrated}"
    )
    if found is not None:
        print(f"alignment: {alignment.in_words(found)}")
    if "taken" in told:
        print(f"taken{_taken(told)}")
    file = told["file"]
    print(f"{file['sample_rate_hz']} Hz, {_CHANNELS[file['channels']]}, nothing above {file['band_limit_hz']} Hz")
    print(f"report and picture: {', '.join(map(str, report_paths(out)))}")
    if options.midi:
        heard = "" if told["notes_by"] == "score" else f", as {told['notes_by']} hears them"
        print(f"MIDI: {notes.midi_path(out)}, {told['notes']} notes{heard}")


def _wish(options: argparse.Namespace) -> Any:
    """How the two are aligned."""
    from powermuse.composing.alignment import Wish

    return Wish(options.align, options.transpose)


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """All that decides a blend beside its sounds, its model and its seed, as it was asked for."""
    names = ("length", "orchestration", "align", "transpose", "distance")
    factors = (f"{name}_{what}" for name in FACTORS for what in ("from", "strength"))
    told = {name: getattr(options, name) for name in (*names, *factors)}
    return {name: value for name, value in told.items() if value is not None}


def _form(options: argparse.Namespace) -> Any:
    """How a blend is written."""
    from powermuse.composing.formats import Form

    return Form(options.rate, options.stereo)


def _many(options: argparse.Namespace, model: Any) -> int:
    """Every pair of two folders, and a table of them."""
    from powermuse.audio import files
    from powermuse.composing import batch
    from powermuse.composing.composer import Composer
    from powermuse.terminal import say
    from powermuse.types import BadInput

    if Path(options.out).exists() and not Path(options.out).is_dir():
        raise BadInput(f"{options.out}: is a file; blends of folders go into a folder")
    todo = batch.pairs(options.groove, options.harmony, options.out, options.pairs, options.seed)
    if Path(options.out).suffix.lower() in (".wav", ".flac"):
        raise BadInput(f"{options.out}: is named as a file; blends of folders go into a folder")
    files.check_folder(options.out)
    Path(options.out).mkdir(parents=True, exist_ok=True)
    wanted = batch.Request(options.seed, options.length, options.midi, _form(options), _wish(options))
    made: list[batch.Made] = []
    with progress() as update:
        update("compose", 0, len(todo))
        for one in batch.compose(Composer(model, options.seed), todo, wanted, _asked(options), update):
            made.append(one)
            batch.write_ranking(options.out, made)
            update("compose", len(made), len(todo), one.pair.out.name)
    failed = [one for one in made if one.trouble]
    for one in failed:
        say(one.trouble)
    best = batch.ranked(made)
    for place, one in enumerate(best[:_TOLD], start=1):
        print(f"{place}. {one.pair.out}{_taken(one.told)}")
    if options.align != "off" and (loose := batch.not_aligned(best)):
        named = ", ".join(one.pair.out.name for one in loose[:_TOLD])
        print(f"not aligned, their bars are not sure: {len(loose)} of {len(best)}: {named}{_more(len(loose) - _TOLD)}")
    there = sum(one.was_there for one in made)
    print(f"{options.out}: {len(best)} blends, {there} of them were there; ranked in {options.out}/{batch.RANKING}")
    return say(f"{len(failed)} of {len(made)} pairs could not be composed", 2) if failed else 0


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _taken(told: dict[str, Any]) -> str:
    """What a blend took of its sources, beside a plain mix; nothing where nothing can be said."""
    if "taken" not in told:
        return ""
    found, mix = told["taken"]["blend"], told["taken"]["plain_mix"]
    sources = told["taken"].get("from", {})
    rhythm, chords = (_of_one(sources.get(usual[0], ""), usual[1]) for usual in _USUAL)
    names = {
        f"rhythm_of_{rhythm}": f"rhythm of the {rhythm}",
        f"chords_of_{chords}": f"chords of the {chords}",
        "copied": "copied",
    }
    parts = [f"{words} {_figure(found[name])} (plain mix {_figure(mix[name])})" for name, words in names.items()]
    return ": " + ", ".join(parts)


def _of_one(clip: str, usual: str) -> str:
    """Of what was asked from both, or is not told, the usual one."""
    return clip if clip in ("groove", "harmony") else usual


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _distinct(recipe: Any) -> float:
    """How many different compositions a model makes of one pair: one for each orchestration, where nothing is drawn."""
    if recipe.composer != "flow" or recipe.flow.steps > 0:
        return math.inf
    return 1 if recipe.flow.orchestration else max(1, len(recipe.flow.orchestrations))


def _outs(out: str, variations: int) -> list[str]:
    """OUT itself, or OUT-1.wav to OUT-N.wav. Raises BadInput for what could not be written."""
    from powermuse.audio import files

    if variations == 1:
        return [out]
    files.check_writable(out)
    path = Path(out)
    return [str(path.with_name(f"{path.stem}-{i}{path.suffix}")) for i in range(1, variations + 1)]


def _shares(text: str) -> tuple[float, float]:
    """Shares of groove and harmony, from `groove`, `harmony`, `both` or `groove:0.7,harmony:0.3`."""
    known = {"groove": (1.0, 0.0), "harmony": (0.0, 1.0), "both": (1.0, 1.0)}
    if text in known:
        return known[text]
    parts = [part.split(":") for part in text.split(",")]
    try:
        shares = {name: float(share) for name, share in parts}
    except ValueError:
        shares = {"": 0.0}
    if (
        shares.keys() - {"groove", "harmony"}
        or len(shares) < len(parts)
        or not all(0.0 <= s < math.inf for s in shares.values())
        or not any(shares.values())
    ):
        raise argparse.ArgumentTypeError(f"{text!r}: groove, harmony, both or shares as groove:0.7,harmony:0.3 wanted")
    most = max(shares.values())  # the larger one is whole, whatever it is a share of
    return shares.get("groove", 0.0) / most, shares.get("harmony", 0.0) / most
