"""Digests of plain data, equal on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import TypeAlias

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""What JSON can hold, in exact built-in types."""


def digest(value: Plain) -> str:
    """Return the sha256 of `value` in canonical JSON.

    Examples
    --------
    >>> digest({"b": 1, "a": [2.0, "x"]}) == digest({"a": [2.0, "x"], "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
