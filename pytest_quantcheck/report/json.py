"""The run as JSON, and back: the records themselves, with a version."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from pytest_quantcheck.core.examples import strict
from pytest_quantcheck.core.plain import from_builtins, to_builtins
from pytest_quantcheck.core.record import SCHEMA_VERSION, RunRecord
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.report.formats import View


_SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which a text may hold and UTF-8 cannot."""


def render_json(run: RunRecord) -> str:
    """Return the run as strict JSON; infinities and NaN are the strings `inf -inf nan`."""
    text = json.dumps(strict(to_builtins(run)), indent=1, ensure_ascii=False, allow_nan=False)
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def render_as_json(run: RunRecord, view: View) -> str:
    """Return the run as `render_json` does, whatever the view."""
    del view
    return render_json(run)


def read_json(text: str, *, place: str) -> RunRecord:
    """Return the run that `render_json` wrote.

    Parameters
    ----------
    text : str
        What it wrote.
    place : str
        How errors name it.

    Raises
    ------
    UsageError
        It is no run, or another version wrote it.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        shown = f"{place}: expected JSON, as pytest --quant-json writes it: {error}"
        raise UsageError(shown) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version is None:
        raise UsageError(f"{place}: no schema_version; expected what pytest --quant-json writes")
    try:
        if version == SCHEMA_VERSION:
            return from_builtins(RunRecord, data)
        found = f"it is of version {version!r}, expected {SCHEMA_VERSION}"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        found = f"a field is missing or of another kind: {error!r}"
    raise UsageError(f"{place}: {found}; run pytest --quant-json again with this version")
