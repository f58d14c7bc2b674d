"""Look at this machine: GPU, driver, packages, what can run, what is missing and what mends it.

Exit status 1 where something is missing that every suite needs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.command import DONE, FOUND, Answer
from pytest_quantcheck.core.quantity import format_count

if TYPE_CHECKING:
    import argparse

    from pytest_quantcheck.cli.checkup import Observation

SUMMARY = "look at GPU, driver and packages, and say what mends what is missing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the subcommand takes."""
    parser.add_argument("--require-gpu", action="store_true", help="take no GPU for a fault")


def run(arguments: argparse.Namespace) -> Answer:
    """Return what was found, and status 1 where something is wrong."""
    from pytest_quantcheck.cli.checkup import Machine, State, examine

    machine = Machine(environment=os.environ)
    found = list(examine(machine, require_gpu=arguments.require_gpu))
    n = sum(one.state is State.WRONG for one in found)
    last = f"{format_count(n, 'thing')} to mend" if n else "ready"
    lines = [line for one in found for line in _lines(one)]
    return Answer(
        text="\n".join([*lines, f"quantcheck doctor: {last}"]), status=FOUND if n else DONE
    )


def _lines(found: Observation) -> list[str]:
    lines = [f" {found.state.value:<3}{found.name:<20}{found.text}"]
    return lines + ([f"    {'':<20}{found.mend}"] if found.mend else [])
