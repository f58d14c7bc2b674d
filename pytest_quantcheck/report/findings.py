"""What a run has to say at a line of a test: for annotations, code quality and plain text."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.failure import headline
from pytest_quantcheck.report.screen import ascii_safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.record import CheckRecord, RunRecord

_ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Variables in which GitHub and GitLab name the folder of the checkout."""


class Kind(Enum):
    """How bad it is."""

    ERROR = "error"
    """Red, and shown to be: a FAIL, or a budget without teeth under the strict gate."""
    WARNING = "warning"
    """Red for want of evidence: INCONCLUSIVE under the strict gate."""
    NOTICE = "notice"
    """Red, and waived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One budget that is red, or would be without its waiver."""

    kind: Kind
    check: CheckRecord
    title: str
    text: str
    """Of several lines; the first is the verdict."""


def findings(run: RunRecord) -> list[Finding]:
    """Return what is red, in the order of the tests; control characters are escaped."""
    return [_finding(kind, check) for check in run.checks if (kind := _kind(check)) is not None]


def path_in_repository(path: str, folder: str) -> str:
    """Return the path of a test's file from the top of the repository."""
    return posixpath.normpath(posixpath.join(folder, ascii_safe(path.replace("\\", "/"))))


def folder_in_repository(folder: Path, environ: Mapping[str, str]) -> str:
    """Return where `folder` lies in the checkout of a CI job; empty where that is unknown."""
    place = folder.resolve()
    roots = [Path(environ[name]).resolve() for name in _ROOTS if environ.get(name)]
    found = (place.relative_to(root) for root in roots if place.is_relative_to(root))
    return next((path.as_posix() for path in found), "")


def _kind(check: CheckRecord) -> Kind | None:
    if check.is_red and check.is_waived:
        return Kind.NOTICE
    if check.outcome == "fail" or _lacks_teeth(check):
        return Kind.ERROR
    return Kind.WARNING if check.is_red else None


def _lacks_teeth(check: CheckRecord) -> bool:
    """Whether its test is red because the budget shows nothing."""
    return check.is_toothless and check.gate == "strict"


def _finding(kind: Kind, check: CheckRecord) -> Finding:
    name = check.nodeid.partition("::")[2]
    word = check.outcome if check.is_red else "toothless"
    return Finding(
        kind=kind,
        check=check,
        title=ascii_safe(f"{word.upper()} {name}"),
        text="\n".join(map(ascii_safe, _lines(check))),
    )


def _lines(check: CheckRecord) -> list[str]:
    reference = f"{check.reference_label} {wording.level(check, check.reference_level)}"
    size = f", n = {format_count(check.n)} {wording.noun(check)}" if check.n else ""
    more = wording.more_examples(check)
    return [
        headline(check),
        wording.reason_text(check),
        f"reference {reference}, variant {wording.level(check, check.variant_level)}{size}",
        *wording.reasons_of_the_team(check),
        *([f"would settle it: {more}"] if more else []),
        *([f"toothless: {wording.toothless(check)}"] if _lacks_teeth(check) else []),
    ]
