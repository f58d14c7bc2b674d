"""Compare two runs of one suite: what changed for each variant, and what got worse.

Scores are paired example by example where both runs have the same examples. Exit status 1 where a
metric is shown to be worse in the second run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.command import DONE, FOUND, Answer, check_rate
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_quantcheck.core.record import RunRecord

SUMMARY = "show what changed from one run to another, and fail where a variant got worse"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the subcommand takes."""
    parser.add_argument("before", type=Path, metavar="BEFORE", help="the earlier run.json")
    parser.add_argument("after", type=Path, metavar="AFTER", help="the later run.json")
    parser.add_argument(
        "--alpha",
        type=float,
        default=0.05,
        metavar="RATE",
        help="chance that any regression is false, shared by all metrics [0.05]",
    )


def run(arguments: argparse.Namespace) -> Answer:
    """Return what changed, and status 1 where something got worse.

    Raises
    ------
    UsageError
        A run cannot be read, or the runs have no metric in common.
    """
    check_rate("--alpha", arguments.alpha)
    from pytest_quantcheck.cli.comparing import compare_runs
    from pytest_quantcheck.cli.runs import read_run
    from pytest_quantcheck.report.changes import render_changes

    before, after = read_run(arguments.before), read_run(arguments.after)
    changes = compare_runs(before, after, alpha=arguments.alpha)
    if not changes:
        raise UsageError(
            f"{arguments.before} and {arguments.after} have no metric in common that budgets of "
            "both are about; compare two runs of one suite"
        )
    n = sum(change.is_regression for change in changes)
    lines = [
        *render_changes(changes, percent=f"{100 * (1 - 2 * arguments.alpha):.10g}"),
        *_verdicts(before.run, after.run),
        f"quantcheck compare: {format_count(n, 'regression') if n else 'no regressions'}",
    ]
    return Answer(text="\n".join(lines), status=FOUND if n else DONE)


def _verdicts(before: RunRecord, after: RunRecord) -> Iterator[str]:
    """Yield the budgets whose verdict changed, that are gone, and that are new."""
    from pytest_quantcheck.cli.runs import name_of

    first, second = ({name_of(check): check for check in one.checks} for one in (before, after))
    for name, check in second.items():
        then = first.get(name)
        if then is not None and then.outcome != check.outcome:
            yield f" {name}: {then.outcome.upper()} before, {check.outcome.upper()} after"
    for words, names in (
        ("were decided before only", first.keys() - second.keys()),
        ("are new", second.keys() - first.keys()),
    ):
        if names:
            yield f" budgets that {words}: {len(names)}"
