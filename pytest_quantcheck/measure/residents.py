"""What is in memory on one device, over all models of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.protocols import LoadedModel, ModelSource

    Key: TypeAlias = tuple[ModelSource, Variant]


@dataclass(slots=True, kw_only=True)
class _Resident:
    loaded: LoadedModel
    size_bytes: Callable[[], int]
    """Estimated when first asked for."""
    is_pinned: bool = False


class Residents:
    """Loaded variants, least recently used first, whichever model they are of.

    Notes
    -----
    One order over all models: as tests are grouped by model, the variants of the model before are
    the first to go when the next one needs the room.
    """

    def __init__(self) -> None:
        self._kept: dict[Key, _Resident] = {}

    def __bool__(self) -> bool:
        """Whether anything is in memory."""
        return bool(self._kept)

    def of(self, source: ModelSource) -> tuple[Variant, ...]:
        """Return the variants of one model, least recently used first."""
        return tuple(variant for owner, variant in self._kept if owner == source)

    def get(self, key: Key) -> LoadedModel | None:
        """Return a variant, now the most recently used; None if it is not in memory."""
        if key not in self._kept:
            return None
        kept = self._kept[key] = self._kept.pop(key)
        return kept.loaded

    def add(self, key: Key, loaded: LoadedModel, *, size_bytes: Callable[[], int]) -> None:
        """Keep a variant as the most recently used."""
        self._kept[key] = _Resident(loaded=loaded, size_bytes=size_bytes)

    def pin(self, key: Key) -> None:
        """Keep a variant until it is evicted by name."""
        self._kept[key].is_pinned = True

    def held_bytes(self) -> int:
        """Return what everything in memory takes."""
        return sum(kept.size_bytes() for kept in self._kept.values())

    def pinned_bytes(self, *, beside: Collection[Key]) -> int:
        """Return what pinned variants other than these take."""
        return sum(
            kept.size_bytes()
            for key, kept in self._kept.items()
            if kept.is_pinned and key not in beside
        )

    def make_room(self, most_bytes: int) -> None:
        """Evict until at most so much is held, or nothing is left that may go."""
        held = self.held_bytes()
        for key in [key for key, kept in self._kept.items() if not kept.is_pinned]:
            if held <= most_bytes:
                return
            held -= self._kept[key].size_bytes()
            self.evict(key)

    def release(self, key: Key) -> None:
        """Free a variant that nobody pinned."""
        if not self._kept[key].is_pinned:
            self.evict(key)

    def evict(self, key: Key) -> None:
        """Free a variant, pinned or not."""
        self._kept.pop(key).loaded.close()
