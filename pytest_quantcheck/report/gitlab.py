"""A code quality report for GitLab: red budgets at the lines of their tests."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pytest_quantcheck.report.findings import Finding, Kind, findings, path_in_repository

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.report.formats import View

_SEVERITIES = {Kind.ERROR: "critical", Kind.WARNING: "major", Kind.NOTICE: "info"}


def render_gitlab(run: RunRecord, view: View) -> str:
    """Return what GitLab reads as `artifacts:reports:codequality`."""
    rows = [_row(one, view.folder) for one in findings(run)]
    return json.dumps(rows, indent=1, ensure_ascii=False)


def _row(one: Finding, folder: str) -> dict[str, object]:
    check = one.check
    # Equal from run to run, so that GitLab tells what a merge request brought.
    key = [check.nodeid, check.model, check.workload, check.slice, check.keyword]
    return {
        "description": one.text.replace("\n", "; "),
        "check_name": f"quantcheck.{check.keyword}",
        "fingerprint": hashlib.sha256(json.dumps(key).encode()).hexdigest(),
        "severity": _SEVERITIES[one.kind],
        "location": {
            "path": path_in_repository(check.path, folder),
            "lines": {"begin": check.line},
        },
    }
