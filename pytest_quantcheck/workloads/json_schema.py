"""JSON schemas: read, checked, and asked whether a value follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import BackendUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_quantcheck.core.fingerprint import Plain


def read_schema(schema: Mapping[str, Plain] | Path) -> dict[str, Plain]:
    """Return the content of a schema.

    Raises
    ------
    UsageError
        It cannot be read, or is no JSON object.
    """
    shown = f"json_valid(schema={str(schema) if isinstance(schema, Path) else schema!r})"
    try:
        text = schema.read_text("utf-8") if isinstance(schema, Path) else json.dumps(dict(schema))
        value = json.loads(text)
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(
            f"{shown}: cannot be read as JSON ({error}); expected a mapping, or the path of a "
            "file, which starts at the folder of the calling file"
        ) from error
    if not isinstance(value, dict):
        raise UsageError(f"{shown}: found {type(value).__name__}, expected a JSON object")
    return value


def validator(schema: dict[str, Plain]) -> Callable[[Plain], bool]:
    """Return what says whether a value follows `schema`; nothing is fetched from a network.

    Raises
    ------
    UsageError
        The schema is not valid itself.
    BackendUnavailable
        The package jsonschema is missing.
    """
    try:
        import jsonschema
        from jsonschema_specifications import REGISTRY
        from referencing.exceptions import Unresolvable
    except ImportError as error:
        raise BackendUnavailable(
            "json_valid(schema=…) needs the package jsonschema: "
            "pip install 'pytest-quantcheck[json-schema]'"
        ) from error
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise UsageError(
            f"json_valid(schema=…): not a valid JSON schema at {error.json_path}: {error.message}"
        ) from error
    checker = kind(schema, registry=REGISTRY)

    def follows(value: Plain) -> bool:
        try:
            return bool(checker.is_valid(value))
        except Unresolvable as error:
            raise UsageError(
                f"json_valid(schema=…): the schema refers to {error}, which it does not hold; "
                "put the definition into its $defs"
            ) from error

    return follows
