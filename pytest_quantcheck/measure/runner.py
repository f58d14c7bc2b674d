"""Measures variants on workloads, each pair once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.measure.handle import Handle
from pytest_quantcheck.measure.measurement import Measurement
from pytest_quantcheck.measure.outcome import Failed, failed
from pytest_quantcheck.measure.pairwise import pair
from pytest_quantcheck.measure.selfcheck import check_differs, check_same_prompts
from pytest_quantcheck.measure.tasks.common import Job
from pytest_quantcheck.measure.tasks.dispatch import run_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_quantcheck.core.protocols import Progress
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.measurement import MeasuredPair
    from pytest_quantcheck.measure.pool import Pool
    from pytest_quantcheck.measure.protocols import Weights
    from pytest_quantcheck.workloads.base import Workload
    from pytest_quantcheck.workloads.example import Example

    _Key: TypeAlias = tuple[Variant, str, object, int | None]

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One measurement to make."""

    variant: Variant
    workload: Workload[Any]
    examples: tuple[Example[Any], ...]
    fingerprint: str
    pack_limit: int | None


class Runner:
    """Measures variants of one model on workloads.

    Parameters
    ----------
    pool : Pool
        Where variants are loaded.
    reference : Variant
        What the others are compared with.
    max_examples : int, optional
        Most examples of a workload: a seeded subset.
    seed : int
        Of that subset.
    progress : Progress, optional
        Who is told how far a measurement is.
    clock : callable, optional
        Seconds that only go forward.

    Notes
    -----
    A pass over the model holds one workload only and is a function of its examples, so that
    scores do not depend on which other tests run.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        reference: Variant,
        max_examples: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._pool = pool
        self._reference = reference
        self._max_examples = max_examples
        self._seed = seed
        self._progress = progress
        self._clock = clock
        self._known: dict[_Key, Measurement | Failed] = {}
        self._pairs: dict[tuple[Variant, Workload[Any]], MeasuredPair | Failed] = {}

    def measure(
        self, variant: Variant, workload: Workload[Any], *, pack_limit: int | None = None
    ) -> Measurement:
        """Return the scores of a variant on a workload.

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
        examples = workload.examples(max_examples=self._max_examples, seed=self._seed)
        fingerprint = workload.fingerprint(examples)
        key = (variant, fingerprint, None if workload.has_digest else workload, pack_limit)
        if key not in self._known:
            work = _Work(
                variant=variant,
                workload=workload,
                examples=examples,
                fingerprint=fingerprint,
                pack_limit=pack_limit,
            )
            self._known[key] = _attempt(partial(self._measure, work))
        known = self._known[key]
        if isinstance(known, Failed):
            known.again()
        return replace(known, workload_name=workload.name)

    def measure_pair(self, variant: Variant, workload: Workload[Any]) -> MeasuredPair:
        """Return the scores of reference and variant on a workload, in the same packs.

        Raises
        ------
        QuantcheckError
            See `measure` and `pair`.

        Notes
        -----
        Where memory made the packs of one smaller, the other is measured again in those. A pair
        is put together once, so that a judge is asked once.
        """
        reference = self.measure(self._reference, workload)
        measured = self.measure(variant, workload)
        while reference.pack_limit != measured.pack_limit:
            limits = (reference.pack_limit, measured.pack_limit)
            smaller = min(limit for limit in limits if limit is not None)
            if measured.pack_limit == smaller:
                reference = self.measure(self._reference, workload, pack_limit=smaller)
            else:
                measured = self.measure(variant, workload, pack_limit=smaller)
        check_same_prompts(reference, measured)
        key = (variant, workload)
        if key not in self._pairs:
            self._pairs[key] = _attempt(lambda: pair(reference, measured, workload))
        known = self._pairs[key]
        if isinstance(known, Failed):
            known.again()
        return known

    def prefetch_reference(
        self, workloads: Iterable[Workload[Any]], *, variant: Variant | None = None
    ) -> None:
        """Measure the reference on all workloads if it must leave memory for a variant.

        Parameters
        ----------
        workloads : iterable of Workload
            Those whose tests are selected.
        variant : Variant, optional
            What is measured next; by default one as large as the reference.

        Notes
        -----
        Errors are kept for the tests that ask.
        """
        try:
            if self._pool.fits_both(self._reference, variant or self._reference):
                return
        except QuantcheckError:
            return  # the reference cannot be loaded: each test that asks is told so
        for workload in workloads:
            try:
                self.measure(self._reference, workload)
            except Exception:  # noqa: BLE001, S112 - kept by measure, raised for who asks
                continue

    def weights(self, variant: Variant) -> Weights:
        """Return what the variant's tensors say about it."""
        return self._pool.weights(variant)

    def handle(self, variant: Variant) -> Handle:
        """Return what a test may hold of the variant; nothing is loaded yet."""
        return Handle(variant, self._pool)

    def close(self) -> None:
        """Free every variant and forget every measurement."""
        self._known.clear()
        self._pairs.clear()
        self._pool.close()

    def _measure(self, work: _Work) -> Measurement:
        variant, workload = work.variant, work.workload
        if variant.is_quantized and variant != self._reference:
            reference = self._pool.weights(self._reference)
            check_differs(variant, self._pool.weights(variant), reference)
        loaded = self._pool.get(variant)
        loaded.pack_limit = work.pack_limit
        progress = self._progress
        job = Job(
            loaded=loaded,
            workload=workload,
            examples=work.examples,
            handle=self.handle(variant),
            advance=progress.advance if progress else None,
        )
        started = self._clock()
        if progress:
            progress.start(variant.name, workload.name, len(work.examples))
        try:
            result = run_task(job)
        finally:
            if progress:
                progress.finish()
        return Measurement(
            variant=variant,
            workload_name=workload.name,
            kind=type(workload).__name__,
            fingerprint=work.fingerprint,
            examples=work.examples,
            scores=result.scores,
            outputs=result.outputs,
            tokens=result.tokens,
            seconds=self._clock() - started,
            compute_dtype=loaded.compute_dtype,
            first_token_ids=result.first_token_ids,
            prompt_digests=result.prompt_digests,
            cut_prompts=result.cut_prompts,
            warnings=result.warnings,
            pack_limit=loaded.pack_limit,
        )


def _attempt(work: Callable[[], _ResultT]) -> _ResultT | Failed:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - raised again for who asks, scorers' own too
        return failed(error)
