"""Rotary embeddings that depend on the longest sequence of a forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {"dynamic", "longrope"}


def growing_rotations(config: object) -> Iterator[Mapping[str, Any]]:
    """Yield the parameters of each such embedding; a model may have one for each kind of layer.

    Parameters
    ----------
    config : PreTrainedConfig
        Of the text part of a model.
    """
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    for rotation in _nested(found):
        if rotation.get("rope_type", rotation.get("type")) in _KINDS:
            yield rotation


def _nested(rotations: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(rotations, Mapping):
        yield rotations
        for one in rotations.values():
            yield from _nested(one)
