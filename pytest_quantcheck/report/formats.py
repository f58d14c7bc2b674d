"""The formats in which a finished run can be shown: one entry each."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a format may use beside the run."""

    width: int = 80
    """Columns of the terminal."""
    is_coloured: bool = False
    """Whether the terminal shows colours."""
    examples: Mapping[str, ExamplesRecord] = field(default_factory=dict)
    """Per-example records by key; empty where the run wrote none."""
    folder: str = ""
    """What paths of tests are relative to, from the top of the repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way of showing a run."""

    summary: str
    """What it is, for `--help`."""
    target: str
    """`module:function` that takes the run and a `View` and returns the text, imported late."""


Render: TypeAlias = "Callable[[RunRecord, View], str]"

FORMATS = {
    "terminal": Format(
        summary="the tables that pytest prints",
        target="pytest_quantcheck.report.terminal:render_terminal",
    ),
    "json": Format(
        summary="the run as --quant-json writes it",
        target="pytest_quantcheck.report.json:render_as_json",
    ),
    "html": Format(
        summary="the page that --quant-html writes",
        target="pytest_quantcheck.report.html:render_as_html",
    ),
    "text": Format(
        summary="the tables without a limit of width, and a line for each red budget",
        target="pytest_quantcheck.report.text:render_text",
    ),
    "markdown": Format(
        summary="the step summary of --quant-github",
        target="pytest_quantcheck.report.markdown:render_markdown",
    ),
    "github": Format(
        summary="its annotations",
        target="pytest_quantcheck.report.github:render_github",
    ),
    "gitlab": Format(
        summary="a code quality report",
        target="pytest_quantcheck.report.gitlab:render_gitlab",
    ),
}
"""By name; a new format is a function and an entry here."""


def render(name: str, run: RunRecord, view: View) -> str:
    """Return a run in the format called `name`, without the last newline."""
    module, _, function = FORMATS[name].target.partition(":")
    return cast("Render", getattr(import_module(module), function))(run, view)
