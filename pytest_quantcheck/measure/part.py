"""One part of a workload, measured on one variant."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pytest_quantcheck.measure.handle import Handle
from pytest_quantcheck.measure.measurement import Measurement, TaskResult
from pytest_quantcheck.measure.tasks.common import Job
from pytest_quantcheck.measure.tasks.dispatch import run_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.core.protocols import Progress
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.pool import Pool
    from pytest_quantcheck.measure.protocols import Advance


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOfCourse:
    """What to measure, on what."""

    variant: Variant
    course: Course
    part: int
    pack_limit: int | None
    """Most sequences forwarded together; None where memory sets none."""
    is_again: bool = False
    """From the last example to the first."""


class PartMeter:
    """Measures parts of workloads, each time it is asked.

    Parameters
    ----------
    pool : Pool
        Where variants are loaded.
    check : callable
        Raises where a variant is not what it claims.
    progress : Progress, optional
        Who is told how far a measurement is.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        check: Callable[[Variant], None],
        progress: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._check = check
        self._progress = progress
        self._clock = clock

    def measure(self, work: PartOfCourse) -> Measurement:
        """Return the scores of a variant on one part.

        Raises
        ------
        QuantcheckError
            See `Runner.measure`.
        """
        variant, course = work.variant, work.course
        self._check(variant)
        loaded = self._pool.get(variant)
        loaded.pack_limit = work.pack_limit
        examples = course.examples_of(work.part)[:: -1 if work.is_again else 1]
        job = Job(
            loaded=loaded,
            workload=course.workload,
            examples=examples,
            handle=Handle(variant, self._pool),
            advance=self._advance(course.n_before(work.part)),
            is_part=len(course.parts) > 1,
        )
        started = self._clock()
        result = self._run(job, variant, n_planned=len(course.examples))
        limit = loaded.pack_limit
        if work.is_again:
            loaded.pack_limit = None  # handles are not to be slow
        return Measurement(
            variant=variant,
            workload_name=course.workload.name,
            kind=type(course.workload).__name__,
            fingerprint=course.fingerprint,
            examples=examples,
            n_planned=len(course.examples),
            seconds=self._clock() - started,
            compute_dtype=loaded.compute_dtype,
            pack_limit=limit,
            measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            is_stored=(False,) * len(examples),
            **{one.name: getattr(result, one.name) for one in fields(TaskResult)},
        )

    def _run(self, job: Job, variant: Variant, *, n_planned: int) -> TaskResult:
        progress = self._progress
        if progress is None:
            return run_task(job)
        progress.start(variant.name, job.workload.name, n_planned)
        try:
            return run_task(job)
        finally:
            progress.finish()

    def _advance(self, n_before: int) -> Advance | None:
        """Return what counts examples on from those measured before."""
        progress = self._progress
        if progress is None:
            return None
        return lambda done, tokens: progress.advance(n_before + done, tokens)
