"""Workflow commands of GitHub Actions: red budgets as annotations at the lines of their tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.report.findings import Finding, Kind, findings, path_in_repository
from pytest_quantcheck.report.screen import cut_middle
from pytest_quantcheck.report.terminal import render_final

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.report.formats import View

MOST_OF_A_KIND = 10
"""GitHub shows so many of a step and drops the rest."""
_LONGEST_TITLE, _LONGEST_TEXT = 200, 2_000
_IN_TEXT = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = _IN_TEXT | str.maketrans({":": "%3A", ",": "%2C"})


def render_github(run: RunRecord, view: View) -> str:
    """Return the annotations of a run, and its last line."""
    return "\n".join([*workflow_commands(run, folder=view.folder), render_final(run)])


def workflow_commands(run: RunRecord, *, folder: str) -> list[str]:
    """Return a workflow command for each red budget, at most ten of a kind.

    Parameters
    ----------
    run : RunRecord
        The run.
    folder : str
        What paths of tests are relative to, from the top of the repository.
    """
    found = findings(run)
    return [
        line
        for kind in Kind
        for line in _of_a_kind(kind, [one for one in found if one.kind is kind], folder)
    ]


def _of_a_kind(kind: Kind, found: list[Finding], folder: str) -> list[str]:
    if len(found) <= MOST_OF_A_KIND:
        return [_command(one, folder) for one in found]
    shown = found[: MOST_OF_A_KIND - 1]
    rest = format_count(len(found) - len(shown), "budget")
    more = f"and {rest} more: GitHub shows {MOST_OF_A_KIND} annotations of a kind"
    return [
        *(_command(one, folder) for one in shown),
        f"::{kind.value} title=quantcheck::{more}",
    ]


def _command(one: Finding, folder: str) -> str:
    title = cut_middle(one.title, _LONGEST_TITLE, "…")
    properties = {
        "file": path_in_repository(one.check.path, folder),
        "line": str(one.check.line),
        "title": f"quantcheck {title}",
    }
    shown = ",".join(f"{name}={text.translate(_IN_PROPERTY)}" for name, text in properties.items())
    text = "\n".join(cut_middle(line, _LONGEST_TEXT, "…") for line in one.text.split("\n"))
    return f"::{one.kind.value} {shown}::{text.translate(_IN_TEXT)}"
