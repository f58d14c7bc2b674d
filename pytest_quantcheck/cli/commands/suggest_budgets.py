"""Propose, from the per-example records of a run, the tightest budgets that other examples keep.

Run the suite with `pytest --quant-json=run.json` first. Half of the examples of each workload,
whole clusters, propose a budget for every limit that fits; the other half decides it with the test
that pytest would use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.command import Answer, check_rate
from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

SUMMARY = "propose budgets that other examples keep, from the run that --quant-json wrote"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the subcommand takes."""
    parser.add_argument("run", type=Path, metavar="RUN.json", help="written by pytest --quant-json")
    parser.add_argument(
        "--false-alarm",
        type=float,
        default=0.05,
        metavar="RATE",
        help="chance of FAIL on other examples while nothing changes, for each budget [0.05]",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the halves [0]")
    for name in ("variant", "workload"):
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"this {name} only; may be repeated [all]",
        )


def run(arguments: argparse.Namespace) -> Answer:
    """Return the suggestions as text.

    Raises
    ------
    UsageError
        An argument is wrong, or no workload of the run has enough examples.
    """
    check_rate("--false-alarm", arguments.false_alarm)
    if arguments.seed < 0:
        raise UsageError(f"--seed={arguments.seed}: expected a whole number, at least 0")
    from pytest_quantcheck.cli.runs import read_run

    saved = read_run(arguments.run)
    measured = [record for record in saved.examples.values() if record.reference]
    if not measured:
        raise UsageError(
            f"{arguments.run}: no variant was measured in it, so there is nothing to suggest from; "
            "run tests with a workload, and pytest --quant-json"
        )
    _check("variant", arguments.variant, {record.variant for record in measured})
    _check("workload", arguments.workload, {record.workload for record in measured})
    from pytest_quantcheck.cli.suggesting import suggest_for_run

    return Answer(text="\n".join(suggest_for_run(saved, arguments)))


def _check(name: str, asked: Collection[str], known: Collection[str]) -> None:
    for one in asked:
        if one not in known:
            raise UsageError(
                f"--{name}={one}: the run has no such {name}; {suggestion(one, known)}"
            )
