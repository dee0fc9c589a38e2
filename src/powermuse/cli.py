"""The command line. Parses, shows progress, prints what came out; everything else is done elsewhere.

Exit status: 0 done, 1 our fault, 2 yours (with what to do), 130, 138 and 143 stopped by SIGINT, SIGUSR1 (SLURM's time
limit) and SIGTERM, 141 by SIGPIPE: nobody reads what is printed any more.
"""

import argparse
import io
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from powermuse.commands import (
    codec_check,
    compose,
    doctor,
    evaluate,
    info,
    prepare,
    render,
    runs,
    slurm,
    stems,
    studio,
    train,
)
from powermuse.commands.shared import Handler
from powermuse.terminal import UsageError, explain, say

_COMMANDS = (compose, studio, prepare, render, train, evaluate, slurm, runs, doctor, info, codec_check, stems)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that it has no signs for is told all the same
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments)
        handler: Handler = options.handler
        status = handler(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return say("stopped", 128 + signal.SIGINT)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
            return 128 + signal.SIGPIPE
        if debug:
            raise
        return explain(error)


def _reader_has_gone() -> bool:
    """Whether nobody reads what is printed any more: a broken pipe may be another one, to a server."""
    asked = select.poll()
    try:
        asked.register(sys.stdout.fileno(), 0)
    except OSError:  # it is no file
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


def _parser() -> _Parser:
    parser = _Parser(
        prog="powermuse", description="The rhythm of one clip and the harmony of another, composed into a third."
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(handler=_version_or_help(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for each in _COMMANDS:
        command, handler = each.add(commands)
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.add_argument("--debug", action="store_true", help="show a traceback when something fails")
        command.set_defaults(handler=handler)
    return parser


def _version_or_help(parser: argparse.ArgumentParser) -> Handler:
    def handler(options: argparse.Namespace) -> int:
        if not options.version:
            raise UsageError(
                "a command is wanted, such as: powermuse compose GROOVE HARMONY -o blend.wav (see: powermuse --help)"
            )
        from importlib.metadata import version

        print(version("powermuse"))
        return 0

    return handler


if __name__ == "__main__":
    raise SystemExit(main())
