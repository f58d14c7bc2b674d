"""What is known of examples before they are measured, for early verdicts and for their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.examples import CourseRecord, DrawnRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.stats.sequential.prefix import Plan
    from pytest_quantcheck.workloads.example import Example


def drawn(examples: Sequence[Example[Any]]) -> Plan:
    """Return how many examples and clusters there are; one without a cluster stands alone."""
    from pytest_quantcheck.stats.sequential.prefix import Plan  # numpy: not at collection

    sizes: dict[tuple[bool, str], int] = {}
    for one in examples:
        key = (one.cluster is None, one.id if one.cluster is None else one.cluster)
        sizes[key] = sizes.get(key, 0) + 1
    largest = max(sizes.values())
    return Plan(
        n=len(examples),
        n_clusters=len(sizes) if largest > 1 else None,
        largest_cluster=largest,
    )


def course_record(course: Course, ids: Sequence[str]) -> CourseRecord:
    """Return in which batches the examples called `ids` came, so that verdicts can be replayed."""
    batches = [batch for part in course.parts for batch in part.batches]
    found = {place: number for number, batch in enumerate(batches) for place in batch}
    slices = dict.fromkeys(one.slice for one in course.examples if one.slice is not None)
    sets = {None: course.examples} | {
        name: tuple(one for one in course.examples if one.slice == name) for name in slices
    }
    return CourseRecord(
        batches=[found[course.places[name]] for name in ids],
        drawn=[_drawn(name, examples) for name, examples in sets.items()],
    )


def _drawn(name: str | None, examples: Sequence[Example[Any]]) -> DrawnRecord:
    plan = drawn(examples)
    return DrawnRecord(
        slice=name,
        n=plan.n,
        n_clusters=plan.n_clusters,
        largest_cluster=plan.largest_cluster,
    )
