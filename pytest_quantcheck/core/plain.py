"""Records as exact built-in types, and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, TypeVar, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.fingerprint import Plain

RecordT = TypeVar("RecordT")


def to_builtins(value: object) -> Plain:
    """Return `value` in exact `str int float bool None list dict`.

    Raises
    ------
    TypeError
        Something in it is of another type: a numpy number, an enum that is a `str`, a path.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_builtins(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        raise TypeError(f"{value!r}: an enum in a record; store its value")
    if type(value) in {str, int, float, bool, type(None)}:
        return value  # type: ignore[return-value]  # just checked
    if type(value) in {list, tuple}:
        return [to_builtins(item) for item in value]  # type: ignore[attr-defined]  # a sequence
    if type(value) is dict:
        return {str(name): to_builtins(item) for name, item in value.items()}
    raise TypeError(f"{value!r} of type {type(value).__qualname__} in a record")


def from_builtins(kind: type[RecordT], data: Mapping[str, Plain]) -> RecordT:
    """Return the record of type `kind` that `to_builtins` made into `data`.

    Where a number is due, `inf`, `-inf` and `nan` may stand for one, as in strict JSON.
    """
    hints = get_type_hints(kind)
    return kind(**{name: _revive(hint, data[name]) for name, hint in hints.items()})


def _revive(hint: object, value: Plain) -> object:
    """Return `value` with its records restored, as the annotation `hint` says."""
    if isinstance(hint, UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    if isinstance(value, list):
        (inner,) = get_args(hint)
        return value if inner in {str, int} else [_revive(inner, item) for item in value]
    if hint is float and isinstance(value, str):
        return float(value)
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, dict):
        return from_builtins(hint, value)
    return value
