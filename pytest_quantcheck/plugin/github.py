"""`--quant-github`: a step summary, and annotations at the lines of red tests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.core.redaction import Redact, redacted_run
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    import pytest

    from pytest_quantcheck.core.record import RunRecord

VARIABLE = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """What is told to GitHub Actions."""

    step_summary: Path | None
    """File to append to; None outside a workflow, where there are only annotations."""
    redact: Redact
    folder: str
    """pytest's root directory, from the top of the repository."""

    def append_summary(self, run: RunRecord) -> None:
        """Append the run to the step's summary, as much of it as there is room for."""
        if self.step_summary is None:
            return
        from pytest_quantcheck.report.markdown import MOST_BYTES, step_summary

        path = self.step_summary
        used = path.stat().st_size if path.exists() else 0
        with path.open("a", encoding="utf-8") as file:
            file.write(step_summary(redacted_run(run, self.redact), room_bytes=MOST_BYTES - used))

    def lines(self, run: RunRecord) -> list[str]:
        """Return what is printed: annotations, and why there is no summary."""
        from pytest_quantcheck.report.github import workflow_commands

        lines = workflow_commands(redacted_run(run, self.redact), folder=self.folder)
        if self.step_summary is None:
            lines.append(f"quantcheck: no step summary, as {VARIABLE} is not set")
        return lines


def read_github(config: pytest.Config, redact: Redact | None) -> GitHub | None:
    """Return what is told to GitHub Actions; None where nobody asked.

    Parameters
    ----------
    config : pytest.Config
        Of the run.
    redact : Redact or None
        What the user wants left out; None: not said, so all that is of one example.

    Raises
    ------
    UsageError
        The step's summary cannot be written.
    """
    if not config.getoption("quant_github"):
        return None
    from pytest_quantcheck.report.findings import folder_in_repository

    path = Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(
            f"--quant-github: {VARIABLE}={path}: expected a file that can be written, as GitHub "
            "Actions names one; unset it for annotations alone"
        )
    return GitHub(
        step_summary=path,
        redact=Redact.IDS if redact is None else redact,
        folder=folder_in_repository(config.rootpath, os.environ),
    )
