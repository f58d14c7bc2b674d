"""A scorer of the user's own on greedy outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.measure.measurement import TaskResult
from pytest_quantcheck.measure.tasks.common import example_scores
from pytest_quantcheck.measure.tasks.generation import answer, outputs

if TYPE_CHECKING:
    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.workloads.custom import Scored


def measure_scored(job: Job, workload: Scored) -> TaskResult:
    """Answer every prompt greedily and let the workload's scorer judge.

    Parameters
    ----------
    job : Job
        Its examples.
    workload : Scored
        Whose scorer is called once for each example, in order.

    Raises
    ------
    MeasurementError
        A prompt and its output are longer than the context, the logits are not finite, or the
        scorer returned no finite number within the bounds. What the scorer itself raises is
        raised on, with a note of the example.
    """
    answers = answer(job, workload.max_new_tokens)
    values = []
    for text, example in zip(answers.texts, job.examples, strict=True):
        try:
            values.append(workload.score(text, example))
        except Exception as error:
            error.add_note(f"while scoring {job.place(example)}, whose output was {text!r}")
            raise
    return TaskResult(
        scores={"score": example_scores("score", values, job.examples, bounds=workload.bounds)},
        outputs=outputs(answers),
        tokens=answers.tokens,
        first_token_ids=answers.first_prompt,
    )
