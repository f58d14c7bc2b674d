"""Which sequences are forwarded together: a function of the requests and the limits alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_quantcheck.measure.protocols import ScoreRequest


class Plan(Enum):
    """Ways to forward sequences; the value is what reports say."""

    VARLEN = "packed tree, varlen attention"
    SEGMENTS = "packed tree, segments"
    PADDED = "padded batches"
    BATCHES = "batches of equal length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one forward pass may take."""

    batch_tokens: int
    """Tokens of all sequences together; one sequence may be longer."""
    logits: int
    """Elements of the logits that are alive at once."""
    sequences: int | None = None
    """Most sequences together."""
    pack_tokens: int | None = None
    """Of a pack, where that may hold more than a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One sequence to forward, for every request that needs it."""

    inputs: tuple[int, ...]
    """Tokens of the requests without the last one, which is never an input."""
    requests: tuple[int, ...]
    """Indices of the requests it answers."""
    first_row: int
    """First position whose logits are needed."""

    @property
    def rows(self) -> int:
        """Number of positions whose logits are needed: all from `first_row` on."""
        return len(self.inputs) - self.first_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Sequences of one length, so that none needs padding or a mask."""

    units: tuple[Unit, ...]

    @property
    def length(self) -> int:
        """Tokens of each sequence."""
        return len(self.units[0].inputs)

    @property
    def first_row(self) -> int:
        """First position that any sequence needs."""
        return min(unit.first_row for unit in self.units)

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return self.length * len(self.units)


class PackTooLargeError(Exception):
    """Memory ran out under several sequences.

    Parameters
    ----------
    sequences : int
        How many there were.
    """

    def __init__(self, sequences: int) -> None:
        super().__init__(f"{sequences} sequences")
        self.sequences = sequences


def plan_batches(
    requests: Sequence[ScoreRequest], limits: Limits, *, vocabulary: int
) -> list[Batch]:
    """Return the batches that answer all requests, longest sequences first.

    Parameters
    ----------
    requests : sequence of ScoreRequest
        In any order; requests with equal inputs share a forward pass.
    limits : Limits
        What one forward pass may take.
    vocabulary : int
        Logits of one position.
    """
    batches: list[Batch] = []
    for units in _by_length(_units(requests)):
        batches.extend(_filled(units, limits, vocabulary))
    return batches


def _units(requests: Sequence[ScoreRequest]) -> list[Unit]:
    owners: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        owners[request.inputs].append(index)
    return [
        Unit(
            inputs=inputs,
            requests=tuple(indices),
            first_row=min(requests[index].first_target for index in indices) - 1,
        )
        for inputs, indices in owners.items()
    ]


def _by_length(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    groups: dict[int, list[Unit]] = defaultdict(list)
    for unit in units:
        groups[len(unit.inputs)].append(unit)
    for length in sorted(groups, reverse=True):
        yield sorted(groups[length], key=lambda unit: (unit.first_row, unit.inputs))


def _filled(units: Sequence[Unit], limits: Limits, vocabulary: int) -> Iterator[Batch]:
    """Fill batches in order; the first sequence of one needs the most rows."""
    chosen: list[Unit] = []
    for unit in units:
        count = len(chosen) + 1
        if chosen and (
            count > (limits.sequences or count)
            or count * len(unit.inputs) > limits.batch_tokens
            or count * chosen[0].rows * vocabulary > limits.logits
        ):
            yield Batch(units=tuple(chosen))
            chosen = []
        chosen.append(unit)
    yield Batch(units=tuple(chosen))
