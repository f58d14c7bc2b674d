"""What a subcommand of `quantcheck` is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    import argparse

DONE, FOUND, WRONG = 0, 1, 2
"""Exit status: all is well; what was looked for was found; it could not be done."""
_LARGEST_RATE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a subcommand has to say."""

    text: str
    """To print, without the last newline; may be empty."""
    status: int = DONE


class Command(Protocol):
    """What a file in `commands/` has; importing it loads the standard library only."""

    SUMMARY: str
    """One line for `quantcheck --help`."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what the subcommand takes."""

    def run(self, arguments: argparse.Namespace) -> Answer:
        """Return what to print, and the exit status."""


def check_rate(option: str, rate: float) -> None:
    """Raise UsageError unless `rate` is a probability below one half."""
    if not 0 < rate < _LARGEST_RATE:
        raise UsageError(f"{option}={rate:g}: expected a number above 0 and below 0.5")
