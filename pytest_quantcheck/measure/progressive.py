"""Reference and variant on one workload, measured part by part as far as somebody asks."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pytest_quantcheck.measure.course import select_pair
from pytest_quantcheck.measure.divergence import with_divergences
from pytest_quantcheck.measure.measurement import MeasuredPair
from pytest_quantcheck.measure.outcome import Failed, attempt
from pytest_quantcheck.measure.pairwise import pair
from pytest_quantcheck.measure.selfcheck import check_same_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_quantcheck.core.protocols import Watcher
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.divergence_meter import DivergenceMeter
    from pytest_quantcheck.measure.measurement import Measurement


class MeasurePart(Protocol):
    """Measures one part of a workload once."""

    def __call__(
        self, variant: Variant, course: Course, part: int, *, pack_limit: int | None
    ) -> Measurement:
        """Return the part's scores, the same ones or the same error for whoever asks again."""
        ...


@dataclass(slots=True, kw_only=True)
class GrowingPair:
    """Reference and variant on one workload: what was measured is kept, and only extended.

    Notes
    -----
    Both are measured in the same packs: where memory made those of one smaller, the other is
    measured again, and what follows begins with these. Where the two cannot stay in memory
    together, the reference is measured on all that is left before the variant is loaded.
    """

    course: Course
    reference: Variant
    variant: Variant
    measure: MeasurePart
    fits_both: Callable[[], bool]
    comparer: DivergenceMeter
    _parts: list[MeasuredPair | Failed] = field(default_factory=list, init=False)
    _prefixes: dict[int, MeasuredPair] = field(default_factory=dict, init=False)
    """Pairs on the first batches, by how many."""
    _pack_limit: int | None = field(default=None, init=False)

    def measured(self, watcher: Watcher[MeasuredPair] | None = None) -> MeasuredPair:
        """Return the pair as far as the watcher asks; without one, on all examples.

        Raises
        ------
        QuantcheckError
            See `Runner.measure` and `pair`.
        """
        count = 0
        for count, batch in enumerate(self._batches(), start=1):  # noqa: B007 - used below
            if watcher is not None and watcher.update(batch):
                break
        if count not in self._prefixes:
            self._prefixes[count] = self._first(count)
        return self._prefixes[count]

    def _batches(self) -> Iterator[MeasuredPair]:
        """Yield what is measured, batch by batch."""
        for number, part in enumerate(self.course.parts):
            found = self._part(number)
            for batch in part.batches:
                yield select_pair(found, self._ids(batch))

    def _first(self, count: int) -> MeasuredPair:
        """Return the pair on the first batches, in the order of the workload."""
        found: list[MeasuredPair] = []
        seen: set[str] = set()
        for number, part in enumerate(self.course.parts):
            if count <= 0:
                break
            found.append(self._part(number))
            seen.update(*map(self._ids, part.batches[:count]))
            count -= len(part.batches)
        return select_pair(self.course.joined_pair(found), seen)

    def _ids(self, batch: tuple[int, ...]) -> set[str]:
        return {self.course.examples[place].id for place in batch}

    def _part(self, number: int) -> MeasuredPair:
        if number == len(self._parts):
            self._parts.append(attempt(lambda: self._measure(number)))
        known = self._parts[number]
        if isinstance(known, Failed):
            known.again()
        return known

    def _measure(self, number: int) -> MeasuredPair:
        reference = self._measure_reference(number, self._pack_limit)
        variant = self.measure(self.variant, self.course, number, pack_limit=self._pack_limit)
        while reference.pack_limit != variant.pack_limit:
            limits = (reference.pack_limit, variant.pack_limit)
            smaller = min(limit for limit in limits if limit is not None)
            if variant.pack_limit == smaller:
                reference = self._measure_reference(number, smaller)
            else:
                variant = self.measure(self.variant, self.course, number, pack_limit=smaller)
        self._pack_limit = variant.pack_limit
        check_same_prompts(reference, variant)
        found = pair(reference, variant, self.course.workload)
        compared = self.comparer.divergences(
            self.variant, self.course, number, pack_limit=self._pack_limit
        )
        if compared:
            found = with_divergences(found, compared)
        return MeasuredPair(
            reference=self.course.coded(found.reference, number),
            variant=self.course.coded(found.variant, number),
        )

    def _measure_reference(self, number: int, pack_limit: int | None) -> Measurement:
        """Return one part of the reference, measured with all that follow if it must leave."""
        found = self.measure(self.reference, self.course, number, pack_limit=pack_limit)
        self.comparer.keep(self.course, number, pack_limit=found.pack_limit)
        if number + 1 < len(self.course.parts) and not self.fits_both():
            with suppress(Exception):  # kept by measure, raised for who gets that far
                limit = found.pack_limit
                for following in range(number + 1, len(self.course.parts)):
                    ahead = self.measure(self.reference, self.course, following, pack_limit=limit)
                    limit = ahead.pack_limit
                    self.comparer.keep(self.course, following, pack_limit=limit)
        return found
