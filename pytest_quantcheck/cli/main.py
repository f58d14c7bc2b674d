"""Entry of `quantcheck`: finds the subcommand, and says what is wrong where something is."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from pytest_quantcheck.cli.commands import suggest_budgets
from pytest_quantcheck.errors import QuantcheckError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DONE, _WRONG = 0, 2


class Command(Protocol):
    """What a file in `commands/` has; importing it loads the standard library only."""

    SUMMARY: str
    """One line for `quantcheck --help`."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what the subcommand takes."""

    def run(self, arguments: argparse.Namespace) -> str:
        """Return what to print, without the last newline."""


COMMANDS: dict[str, Command] = {"suggest-budgets": suggest_budgets}
"""By name; a new subcommand is a file and an entry here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit status: 0, or 2 where something is wrong."""
    parsed = _parser().parse_args(arguments)
    command = COMMANDS[parsed.command]
    try:
        text = command.run(parsed)
    except QuantcheckError as error:
        sys.stderr.write(f"quantcheck {parsed.command}: error: {error}\n")
        return _WRONG
    sys.stdout.write(f"{text}\n")
    return _DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quantcheck", description="Work on finished runs of pytest-quantcheck."
    )
    found = f"quantcheck {version('pytest-quantcheck')}"
    parser.add_argument("--version", action="version", version=found)
    parts = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        part = parts.add_parser(
            name,
            help=command.SUMMARY,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(part)
    return parser
