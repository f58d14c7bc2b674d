"""The run as one self-contained page; jinja2 is imported when a page is asked for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.report.formats import View


def check_installed(shown: str) -> None:
    """Raise UsageError where the page could not be made."""
    if find_spec("jinja2") is None:
        raise UsageError(
            f"{shown}: the package jinja2 is missing; pip install 'pytest-quantcheck[html]'"
        )


def render_as_html(run: RunRecord, view: View) -> str:
    """Return the run as a page, without the last newline."""
    check_installed("format html")
    from pytest_quantcheck.report.html.page import render_html

    return render_html(run, view.examples)
