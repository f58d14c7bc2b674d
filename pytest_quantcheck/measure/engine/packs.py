"""Which segments are forwarded together: a function of the requests and the limits alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.measure.engine.answers import as_answers, row_numbers
from pytest_quantcheck.measure.engine.trie import grow_forest, owners_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.answers import Answers
    from pytest_quantcheck.measure.engine.plan import Limits
    from pytest_quantcheck.measure.engine.trie import Forest
    from pytest_quantcheck.measure.protocols import ScoreRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Segments in one row of tokens, each before those below it."""

    tokens: NDArray[np.int64]
    """(t,)"""
    positions: NDArray[np.int64]
    """(t,) place of each token in its sequence."""
    starts: NDArray[np.int64]
    """(s + 1,) row at which each segment begins, and the end."""
    parents: NDArray[np.int64]
    """(s,) segment before each; -1 for none."""
    ends: NDArray[np.int64]
    """(s,) row after the last one below each segment."""
    answers: Answers
    """Which rows are read."""
    sequences: int
    """Segments with nothing below them: so many are forwarded in full."""
    longest: int
    """Tokens of the longest one."""

    @property
    def segments(self) -> NDArray[np.int64]:
        """(t,) segment of each row."""
        return np.repeat(np.arange(len(self.parents)), np.diff(self.starts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """Subtrees that share all segments above them."""

    above: tuple[int, ...]
    """Segments before them, from the first."""
    below: tuple[int, ...]
    """The subtrees, by their first segments."""
    ends_above: tuple[int, ...]
    """Those of the segments above whose sequences are answered here."""
    tokens: int
    sequences: int


def plan_packs(requests: Sequence[ScoreRequest], limits: Limits) -> Iterator[Pack]:
    """Yield the packs that answer all requests, the largest subtrees first.

    Parameters
    ----------
    requests : sequence of ScoreRequest
        In any order.
    limits : Limits
        What one pack may take.
    """
    owners = owners_of(requests)
    keys = sorted(owners)
    forest = grow_forest(keys)
    layout = _Layout(forest, requests, [owners[key] for key in keys])
    units = list(_Splitter(forest, limits).units())
    units.sort(key=lambda unit: (-unit.tokens, unit.below))
    for chosen in _filled(units, limits):
        yield layout.pack(chosen)


def _filled(units: Sequence[_Unit], limits: Limits) -> Iterator[list[_Unit]]:
    chosen: list[_Unit] = []
    tokens = sequences = 0
    for unit in units:
        tokens += unit.tokens
        sequences += unit.sequences
        if chosen and (tokens > limits.batch_tokens or sequences > (limits.sequences or sequences)):
            yield chosen
            chosen, tokens, sequences = [], unit.tokens, unit.sequences
        chosen.append(unit)
    if chosen:
        yield chosen


class _Splitter:
    """Cuts subtrees that are too large for a pack, and repeats what stands above the cut."""

    def __init__(self, forest: Forest, limits: Limits) -> None:
        self._segments = forest.segments
        self._roots = forest.roots
        self._most_tokens = limits.batch_tokens
        self._most_sequences = limits.sequences or len(forest.segments)

    def units(self) -> Iterator[_Unit]:
        """Yield units that fit, or cannot be cut."""
        for root in self._roots:
            yield from self._cut(root, (), 0, ())

    def _cut(
        self, index: int, above: tuple[int, ...], tokens: int, owed: tuple[int, ...]
    ) -> Iterator[_Unit]:
        """Yield the units of one subtree; the first one answers what is owed of those above."""
        segment = self._segments[index]
        if not segment.children or self._fits(tokens + segment.tokens, segment.leaves):
            yield self._unit(above, [index], tokens, owed)
            return
        above, owed, tokens = (*above, index), (*owed, index), tokens + segment.size
        for group, fits in self._groups(segment.children, tokens):
            if fits:
                yield self._unit(above, group, tokens, owed)
            else:
                yield from self._cut(group[0], above, tokens, owed)
            owed = ()

    def _groups(self, children: Sequence[int], tokens: int) -> Iterator[tuple[list[int], bool]]:
        """Yield children that fit together, or one that does not fit."""
        group: list[int] = []
        own = leaves = 0
        for child in children:
            one = self._segments[child]
            if group and not self._fits(tokens + own + one.tokens, leaves + one.leaves):
                yield group, True
                group, own, leaves = [], 0, 0
            if self._fits(tokens + own + one.tokens, leaves + one.leaves):
                group.append(child)
                own, leaves = own + one.tokens, leaves + one.leaves
            else:
                yield [child], False
        if group:
            yield group, True

    def _fits(self, tokens: int, leaves: int) -> bool:
        return tokens <= self._most_tokens and leaves <= self._most_sequences

    def _unit(
        self, above: tuple[int, ...], group: Sequence[int], tokens: int, owed: tuple[int, ...]
    ) -> _Unit:
        below = [self._segments[index] for index in group]
        return _Unit(
            above=above,
            below=tuple(group),
            ends_above=owed,
            tokens=tokens + sum(one.tokens for one in below),
            sequences=sum(one.leaves for one in below),
        )


@dataclass(slots=True)
class _Growing:
    """A pack while it is put together."""

    parts: list[NDArray[np.uint32]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """(s,) place of the first token of each segment in its sequence."""
    starts: list[int] = field(default_factory=lambda: [0])
    parents: list[int] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    """First row, and number of rows from there on."""
    targets: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)


class _Layout:
    """Puts units into one row of tokens."""

    def __init__(
        self, forest: Forest, requests: Sequence[ScoreRequest], owners: Sequence[Sequence[int]]
    ) -> None:
        self._forest = forest
        self._requests = requests
        self._owners = owners

    def pack(self, units: Sequence[_Unit]) -> Pack:
        """Return one pack."""
        growing = _Growing()
        for unit in units:
            local = {-1: -1}
            answered = set(unit.ends_above)
            for index in unit.above:
                self._add(growing, index, local, is_answered=index in answered)
            for top in unit.below:
                for index in range(top, self._forest.segments[top].last + 1):
                    self._add(growing, index, local, is_answered=True)
        return _finished(growing)

    def _add(
        self, growing: _Growing, index: int, local: dict[int, int], *, is_answered: bool
    ) -> None:
        segment = self._forest.segments[index]
        place = local[index] = len(growing.places)
        growing.parts.append(self._forest.sequences[segment.source][segment.start : segment.stop])
        growing.places.append(segment.start)
        growing.starts.append(growing.starts[-1] + segment.size)
        growing.parents.append(local[segment.parent])
        if is_answered:
            for sequence in segment.ends:
                for owner in self._owners[sequence]:
                    self._answer(growing, place, owner)

    def _answer(self, growing: _Growing, place: int, owner: int) -> None:
        """Add the rows behind each scored token of one request, which ends in segment `place`."""
        request = self._requests[owner]
        targets = request.targets
        first, stop = request.first_target - 1, len(request.tokens) - 1
        pieces = []
        while stop > first:
            start = max(first, growing.places[place])
            if stop > start:
                row = growing.starts[place] + start - growing.places[place]
                pieces.append((row, stop - start))
            stop = min(stop, start)
            place = growing.parents[place]
        growing.runs.extend(reversed(pieces))
        growing.targets.extend(targets)
        growing.sizes.append((owner, len(targets)))


def _finished(growing: _Growing) -> Pack:
    starts = np.array(growing.starts)
    sizes = np.diff(starts)
    parents = np.array(growing.parents)
    ends = starts[1:].copy()
    for place in range(len(parents) - 1, -1, -1):
        above = parents[place]
        if above >= 0:
            ends[above] = max(ends[above], ends[place])
    places = np.array(growing.places)
    return Pack(
        tokens=np.concatenate(growing.parts).astype(np.int64),
        positions=row_numbers(places, sizes),
        starts=starts,
        parents=parents,
        ends=ends,
        answers=as_answers(growing.runs, growing.targets, growing.sizes),
        sequences=int((ends == starts[1:]).sum()),
        longest=int((places + sizes).max()),
    )
