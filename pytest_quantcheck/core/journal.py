"""A run while it is under way: one line of JSON for each test, so that nothing is lost with it.

A first line names the version; then a line follows for each test that is decided, and one for each
per-example record. Lines are complete or, where the run was killed as it wrote the last, cut.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.examples import strict
from pytest_quantcheck.core.gather import Reported, in_order
from pytest_quantcheck.core.plain import from_builtins, to_builtins
from pytest_quantcheck.core.record import SCHEMA_VERSION
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.core.fingerprint import Plain

_CONTENT = "quantcheck run under way"
_EXAMPLES = '{"examples":'


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a run that did not end has left."""

    started: str
    """UTC, ISO 8601."""
    reported: list[Reported]
    """In the order of the tests."""
    examples: list[str]
    """Lines of per-example records."""


def first_line(started: str) -> str:
    """Return the line with which a journal begins."""
    return _line({"content": _CONTENT, "schema_version": SCHEMA_VERSION, "started": started})


def item_line(reported: Reported) -> str:
    """Return the line of one test."""
    return _line(to_builtins(reported))


def examples_line(line: str) -> str:
    """Return the line that holds a line of per-example records as it is."""
    return f"{_EXAMPLES}{line}}}\n"


def is_journal(text: str) -> bool:
    """Say whether a file is a journal and not the record of a run that ended."""
    return text.startswith(f'{{"content":"{_CONTENT}"')


def read_journal(text: str, *, place: str) -> Journal:
    """Return what a journal holds, without a last line that was cut.

    Parameters
    ----------
    text : str
        The whole file, for which `is_journal` holds.
    place : str
        How errors name it.

    Raises
    ------
    UsageError
        Another version wrote it, or a line is damaged.
    """
    head, *lines = text.split("\n")[:-1] or [text]
    try:
        about = json.loads(head)
        version = about["schema_version"]
        if version != SCHEMA_VERSION:
            raise UsageError(
                f"{place}: it is of version {version!r}, expected {SCHEMA_VERSION}; read it with "
                "the version of pytest-quantcheck that wrote it"
            )
        examples = [line for line in lines if line.startswith(_EXAMPLES)]
        reported = [
            from_builtins(Reported, json.loads(line))
            for line in lines
            if not line.startswith(_EXAMPLES)
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{place}: a line is damaged, or of another kind: {error!r}; run pytest again"
        ) from error
    return Journal(
        started=about["started"],
        reported=in_order(reported),
        examples=[line.removeprefix(_EXAMPLES)[:-1] for line in examples],
    )


def _line(data: Plain) -> str:
    return json.dumps(strict(data), separators=(",", ":"), allow_nan=False) + "\n"
