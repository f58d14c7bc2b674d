"""Sequences as a forest: what several of them begin with stands there once."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.protocols import ScoreRequest

    Tokens: TypeAlias = NDArray[np.uint32]

_FEWEST_SAVED = 8
"""Tokens: where sharing saves fewer, a segment of its own is not worth its place."""
_SMALLEST_SHARE = 16
"""One of so many tokens must be saved: a BOS before a thousand questions is not shared."""


@dataclass(slots=True, kw_only=True)
class Segment:
    """Tokens that all sequences below it have in common."""

    source: int
    """Index of a sequence that holds them."""
    start: int
    """Place of the first token in the sequence."""
    stop: int
    parent: int
    """Index of the segment before it; -1 for none."""
    ends: tuple[int, ...]
    """Indices of the sequences that end in it."""
    last: int = 0
    """Index of the last segment below it, or of itself."""
    tokens: int = 0
    """Of all segments from it to the last one below it."""
    leaves: int = 0
    """Segments among those with nothing below them."""
    children: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Tokens of its own."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """All sequences of a call."""

    sequences: tuple[Tokens, ...]
    """Each once, in an order that depends on them alone."""
    segments: tuple[Segment, ...]
    """Each before those below it."""

    @property
    def roots(self) -> list[int]:
        """Segments at the beginning of sequences."""
        return [index for index, one in enumerate(self.segments) if one.parent < 0]


def as_key(tokens: Sequence[int]) -> bytes:
    """Return what a sequence is sorted and found by."""
    return array("I", tokens).tobytes()


def owners_of(requests: Sequence[ScoreRequest]) -> dict[bytes, list[int]]:
    """Return the indices of the requests with equal inputs, by the key of these."""
    owners: dict[bytes, list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        owners[as_key(request.inputs)].append(index)
    return owners


def grow_forest(keys: Sequence[bytes]) -> Forest:
    """Return different, non-empty sequences with what they share merged, to any depth.

    Parameters
    ----------
    keys : sequence of bytes
        In ascending order, as `as_key` gives them.
    """
    sequences = tuple(np.frombuffer(key, dtype=np.uint32) for key in keys)
    segments = _Grower(sequences).grow() if sequences else []
    for index, one in enumerate(segments):
        one.last, one.tokens = index, one.size
        if one.parent >= 0:
            segments[one.parent].children.append(index)
    for one in reversed(segments):
        one.leaves = one.leaves or 1
        if one.parent >= 0:
            above = segments[one.parent]
            above.last = max(above.last, one.last)
            above.tokens += one.tokens
            above.leaves += one.leaves
    return Forest(sequences=sequences, segments=tuple(segments))


class _Branch(NamedTuple):
    """Sequences `low` to `high` that agree in their first `start` tokens at least."""

    low: int
    high: int
    start: int
    parent: int
    ends: tuple[int, ...] = ()
    """Sequences that have ended since `start`."""


class _Grower:
    """Splits sorted sequences where they part."""

    def __init__(self, sequences: Sequence[Tokens]) -> None:
        self._lengths = [len(one) for one in sequences]
        self._totals = [0, *accumulate(self._lengths)]
        self._common = [0, *map(_common_tokens, sequences[:-1], sequences[1:])]
        self._segments: list[Segment] = []

    def grow(self) -> list[Segment]:
        """Return the segments, each before those below it."""
        waiting = [_Branch(low=0, high=len(self._lengths), start=0, parent=-1)]
        while waiting:
            waiting.extend(reversed(self._split(waiting.pop())))
        return self._segments

    def _split(self, branch: _Branch) -> list[_Branch]:
        """Add what the branch shares, and return what is left."""
        low, high = branch.low, branch.high
        if high - low == 1:
            self._add(branch, low, self._lengths[low], (*branch.ends, low))
            return []
        depth = min(self._common[low + 1 : high])
        ends = branch.ends
        if self._lengths[low] == depth:
            ends = (*ends, low)
            low += 1
        cuts = [place for place in range(low + 1, high) if self._common[place] == depth]
        bounds = list(zip([low, *cuts], [*cuts, high], strict=True))
        start, parent = branch.start, branch.parent
        if len(bounds) > 1 and self._is_worth(branch, depth, len(bounds)):
            start, parent = depth, self._add(branch, low, depth, ends)
            ends = ()
        return [
            _Branch(low=first, high=last, start=start, parent=parent, ends=() if number else ends)
            for number, (first, last) in enumerate(bounds)
        ]

    def _is_worth(self, branch: _Branch, depth: int, children: int) -> bool:
        saved = (children - 1) * (depth - branch.start)
        low, high = branch.low, branch.high
        total = self._totals[high] - self._totals[low] - (high - low) * branch.start
        return saved >= _FEWEST_SAVED and saved * _SMALLEST_SHARE >= total

    def _add(self, branch: _Branch, source: int, stop: int, ends: tuple[int, ...]) -> int:
        self._segments.append(
            Segment(source=source, start=branch.start, stop=stop, parent=branch.parent, ends=ends)
        )
        return len(self._segments) - 1


def _common_tokens(one: Tokens, other: Tokens) -> int:
    """Return how many tokens two sequences begin with alike."""
    size = min(len(one), len(other))
    differing = one[:size] != other[:size]
    first = int(differing.argmax()) if size else 0
    return first if size and differing[first] else size
