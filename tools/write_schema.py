"""Write the JSON schema of a run from its records: python tools/write_schema.py."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pytest_quantcheck.core.examples import ExamplesRecord
from pytest_quantcheck.core.record import SCHEMA_VERSION, RunRecord

TARGET = Path(__file__).parent.parent / "pytest_quantcheck" / "report" / "schema.json"
_SIMPLE: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]},
    NoneType: {"type": "null"},
}


def schema() -> dict[str, Any]:
    """Return the schema of a run; that of a line of per-example records is among its parts."""
    parts: dict[str, Any] = {}
    _define(RunRecord, parts)
    _define(ExamplesRecord, parts)
    parts["RunRecord"]["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A run of pytest-quantcheck, as --quant-json writes it",
        "$ref": "#/$defs/RunRecord",
        "$defs": dict(sorted(parts.items())),
    }


def render() -> str:
    """Return the schema as it stands in its file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _define(record: type, parts: dict[str, Any]) -> None:
    """Add a record to `parts`, and those that it holds."""
    if record.__name__ in parts:
        return
    parts[record.__name__] = {}  # so that a record may hold its own kind
    hints, described = get_type_hints(record), _descriptions(record)
    names = [field.name for field in fields(record)]
    parts[record.__name__] = {
        "description": inspect.getdoc(record),
        "type": "object",
        "properties": {
            name: _kind(hints[name], parts) | ({"description": text} if text else {})
            for name in names
            for text in [described.get(name)]
        },
        "required": names,
        "additionalProperties": False,
    }


def _kind(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - any annotation
    if isinstance(hint, UnionType):
        return {"anyOf": [_kind(one, parts) for one in get_args(hint)]}
    if get_origin(hint) is list:
        return {"type": "array", "items": _kind(get_args(hint)[0], parts)}
    if get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": _kind(get_args(hint)[1], parts)}
    if is_dataclass(hint) and isinstance(hint, type):
        _define(hint, parts)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return dict(_SIMPLE[hint])


def _descriptions(record: type) -> dict[str, str]:
    """Return the string under each field."""
    (body,) = ast.parse(inspect.getsource(record)).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class
    found: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        match before, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
