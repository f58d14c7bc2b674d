"""Measurements and weights as a store keeps them: plain data, and arrays beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_quantcheck.measure.measurement import Doubt, Measurement, Output
from pytest_quantcheck.measure.protocols import Weights
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.store.codec import Content

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.course import Course

_KINDS = {kind.__name__: kind for kind in (Output, Doubt, ExampleScores)}
_OF_COURSE = {"variant", "workload_name", "kind", "fingerprint", "examples", "n_planned"}
"""Fields of a measurement that whoever asks knows."""
_OF_RUN = {"is_stored"}
_KEPT = tuple(field.name for field in fields(Measurement) if field.name not in _OF_COURSE | _OF_RUN)
SCHEMA: dict[str, Plain] = {
    kind.__name__: [field.name for field in fields(kind)]
    for kind in (Measurement, Output, Doubt, ExampleScores, Weights)
}
"""What is kept of each; part of every key, so that another version's entries are not read."""


def packed(measured: Measurement) -> Content:
    """Return what is kept of a measurement."""
    arrays: dict[str, NDArray[Any]] = {}
    data = {name: _plain(getattr(measured, name), arrays, name) for name in _KEPT}
    return Content(data=data, arrays=arrays)


def unpacked(
    content: Content, variant: Variant, course: Course, *, part: int, is_stored: bool
) -> Measurement:
    """Return the measurement that was kept, as one of a variant on a part of a course."""
    data: Any = content.data
    examples = course.examples_of(part)
    return Measurement(
        variant=variant,
        workload_name=course.workload.name,
        kind=type(course.workload).__name__,
        fingerprint=course.fingerprint,
        examples=examples,
        n_planned=len(course.examples),
        is_stored=(is_stored,) * len(examples),
        **{name: _revived(data[name], content.arrays) for name in _KEPT},
    )


def packed_weights(weights: Weights) -> Content:
    """Return what is kept of what a variant's tensors say."""
    return Content(data={f.name: _plain(getattr(weights, f.name), {}, "") for f in fields(Weights)})


def unpacked_weights(content: Content) -> Weights:
    """Return what a variant's tensors said."""
    data: Any = content.data
    return Weights(**{name: _revived(value, {}) for name, value in data.items()})


def _plain(value: Any, arrays: dict[str, NDArray[Any]], place: str) -> Plain:  # noqa: ANN401
    """Return a value in plain data; arrays go by their place."""
    match value:
        case np.ndarray():
            arrays[place] = value
            return {"array": place}
        case np.generic():
            return _plain(value.item(), arrays, place)
        case Mapping():
            return {"items": {k: _plain(one, arrays, f"{place}.{k}") for k, one in value.items()}}
        case list() | tuple():
            return [_plain(one, arrays, f"{place}.{i}") for i, one in enumerate(value)]
        case str() | int() | float() | None:
            return value
    if is_dataclass(value) and type(value).__name__ in _KINDS:
        parts: Plain = {
            f.name: _plain(getattr(value, f.name), arrays, f"{place}.{f.name}")
            for f in fields(value)
        }
        return {"kind": type(value).__name__, "fields": parts}
    raise TypeError(f"{place}: {value!r} of type {type(value).__qualname__} cannot be kept")


def _revived(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:  # noqa: ANN401
    match value:
        case {"array": place}:
            return arrays[place]
        case {"items": items}:
            return {name: _revived(one, arrays) for name, one in items.items()}
        case {"kind": kind, "fields": parts}:
            return _KINDS[kind](**{name: _revived(one, arrays) for name, one in parts.items()})
        case list():
            return tuple(_revived(one, arrays) for one in value)
    return value
