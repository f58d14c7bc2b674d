"""What the variants of one checkpoint have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_MadeT = TypeVar("_MadeT")


class Shared:
    """Tokenizers and skeletons of checkpoints, each made once a session."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], _MadeT]) -> _MadeT:
        """Return what is known under a key, made when first asked for."""
        if key not in self._made:
            self._made[key] = make()
        found: _MadeT = self._made[key]
        return found
