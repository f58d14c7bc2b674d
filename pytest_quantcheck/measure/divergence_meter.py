"""Compares the predictions of variants with the reference's, on workloads that a budget asks it of.

The reference is asked once for all variants: what is kept of it outlives the model.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.quantity import format_bytes
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.outcome import Failed, attempt
from pytest_quantcheck.measure.part import PartOfCourse, told
from pytest_quantcheck.measure.tasks.common import Job
from pytest_quantcheck.measure.tasks.divergence import compare_documents, predict_documents
from pytest_quantcheck.measure.tasks.documents import windows_of
from pytest_quantcheck.store.codec import Content
from pytest_quantcheck.workloads.documents import Documents

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from pytest_quantcheck.core.protocols import Progress
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.archive import Archive
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.divergence import DocumentDivergence, Predictions
    from pytest_quantcheck.measure.pool import Pool
    from pytest_quantcheck.workloads.base import Workload

    _Key: TypeAlias = tuple[str, int, int | None]


class DivergenceMeter:
    """Compares variants with one reference.

    Parameters
    ----------
    pool : Pool
        Where variants are loaded.
    reference : Variant
        What the others are compared with.
    archive : Archive, optional
        What the reference predicted in earlier runs; None keeps nothing.
    progress : Progress, optional
        Who is told how far a pass is.

    Notes
    -----
    What is kept of the reference are its final hidden states, on the host, and its head: 2·d bytes
    for each token in 16 bits. Scores are measured by another pass, and do not depend on it.
    """

    def __init__(
        self,
        pool: Pool,
        reference: Variant,
        *,
        archive: Archive | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._pool = pool
        self._reference = reference
        self._archive = archive
        self._progress = progress
        self._asked: set[Workload[Any]] = set()
        self._kept: dict[_Key, Predictions | Content | Failed] = {}

    def ask(self, workloads: Iterable[Workload[Any]]) -> bool:
        """Compare on these workloads from now on; return whether that is news."""
        asked = set(workloads) - self._asked
        self._asked |= asked
        return bool(asked)

    def asks(self, workload: Workload[Any]) -> bool:
        """Return whether a workload is compared on."""
        return isinstance(workload, Documents) and workload in self._asked

    def keep(self, course: Course, part: int, *, pack_limit: int | None) -> None:
        """Keep the reference's predictions on one part while it is in memory, if that is asked.

        An error is kept for whoever asks for the comparison.
        """
        key = (course.fingerprint, part, pack_limit)
        if self.asks(course.workload) and key not in self._kept:
            work = PartOfCourse(
                variant=self._reference, course=course, part=part, pack_limit=pack_limit
            )
            self._kept[key] = attempt(partial(self._known, work))

    def divergences(
        self, variant: Variant, course: Course, part: int, *, pack_limit: int | None
    ) -> tuple[DocumentDivergence, ...]:
        """Return how far a variant is from the reference on each document; none if not asked.

        Raises
        ------
        UsageError
            Reference and variant have different vocabularies, or a head that cannot be kept and no
            room beside each other.
        QuantcheckError
            See `compare_documents`.
        """
        if not self.asks(course.workload):
            return ()
        self.keep(course, part, pack_limit=pack_limit)
        work = PartOfCourse(variant=variant, course=course, part=part, pack_limit=pack_limit)
        reference = self._kept[course.fingerprint, part, pack_limit]
        if isinstance(reference, Failed):
            reference.again()
        if isinstance(reference, Content):
            reference = self._revived(reference, work)
        if reference.needs_model:
            self._check_room(variant, course)
            reference = self._predict(replace(work, variant=self._reference))
        return self._compared(work, reference, self._predict(work))

    def noise(
        self, course: Course, part: int, *, limits: tuple[int | None, int | None]
    ) -> tuple[DocumentDivergence, ...]:
        """Return how far the reference is from itself in other packs; none if not asked.

        Parameters
        ----------
        course, part
            What is asked.
        limits : pair of int or None
            Most sequences of a pack, the first and the second time.

        Raises
        ------
        QuantcheckError
            See `compare_documents`.
        """
        if not self.asks(course.workload):
            return ()
        first, second = (
            PartOfCourse(variant=self._reference, course=course, part=part, pack_limit=limit)
            for limit in limits
        )
        predicted = self._predict(first), self._predict(second)
        self._pool.get(self._reference).pack_limit = None  # handles are not to be slow
        return self._compared(first, *predicted)

    def close(self) -> None:
        """Forget all that was kept."""
        self._kept.clear()

    def _known(self, work: PartOfCourse) -> Predictions | Content:
        """Return what an earlier run kept of the reference's predictions, or make them."""
        predict = partial(self._predict, work)
        return predict() if self._archive is None else self._archive.predictions(work, predict)

    def _revived(self, kept: Content, work: PartOfCourse) -> Predictions:
        """Return kept predictions with the head of a variant, or else make them anew."""
        job = self._job(work)
        requests = [request for found in windows_of(job) for request in found]
        revive = getattr(job.loaded, "revived_predictions", None)
        found: Predictions | None = revive(requests, kept) if revive else None
        if found is not None:
            return found
        made = self._predict(replace(work, variant=self._reference))
        self._kept[work.course.fingerprint, work.part, work.pack_limit] = made
        return made

    def _predict(self, work: PartOfCourse) -> Predictions:
        job = self._job(work)
        job.loaded.pack_limit = work.pack_limit
        with told(self._progress, work, what="predicted") as advance:
            return predict_documents(replace(job, advance=advance))

    def _compared(
        self, work: PartOfCourse, reference: Predictions, found: Predictions
    ) -> tuple[DocumentDivergence, ...]:
        job = self._job(work)
        with told(self._progress, work, what="compared") as advance:
            return compare_documents(replace(job, advance=advance), reference, found)

    def _job(self, work: PartOfCourse) -> Job:
        return Job(
            loaded=self._pool.get(work.variant),
            workload=work.course.workload,
            examples=work.course.examples_of(work.part),
        )

    def _check_room(self, variant: Variant, course: Course) -> None:
        if self._pool.fits_both(self._reference, variant):
            return
        needed = format_bytes(self._pool.bytes_of(self._reference, variant))
        raise UsageError(
            f"workload {course.workload.name}: to compare predictions, reference and "
            f"{variant.label} must be in memory together, as the head of this architecture cannot "
            f"be told from its body: {needed} of weights do not fit; raise vram-fraction, or use "
            "a device with more memory or a smaller reference"
        )
