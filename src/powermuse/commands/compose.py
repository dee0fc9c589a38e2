"""`powermuse compose`: a third clip from two."""

import argparse
from pathlib import Path
from typing import Any

from powermuse.commands.shared import Handler, check_out
from powermuse.terminal import progress

FACTORS = ("rhythm", "harmony", "colour")


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "compose",
        help="compose a third clip from two",
        description="Composes a clip with the rhythm of GROOVE and the harmony of HARMONY. Beside OUT it writes a\n"
        "report (OUT's name with .json) and a picture of the sounds and of what passed between them\n"
        "(.png), with --midi also the notes (.mid): all of these, or none. The blend is as long as\n"
        "the longer clip; the shorter is looped.",
        epilog="examples: powermuse compose examples/groove.ogg examples/harmony.ogg -o blend.wav\n"
        "          powermuse compose A B -o blend.wav --orchestration arpeggio --midi",
    )
    command.add_argument("groove", metavar="GROOVE", help="sound file that gives the rhythm")
    command.add_argument("harmony", metavar="HARMONY", help="sound file that gives chords, melody and colour")
    command.add_argument("-o", "--out", required=True, metavar="OUT", help="the blend: a .wav or .flac file")
    command.add_argument("--model", default="factors", help="a shipped model, a run or a folder (default: factors)")
    command.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    command.add_argument(
        "--length", choices=("longer", "shorter", "groove", "harmony"), default="longer",
        help="whose length the blend has: the shorter clip is looped, the longer one cut (default: longer)",
    )  # fmt: skip
    for factor in FACTORS:
        command.add_argument(
            f"--{factor}-from", metavar="CLIP", type=_shares, default=None,
            help=f"where the {factor} comes from: groove, harmony, both, or shares such as groove:0.7,harmony:0.3",
        )  # fmt: skip
        command.add_argument(
            f"--{factor}-strength", metavar="X", type=float, default=None,
            help=f"how far the {factor} is insisted on: 1 as trained, 0 not at all, 2 more than it is there",
        )  # fmt: skip
    command.add_argument(
        "--orchestration", metavar="NAME",
        help="how drum hits become notes, by a name from the model's recipe (flow.orchestrations), as arpeggio; else "
        "the seed chooses; a model without that exits with status 2",
    )  # fmt: skip
    command.add_argument(
        "--midi", action="store_true",
        help="write the notes that are composed as MIDI too (OUT's name with .mid); a model without that exits with "
        "status 2",
    )  # fmt: skip
    command.add_argument(
        "--variations", type=int, default=1, metavar="N",
        help="write N blends, OUT-1 to OUT-N, with seeds from --seed on; without --orchestration each with the next",
    )  # fmt: skip
    return command, _compose


def _compose(options: argparse.Namespace) -> int:
    from powermuse.types import BadInput

    check_out(options.out, options.groove, options.harmony)
    if not 0 <= options.seed < 2**63 - options.variations:
        raise BadInput(f"--seed must be from 0 to below 2^63, not {options.seed}")
    if options.variations < 1:
        raise BadInput(f"--variations must be at least 1, not {options.variations}")
    from powermuse import weights
    from powermuse.composing import factors, notes, report

    outs = _outs(options.out, options.variations)
    for out in outs:
        report.check_free(out, midi=options.midi)
    if options.midi:
        notes.check_told(options.model)
    chosen = {name: (getattr(options, f"{name}_from"), getattr(options, f"{name}_strength")) for name in FACTORS}
    settings = factors.overrides(options.model, chosen, options.orchestration)
    model = weights.load_model(options.model, settings)
    for seed, out in enumerate(outs, start=options.seed):
        _one(options, model, seed, out)
    return 0


def _one(options: argparse.Namespace, model: Any, seed: int, out: str) -> None:
    """One blend with its report and picture."""
    from powermuse.composing import notes, report
    from powermuse.composing.composer import Composer, report_paths

    composer = Composer(model, seed)
    groove, harmony = composer.listen(options.groove), composer.listen(options.harmony)
    with progress() as update:
        blend = composer.compose(groove, harmony, options.length, update)
        update("report", 0, 1)
        told = report.write(blend, out, midi=options.midi)
    rhythm = told["rhythm"]
    orchestrated = f"; orchestration {told['orchestration']}" if "orchestration" in told else ""
    print(
        f"{out}: {told['blend']['seconds']:.1f} s at {told['blend']['level_db']:.1f} dBFS, onset correlation "
        f"{rhythm['groove']['onset_correlation']:.2f} to the groove, "
        f"{rhythm['harmony']['onset_correlation']:.2f} to the harmony{orchestrated}"
    )
    print(f"report and picture: {', '.join(map(str, report_paths(out)))}")
    if options.midi:
        print(f"MIDI: {notes.midi_path(out)}, {told['notes']} notes")


def _outs(out: str, variations: int) -> list[str]:
    """OUT itself, or OUT-1.wav to OUT-N.wav."""
    if variations == 1:
        return [out]
    path = Path(out)
    return [str(path.with_name(f"{path.stem}-{i}{path.suffix}")) for i in range(1, variations + 1)]


def _shares(text: str) -> tuple[float, float]:
    """Shares of groove and harmony, from `groove`, `harmony`, `both` or `groove:0.7,harmony:0.3`."""
    known = {"groove": (1.0, 0.0), "harmony": (0.0, 1.0), "both": (1.0, 1.0)}
    if text in known:
        return known[text]
    try:
        shares = {name: float(share) for name, share in (part.split(":") for part in text.split(","))}
    except ValueError:
        shares = {"": 0.0}
    if shares.keys() - known.keys() or min(shares.values()) < 0.0 or max(shares.values()) <= 0.0:
        raise argparse.ArgumentTypeError(f"{text!r}: groove, harmony, both or shares as groove:0.7,harmony:0.3 wanted")
    return shares.get("groove", 0.0), shares.get("harmony", 0.0)
