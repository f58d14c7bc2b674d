"""The task of each kind of workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.tasks.choice import measure_choice
from pytest_quantcheck.measure.tasks.classification import measure_classification
from pytest_quantcheck.measure.tasks.common import classifier
from pytest_quantcheck.measure.tasks.documents import measure_documents
from pytest_quantcheck.measure.tasks.generation import measure_generation
from pytest_quantcheck.workloads.choice import MultipleChoice
from pytest_quantcheck.workloads.classification import Classification
from pytest_quantcheck.workloads.documents import Documents
from pytest_quantcheck.workloads.generation import Generation

if TYPE_CHECKING:
    from pytest_quantcheck.measure.measurement import TaskResult
    from pytest_quantcheck.measure.tasks.common import Job


def run_task(job: Job) -> TaskResult:
    """Measure a job by the kind of its workload.

    Raises
    ------
    UsageError
        No task knows this kind, or the model is not of the kind it needs, or cannot do it.
    """
    model = classifier(job.loaded)
    if model is not None and not _is_for_heads(job.workload):
        raise UsageError(
            f"workload {job.workload!r} asks a language model, and this model has a classification "
            f"head (labels {', '.join(model.labels)}): measure it with Classification without "
            "labels=, or give a causal language model"
        )
    if model is None:
        _check_able(job)
    match job.workload:
        case MultipleChoice():
            return measure_choice(job)
        case Classification():
            return measure_classification(job, job.workload)
        case Documents():
            return measure_documents(job)
        case Generation():
            return measure_generation(job, job.workload)
        case _:
            raise UsageError(
                f"workload {job.workload!r}: expected MultipleChoice, Classification, Documents, "
                "Generation or what quant.compare makes"
            )


def _check_able(job: Job) -> None:
    """Raise UsageError if a backend's language model lacks what the workload asks of it."""
    asked = "generate" if isinstance(job.workload, Generation) else "score"
    if not hasattr(job.loaded, asked):
        raise UsageError(
            f"workload {job.workload!r} asks a model to {asked}, and {type(job.loaded).__name__} "
            f"has no such method: give the models of its backend {asked}(), or measure another "
            "kind of workload"
        )


def _is_for_heads(workload: object) -> bool:
    return isinstance(workload, Classification) and not workload.words
