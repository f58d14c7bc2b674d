"""Measures variants on workloads, each pair once."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.measure.course import Portion, plan_course
from pytest_quantcheck.measure.divergence_meter import DivergenceMeter
from pytest_quantcheck.measure.handle import Handle
from pytest_quantcheck.measure.noise import NoiseMeter
from pytest_quantcheck.measure.outcome import Failed, attempt
from pytest_quantcheck.measure.part import PartMeter, PartOfCourse
from pytest_quantcheck.measure.progressive import GrowingPair
from pytest_quantcheck.measure.selfcheck import check_differs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_quantcheck.core.protocols import Progress, Watcher
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.archive import Archive
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.measurement import MeasuredPair, Measurement
    from pytest_quantcheck.measure.pool import Pool
    from pytest_quantcheck.measure.protocols import Weights
    from pytest_quantcheck.workloads.base import Workload

    _Key: TypeAlias = tuple[Variant, str, object, int, int | None, bool]

_WHOLE = Portion()


class Runner:
    """Measures variants of one model on workloads.

    Parameters
    ----------
    pool : Pool
        Where variants are loaded.
    reference : Variant
        What the others are compared with.
    portion : Portion, optional
        How much of each workload is measured, and in what batches; all of it at once by default.
    archive : Archive, optional
        What the reference scored in earlier runs; None keeps nothing.
    progress : Progress, optional
        Who is told how far a measurement is.
    clock : callable, optional
        Seconds that only go forward.

    Notes
    -----
    A pass over the model holds one part of one workload only and is a function of its examples,
    so that scores do not depend on which other tests run.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        reference: Variant,
        portion: Portion = _WHOLE,
        archive: Archive | None = None,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._pool = pool
        self._reference = reference
        self._portion = portion
        self._archive = archive
        self._reference_weights: Weights | None = None
        self._meter = PartMeter(pool, check=self._check_differs, progress=progress, clock=clock)
        self._known: dict[_Key, Measurement | Failed] = {}
        self._courses: dict[Workload[Any], Course] = {}
        self._pairs: dict[tuple[Variant, Workload[Any]], GrowingPair] = {}
        self._divergence = DivergenceMeter(pool, reference, archive=archive, progress=progress)
        self.noise = NoiseMeter(partial(self._part, reference), self.course, self._divergence)

    def measure(
        self, variant: Variant, workload: Workload[Any], *, pack_limit: int | None = None
    ) -> Measurement:
        """Return the scores of a variant on all of a workload.

        Parameters
        ----------
        variant : Variant
            Which one.
        workload : Workload
            What it is asked.
        pack_limit : int, optional
            Most sequences forwarded together; fewer where memory asks.

        Raises
        ------
        BackendUnavailable
            The variant needs a package or device that is missing.
        UsageError
            The variant cannot be loaded, or is not what it claims.
        MeasurementError
            The workload cannot be read, or an example cannot be scored.

        Notes
        -----
        Each pair is measured once: whoever asks again gets the same scores, or the same error.
        """
        course = self.course(workload)
        parts: list[Measurement] = []
        for number in range(len(course.parts)):
            found = self._part(variant, course, number, pack_limit=pack_limit)
            parts.append(course.coded(found, number))
            pack_limit = found.pack_limit
        return course.joined(parts)

    def measure_pair(
        self,
        variant: Variant,
        workload: Workload[Any],
        watcher: Watcher[MeasuredPair] | None = None,
    ) -> MeasuredPair:
        """Return the scores of reference and variant on a workload, in the same packs.

        Parameters
        ----------
        variant, workload
            As for `measure`.
        watcher : Watcher, optional
            Gets the scores batch by batch, those measured before too, and says when they are
            enough; without one all examples are measured.

        Raises
        ------
        QuantcheckError
            See `measure` and `pair`.

        Notes
        -----
        Where memory made the packs of one smaller, the other is measured again in those. A pair
        is put together once, so that a judge is asked once. A watcher that asks for more extends
        what was measured.
        """
        key = (variant, workload)
        if key not in self._pairs:
            self._pairs[key] = GrowingPair(
                course=self.course(workload),
                reference=self._reference,
                variant=variant,
                measure=self._part,
                fits_both=partial(self._fits_both, variant),
                comparer=self._divergence,
            )
        return self._pairs[key].measured(watcher)

    def compare_predictions(self, workloads: Iterable[Workload[Any]]) -> None:
        """Measure divergence and agreement on these workloads, beside what they measure anyway.

        Notes
        -----
        Scores do not change: what was measured is kept, and the pair put together again.
        """
        asked = set(workloads)
        if self._divergence.ask(asked):
            for key in [key for key in self._pairs if key[1] in asked]:
                del self._pairs[key]
            for workload in asked:
                self.noise.forget(workload)

    def course(self, workload: Workload[Any]) -> Course:
        """Return which examples of a workload are measured, and in what parts.

        Raises
        ------
        MeasurementError
            The workload cannot be read.
        """
        if workload not in self._courses:
            self._courses[workload] = plan_course(workload, self._portion)
        return self._courses[workload]

    def prefetch_reference(
        self,
        workloads: Iterable[Workload[Any]],
        *,
        variant: Variant | None = None,
        with_noise: bool = False,
    ) -> None:
        """Measure the reference on all workloads if it must leave memory for a variant.

        Parameters
        ----------
        workloads : iterable of Workload
            Those whose tests are selected.
        variant : Variant, optional
            What is measured next; by default one as large as the reference.
        with_noise : bool
            Whether to measure it twice.

        Notes
        -----
        Errors are kept for the tests that ask.
        """
        if self._fits_both(variant or self._reference):
            return
        for workload in workloads:
            try:
                self.measure(self._reference, workload)
                self._keep_predictions(workload)
                if with_noise:
                    self.noise.measure(workload)
            except Exception:  # noqa: BLE001, S112 - kept by measure, raised for who asks
                continue

    def weights(self, variant: Variant) -> Weights:
        """Return what the variant's tensors say about it."""
        if self._archive is None or variant != self._reference:
            return self._pool.weights(variant)
        if self._reference_weights is None:
            read = partial(self._pool.weights, variant)
            self._reference_weights = self._archive.weights(variant, read)
        return self._reference_weights

    def handle(self, variant: Variant) -> Handle:
        """Return what a test may hold of the variant; nothing is loaded yet."""
        return Handle(variant, self._pool)

    def close(self) -> None:
        """Free every variant and forget every measurement."""
        self._known.clear()
        self._reference_weights = None
        self._pairs.clear()
        self._courses.clear()
        self._divergence.close()
        self._pool.close()

    def _fits_both(self, variant: Variant) -> bool:
        """Whether the reference stays in memory beside a variant; so too if neither can load."""
        try:
            return self._pool.fits_both(self._reference, variant)
        except QuantcheckError:
            return True  # each test that asks is told so

    def _keep_predictions(self, workload: Workload[Any]) -> None:
        """Keep the reference's predictions on all of a workload, if that is asked."""
        course, limit = self.course(workload), None
        for part in range(len(course.parts)):
            limit = self._part(self._reference, course, part, pack_limit=limit).pack_limit
            self._divergence.keep(course, part, pack_limit=limit)

    def _part(
        self,
        variant: Variant,
        course: Course,
        part: int,
        *,
        pack_limit: int | None,
        is_again: bool = False,
    ) -> Measurement:
        workload = course.workload
        owner = None if workload.has_digest else workload
        key = (variant, course.fingerprint, owner, part, pack_limit, is_again)
        if key not in self._known:
            work = PartOfCourse(
                variant=variant, course=course, part=part, pack_limit=pack_limit, is_again=is_again
            )
            self._known[key] = attempt(partial(self._measured, work))
        known = self._known[key]
        if isinstance(known, Failed):
            known.again()
        return known

    def _measured(self, work: PartOfCourse) -> Measurement:
        """Measure a part, unless an earlier run did; the noise of the reference is always new."""
        if self._archive is None or work.is_again or work.variant != self._reference:
            return self._meter.measure(work)
        return self._archive.part(work, partial(self._measured_with_weights, work))

    def _measured_with_weights(self, work: PartOfCourse) -> Measurement:
        """Measure a part of the reference, and keep what its tensors say while it is there."""
        found = self._meter.measure(work)
        self.weights(work.variant)
        return found

    def _check_differs(self, variant: Variant) -> None:
        if variant.is_quantized and variant != self._reference:
            reference = self.weights(self._reference)
            check_differs(variant, self.weights(variant), reference)
