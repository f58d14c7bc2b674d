"""Which examples of a workload are measured, in which parts; and measurements of some of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_quantcheck.core.batches import parts_of, shuffled, whole
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.measure.measurement import MeasuredPair
from pytest_quantcheck.measure.tasks.common import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import TypeAlias

    from pytest_quantcheck.core.batches import Part
    from pytest_quantcheck.core.metric import Metric
    from pytest_quantcheck.measure.measurement import Doubt, Measurement
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.base import Workload
    from pytest_quantcheck.workloads.example import Example

    BatchEnds: TypeAlias = Callable[[Sequence[int], Iterable[Metric]], tuple[int, ...]]
    """From the sizes of clusters in the order of measurement, and all metrics measured."""


PER_EXAMPLE = ("examples", "outputs", "prompt_digests", "is_cut", "is_stored", "divergences")
"""Fields of a measurement with one value for each example, or none at all."""


def _all_at_once(sizes: Sequence[int], metrics: Iterable[Metric]) -> tuple[int, ...]:
    del metrics
    return (sum(sizes),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """How much of each workload is measured, and in which order."""

    max_examples: int | None = None
    """Most examples of a workload: a seeded subset."""
    seed: int = 0
    """Of that subset, and of the order of batches."""
    batched_from: int | None = None
    """Fewest examples of a workload that is measured in batches; None: none is."""
    batch_ends: BatchEnds = _all_at_once
    """After how many examples batches end."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """The examples of one workload, and the parts in which they are measured."""

    workload: Workload[Any]
    examples: tuple[Example[Any], ...]
    parts: tuple[Part, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all examples and of how they are scored."""
        return self.workload.fingerprint(self.examples)

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each example in the workload, by its id."""
        return {example.id: place for place, example in enumerate(self.examples)}

    @cached_property
    def _clusters(self) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
        return cluster_codes(self.examples)

    def examples_of(self, part: int) -> tuple[Example[Any], ...]:
        """Return the examples of one part, in the order of the workload."""
        return tuple(self.examples[place] for place in self.parts[part].places)

    def n_before(self, part: int) -> int:
        """Return how many examples the parts before one have."""
        return sum(len(one.places) for one in self.parts[:part])

    def coded(self, measured: Measurement, part: int) -> Measurement:
        """Return a part as one of this workload: with its name, and its codes of clusters."""
        measured = replace(measured, workload_name=self.workload.name)
        if len(self.parts) == 1:
            return measured
        codes = self._clusters
        mine = None if codes is None else codes[list(self.parts[part].places)]
        scores = {name: replace(one, clusters=mine) for name, one in measured.scores.items()}
        return replace(measured, scores=scores)

    def joined(self, parts: Sequence[Measurement]) -> Measurement:
        """Return several parts of one measurement as one, in the order of the workload."""
        if len(parts) == 1:
            return parts[0]
        places = [self.places[example.id] for part in parts for example in part.examples]
        order = sorted(range(len(places)), key=places.__getitem__)
        first = min(parts, key=lambda part: self.places[part.examples[0].id])
        limits = [part.pack_limit for part in parts if part.pack_limit is not None]
        per_example: dict[str, Any] = {name: _concatenated(parts, name) for name in PER_EXAMPLE}
        found = replace(
            first,
            measured_at=min(part.measured_at for part in parts),
            doubts=tuple(map(_joined_doubt, zip(*(part.doubts for part in parts), strict=True))),
            scores={
                name: _concatenated_scores([part.scores[name] for part in parts])
                for name in first.scores
            },
            tokens=sum(part.tokens for part in parts),
            seconds=sum(part.seconds for part in parts),
            pack_limit=min(limits, default=None),
            **per_example,
        )
        return select(found, order)

    def joined_pair(self, pairs: Sequence[MeasuredPair]) -> MeasuredPair:
        """Return several parts of reference and variant as one."""
        if len(pairs) == 1:
            return pairs[0]
        return MeasuredPair(
            reference=self.joined([pair.reference for pair in pairs]),
            variant=self.joined([pair.variant for pair in pairs]),
        )


def plan_course(workload: Workload[Any], portion: Portion) -> Course:
    """Return what is measured of a workload, and in which parts.

    Raises
    ------
    MeasurementError
        The workload cannot be read.
    """
    examples = workload.examples(max_examples=portion.max_examples, seed=portion.seed)
    if portion.batched_from is None or len(examples) < portion.batched_from:
        return Course(workload=workload, examples=examples, parts=whole(len(examples)))
    clusters = shuffled(_keys(examples), seed=portion.seed)
    ends = portion.batch_ends(
        [len(cluster) for cluster in clusters], [METRICS[name] for name in workload.metrics]
    )
    return Course(workload=workload, examples=examples, parts=parts_of(clusters, ends))


def select(measured: Measurement, places: Sequence[int]) -> Measurement:
    """Return a measurement of some of its examples, in the order asked for.

    Parameters
    ----------
    measured : Measurement
        With one score for each example.
    places : sequence of int
        Which of them.

    Notes
    -----
    Tokens and seconds stay what was spent.
    """
    per_example: dict[str, Any] = {
        name: _taken(getattr(measured, name), places) for name in PER_EXAMPLE
    }
    return replace(
        measured,
        doubts=tuple(
            replace(doubt, is_found=_taken(doubt.is_found, places)) for doubt in measured.doubts
        ),
        scores={name: scores.taken(places) for name, scores in measured.scores.items()},
        **per_example,
    )


def select_pair(pair: MeasuredPair, ids: Collection[str]) -> MeasuredPair:
    """Return a pair on the examples of these ids."""
    places = [i for i, example in enumerate(pair.variant.examples) if example.id in ids]
    if len(places) == len(pair.variant.examples):
        return pair
    return MeasuredPair(
        reference=select(pair.reference, places), variant=select(pair.variant, places)
    )


def _keys(examples: Sequence[Example[Any]]) -> list[str]:
    """Return what examples of one cluster have in common; one without is alone."""
    return [
        f"id {example.id}" if example.cluster is None else f"cluster {example.cluster}"
        for example in examples
    ]


def _taken(values: tuple[Any, ...], places: Sequence[int]) -> tuple[Any, ...]:
    """Return some of one value for each example; none where there are none."""
    return tuple(values[place] for place in places) if values else ()


def _joined_doubt(parts: tuple[Doubt, ...]) -> Doubt:
    return replace(parts[0], is_found=tuple(found for part in parts for found in part.is_found))


def _concatenated(parts: Sequence[Measurement], field: str) -> tuple[Any, ...]:
    return tuple(value for part in parts for value in getattr(part, field))


def _concatenated_scores(parts: Sequence[ExampleScores]) -> ExampleScores:
    clusters = [part.clusters for part in parts if part.clusters is not None]
    found = [one for part in parts for one in part.observations or ()]
    return replace(
        parts[0],
        ids=tuple(name for part in parts for name in part.ids),
        values=np.concatenate([part.values for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        clusters=np.concatenate(clusters) if clusters else None,
        observations=tuple(found) if found else None,
        is_identical=all(part.is_identical for part in parts),
    )
