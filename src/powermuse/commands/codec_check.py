"""`powermuse codec-check`: a sound through a codec and back."""

import argparse
import json
from pathlib import Path
from typing import Any

from powermuse.commands.shared import Handler, check_new, check_out, codec_options


def add(commands: Any) -> tuple[argparse.ArgumentParser, Handler]:
    """The command's parser and what it does."""
    command = commands.add_parser(
        "codec-check", help="send a sound through a codec and back",
        description="Encodes and decodes FILE, prints how well it came back, and writes it with -o.",
        epilog="example: powermuse codec-check examples/groove.ogg --codec mel -o back.wav",
    )  # fmt: skip
    command.add_argument("file", metavar="FILE")
    command.add_argument("--codec", default="mel")
    command.add_argument(
        "-s", dest="options", action="append", default=[], metavar="KEY=VALUE", help="option of the codec"
    )
    command.add_argument("-o", "--out", metavar="OUT", help="a .wav or .flac file for what came back, as loud as FILE")
    command.add_argument("--force", action="store_true", help="replace OUT where it exists")
    return command, _codec_check


def _codec_check(options: argparse.Namespace) -> int:
    from powermuse import about
    from powermuse.audio import files

    if options.out:
        check_out(options.out, options.file)
        check_new([Path(options.out)], options.force)
    figures, wav_CN, rate_hz = about.codec_check(options.file, options.codec, codec_options(options.options))
    if options.out:
        files.write(options.out, wav_CN, rate_hz)
    print(json.dumps(figures, indent=1))
    return 0
