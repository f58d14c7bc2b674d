"""What the reference scored in earlier runs, so that it need not be loaded again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_quantcheck.core.fingerprint import digest
from pytest_quantcheck.measure.identity import differences
from pytest_quantcheck.measure.kept import (
    SCHEMA,
    packed,
    packed_weights,
    unpacked,
    unpacked_weights,
)
from pytest_quantcheck.store.key import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.divergence import Predictions
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.measure.part import PartOfCourse
    from pytest_quantcheck.measure.protocols import Weights
    from pytest_quantcheck.store.codec import Content
    from pytest_quantcheck.store.disk import Store


_MadeT = TypeVar("_MadeT", "Measurement", "Predictions", "Weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    content: Content
    is_of_earlier_run: bool


class Archive:
    """Results of the reference of one model, in a store.

    Parameters
    ----------
    store : Store
        Where they are.
    identify : callable
        Returns what tells a variant of the model from any other; None where nothing does.
    environment : mapping
        Where this run measures.
    run : str
        Names the run, in whatever processes it measures.
    is_update : bool
        Measure once more what earlier runs measured.

    Notes
    -----
    Whoever measures a part holds its lock, so that of several processes one measures and the
    others read. What fails is not kept.
    """

    def __init__(
        self,
        store: Store,
        *,
        identify: Callable[[Variant], dict[str, Plain] | None],
        environment: Mapping[str, str],
        run: str,
        is_update: bool = False,
    ) -> None:
        self._store = store
        self._identify = identify
        self._environment = environment
        self._run = run
        self._is_update = is_update
        self._identities: dict[Variant, dict[str, Plain] | None] = {}
        self._notices: dict[str, None] = {}

    @property
    def notices(self) -> tuple[str, ...]:
        """What the reader of a report should know, each text once."""
        return (*self._store.notices, *self._notices)

    def part(self, work: PartOfCourse, measure: Callable[[], Measurement]) -> Measurement:
        """Return a part's scores as they were kept, or measure and keep them.

        Raises
        ------
        QuantcheckError
            What `measure` raises.
        """
        key = self._key_of_part(work, "scores")
        if key is None:
            return measure()
        found = self._kept_or(key, measure, packed)
        if not isinstance(found, _Kept):
            return found
        variant, course = work.variant, work.course
        return unpacked(
            found.content, variant, course, part=work.part, is_stored=found.is_of_earlier_run
        )

    def predictions(
        self, work: PartOfCourse, predict: Callable[[], Predictions]
    ) -> Predictions | Content:
        """Return what is kept of a part's predictions, or make and keep them.

        Raises
        ------
        QuantcheckError
            What `predict` raises.
        """
        key = self._key_of_part(work, "predictions")
        if key is None:
            return predict()
        found = self._kept_or(key, predict, lambda made: made.kept())
        return found.content if isinstance(found, _Kept) else found

    def weights(self, variant: Variant, read: Callable[[], Weights]) -> Weights:
        """Return what a variant's tensors say as it was kept, or read and keep it.

        Raises
        ------
        QuantcheckError
            What `read` raises.
        """
        key = self._key(variant, {"content": "weights"})
        if key is None:
            return read()
        found = self._kept_or(key, read, packed_weights)
        return unpacked_weights(found.content) if isinstance(found, _Kept) else found

    def _kept_or(
        self, key: Key, make: Callable[[], _MadeT], pack: Callable[[_MadeT], Content | None]
    ) -> _MadeT | _Kept:
        """Return what is kept under a key, or make it and keep it."""
        if found := self._found(key):
            return found
        with self._store.slot(key) as slot:
            if found := self._found(key):  # made by whoever held the lock
                return found
            self._explain(key)
            made = make()
            if content := pack(made):
                slot.write(replace(content, data={"run": self._run, "kept": content.data}))
            return made

    def _found(self, key: Key) -> _Kept | None:
        """Return what is kept under a key, unless only what this run measured counts."""
        content = self._store.read(key)
        if content is None:
            return None
        data: Any = content.data
        found = _Kept(
            content=replace(content, data=data["kept"]),
            is_of_earlier_run=data["run"] != self._run,
        )
        return None if self._is_update and found.is_of_earlier_run else found

    def _explain(self, key: Key) -> None:
        """Say that the same was measured elsewhere, and what differs there."""
        for there in self._store.environments(key)[:1]:
            if there != self._environment:
                found = differences(self._environment, there)
                self._notices[f"kept reference scores are of {found}: measured again"] = None

    def _key_of_part(self, work: PartOfCourse, content: str) -> Key | None:
        course = work.course
        examples = course.examples_of(work.part)
        claim = course.workload.claim(examples)
        if claim is None:
            return None
        return self._key(
            work.variant,
            {
                "content": content,
                "workload": course.fingerprint,
                "metrics": [*course.workload.metrics],
                "callables": claim,
                "examples": digest([example.id for example in examples]),
                "is_part": len(course.parts) > 1,
                "pack_limit": work.pack_limit,
            },
        )

    def _key(self, variant: Variant, what: dict[str, Plain]) -> Key | None:
        if variant not in self._identities:
            self._identities[variant] = self._identify(variant)
        identity = self._identities[variant]
        if identity is None:
            return None
        return Key(
            identity={"schema": digest(SCHEMA), "variant": identity, **what},
            environment=self._environment,
        )
