"""What a subcommand of `quantcheck` is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import argparse

DONE, FOUND, WRONG = 0, 1, 2
"""Exit status: all is well; what was looked for was found; it could not be done."""


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
