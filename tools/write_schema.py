"""Write schema and reference of a run from its records: python tools/write_schema.py."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from pytest_quantcheck.core.examples import ExamplesRecord
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.record import SCHEMA_VERSION, RunRecord
from pytest_quantcheck.core.verdict import Reason

if TYPE_CHECKING:
    from enum import Enum

_ROOT = Path(__file__).parent.parent
TARGET = _ROOT / "pytest_quantcheck" / "report" / "schema.json"
PAGE = _ROOT / "docs" / "reference" / "fields.md"
_SIMPLE: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]},
    NoneType: {"type": "null"},
}
_WORDS = {"string": "text", "boolean": "true or false", "integer": "whole number"}
_BEGINNING = """# Fields of records

<!-- Written by tools/write_schema.py from the records: change them, and run it. -->

Every field that [a run](records.md) and its per-example records have, in the order in which they
are written. A number may also be the string `inf` or `-inf`; None is `null` in JSON. Lists of
shape (n,) have one entry for each example.
"""


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


def render_page() -> str:
    """Return the page that lists all fields."""
    parts = schema()["$defs"]
    check = parts["CheckRecord"]["properties"]
    for field, list_of in (("statistic", "statistics"), ("reason", "reasons"), ("unit", "units")):
        check[field]["description"] = f"One of the [{list_of}](#{list_of})."
    records = [_section(name, parts[name]) for name in _by_first_use(parts)]
    words = [
        _meanings("Statistics", Statistic),
        _meanings("Reasons", Reason),
        _meanings("Units", Unit),
    ]
    return "\n".join([_BEGINNING, *records, *words])


def _by_first_use(parts: dict[str, Any]) -> list[str]:
    """Return the names of all records, each behind the one that first holds it."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name not in found:
            found.append(name)
            for inner in re.findall(r"#/\$defs/(\w+)", json.dumps(parts[name])):
                visit(inner)

    visit("RunRecord")
    visit("ExamplesRecord")
    return found


def _section(name: str, part: dict[str, Any]) -> str:
    rows = [
        f"| `{field}` | {_in_words(kind)} | {_cell(kind.get('description', ''))} |"
        for field, kind in part["properties"].items()
    ]
    head = ["| field | type | meaning |", "|---|---|---|"]
    return "\n".join([f"## {name}", "", part["description"], "", *head, *rows, ""])


def _in_words(kind: dict[str, Any]) -> str:
    """Return a type as a reader says it."""
    match kind:
        case {"const": value}:
            return f"`{value}`"
        case {"$ref": str(target)}:
            name = target.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [{"type": "number"}, {"enum": _}]}:
            return "number"
        case {"anyOf": [first, {"type": "null"}]}:
            return f"{_in_words(first)}, or null"
        case {"items": inner} | {"additionalProperties": inner}:
            outer = "list" if kind["type"] == "array" else "object"
            return f"{outer} of {_in_words(inner)}"
        case _:
            return _WORDS[kind["type"]]


def _meanings(title: str, words: type[Enum]) -> str:
    described = _descriptions(words)
    rows = [f"| `{one.value}` | {_cell(described.get(one.name, ''))} |" for one in words]
    head = [f"## {title}", "", "| word | meaning |", "|---|---|"]
    return "\n".join([*head, *rows, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


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
    """Return the string under each field of a record, or member of an enumeration."""
    (body,) = ast.parse(inspect.getsource(record)).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class
    found: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        match before, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    PAGE.write_text(render_page(), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n{PAGE}\n")
