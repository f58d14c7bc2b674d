"""The run as JSON: the records themselves, with a version."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from pytest_quantcheck.core.record import to_builtins

if TYPE_CHECKING:
    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.record import RunRecord


def render_json(run: RunRecord) -> str:
    """Return the run as strict JSON; infinities and NaN are the strings `inf -inf nan`."""
    return json.dumps(_strict(to_builtins(run)), indent=1, ensure_ascii=False, allow_nan=False)


def _strict(value: Plain) -> Plain:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if isinstance(value, dict):
        return {name: _strict(item) for name, item in value.items()}
    return value
