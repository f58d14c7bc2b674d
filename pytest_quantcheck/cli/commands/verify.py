"""Verify a run without a GPU: decide every budget again from what every example scored.

Then, where pytest ran, compare the files of the models, the examples and the budgets with those
of the run. Exit status 1 where anything differs, 2 where something cannot be read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.command import DONE, FOUND, Answer
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.screen import inert

if TYPE_CHECKING:
    import argparse

    from pytest_quantcheck.cli.runs import SavedRun

SUMMARY = "decide a run's budgets again from its scores, and look whether anything has changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the subcommand takes."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run.json, or a killed run's jsonl")
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="pytest's root directory [this folder, or the nearest above RUN with its tests]",
    )
    parser.add_argument(
        "--scores-only",
        action="store_true",
        help="decide again, and look at no model, example or budget of the working tree",
    )


def run(arguments: argparse.Namespace) -> Answer:
    """Return what differs, and status 1 if anything does.

    Raises
    ------
    UsageError
        The run cannot be read, or has nothing to verify.
    """
    from pytest_quantcheck.cli.runs import read_run

    saved = read_run(arguments.run, takes_altered=True)
    if not saved.run.checks:
        raise UsageError(
            f"{arguments.run}: no budget was decided in it, so there is none to verify"
        )
    findings = [f"records: {saved.altered}"] if saved.altered else []
    found, said = _decided_again(saved)
    findings += found
    if not arguments.scores_only:
        from pytest_quantcheck.cli.tree import compare_tree, root_of

        tree = compare_tree(saved.run, arguments.root or root_of(saved.run, arguments.run))
        findings += tree.findings
        said += tree.said
    n = len(findings)
    last = format_count(n, "difference") if n else "verified"
    lines = [*findings, *(f"note: {text}" for text in said), f"quantcheck verify: {last}"]
    return Answer(text="\n".join(map(inert, lines)), status=FOUND if findings else DONE)


def _decided_again(saved: SavedRun) -> tuple[list[str], list[str]]:
    """Return what deciding again finds different, and what is to be said of it."""
    from pytest_quantcheck.cli.rejudging import differences, is_recorded
    from pytest_quantcheck.cli.runs import name_of
    from pytest_quantcheck.stats.holm import also_failing

    run = saved.run
    able = [check for check in run.checks if is_recorded(check)]
    findings = [
        f"verdict: {name_of(check)}: {text}" for check in able for text in differences(check, saved)
    ]
    if also_failing(run.checks, run.environments) != run.also_failing:
        findings.append("verdict: Holm's test of all budgets lists others than the run does")
    said = [f"{format_count(len(able), 'budget')} decided again from the scores"]
    if len(able) < len(run.checks):
        n = format_count(len(run.checks) - len(able), "budget")
        said.append(f"{n} not decided again: the run holds no scores of examples for them")
    return findings, said
