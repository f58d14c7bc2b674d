"""One part of a workload, measured on one variant."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pytest_quantcheck.measure.handle import Handle
from pytest_quantcheck.measure.measurement import Measurement, TaskResult
from pytest_quantcheck.measure.tasks.common import Job
from pytest_quantcheck.measure.tasks.dispatch import run_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        started = self._clock()
        with told(self._progress, work) as advance:
            job = Job(
                loaded=loaded,
                workload=course.workload,
                examples=examples,
                handle=Handle(variant, self._pool),
                advance=advance,
                is_part=len(course.parts) > 1,
            )
            result = run_task(job)
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


@contextmanager
def told(
    progress: Progress | None, work: PartOfCourse, *, what: str = ""
) -> Iterator[Advance | None]:
    """Tell that a pass over a part begins and ends; yield what counts examples from those before.

    Parameters
    ----------
    progress : Progress, optional
        Who is told.
    work : PartOfCourse
        What is measured.
    what : str
        Other than scores: shown beside the workload's name.
    """
    if progress is None:
        yield None
        return
    course = work.course
    n_before = course.n_before(work.part)
    name = f"{course.workload.name} ({what})" if what else course.workload.name
    progress.start(work.variant.name, name, len(course.examples))
    try:
        yield lambda done, tokens: progress.advance(n_before + done, tokens)
    finally:
        progress.finish()
