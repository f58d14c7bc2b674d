"""Entry of `quantcheck`: finds the subcommand, and says what is wrong where something is."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from pytest_quantcheck import __version__
from pytest_quantcheck.cli.command import WRONG
from pytest_quantcheck.cli.commands import compare, doctor, report, suggest_budgets, verify
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.report.screen import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.cli.command import Command

COMMANDS: dict[str, Command] = {
    "compare": compare,
    "doctor": doctor,
    "report": report,
    "suggest-budgets": suggest_budgets,
    "verify": verify,
}
"""By name; a new subcommand is a file and an entry here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit status, 2 where something is wrong."""
    parsed = _parser().parse_args(arguments)
    command = COMMANDS[parsed.command]
    try:
        answer = command.run(parsed)
    except QuantcheckError as error:
        said = f"quantcheck {parsed.command}: error: {error}".split("\n")
        sys.stderr.write("\n".join([*map(inert, said), ""]))
        return WRONG
    if answer.text:
        sys.stdout.write(f"{answer.text}\n")
    return answer.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quantcheck", description="Work on finished runs of pytest-quantcheck."
    )
    parser.add_argument("--version", action="version", version=f"quantcheck {__version__}")
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
