"""A run as plain text: every column however wide, and a line for each red budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.report.asides import text_losses
from pytest_quantcheck.report.findings import findings, path_in_repository
from pytest_quantcheck.report.screen import inert
from pytest_quantcheck.report.terminal import by_model, render_final, render_summary
from pytest_quantcheck.report.wording import headline

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.report.formats import View

_COLUMNS = 10_000
"""As good as no limit."""


def render_text(run: RunRecord, view: View) -> str:
    """Return the tables, then `FILE:LINE: VERDICT` for each red budget, and the counts."""
    lines: list[str] = []
    for environment, part in by_model(run):
        lines += [headline(environment), ""]
        lines += [line.text for line in render_summary(part, width=_COLUMNS)]
        lines += [f" {text}" for text in text_losses(part.measurements)]
        lines.append("")
    for one in findings(run):
        path = path_in_repository(one.check.path, view.folder)
        lines.append(f"{path}:{one.check.line}: {one.text.replace(chr(10), '; ')}")
    return "\n".join([*map(inert, lines), render_final(run)])
