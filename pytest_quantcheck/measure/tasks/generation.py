"""Generation: greedy outputs and what the scorers of a workload say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.measure.measurement import Output, TaskResult
from pytest_quantcheck.measure.tasks.common import check_length, example_scores, named_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.protocols import LoadedModel
    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.workloads.generation import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a variant answered to the examples of a job."""

    texts: tuple[str, ...]
    """(n,) without special tokens and without the prompt."""
    tokens: int
    """Tokens generated."""
    first_prompt: tuple[int, ...]
    """Tokens of the first prompt."""


def measure_generation(job: Job, workload: Generation) -> TaskResult:
    """Answer every prompt greedily, and score the outputs.

    Parameters
    ----------
    job : Job
        Its examples.
    workload : Generation
        How outputs are made and scored; a callable is called once for each example, in order.

    Raises
    ------
    UsageError, BackendUnavailable
        A scorer cannot score as asked, or its package is missing.
    MeasurementError
        A prompt and its output are longer than the context, the logits are not finite, or a
        callable returned no finite number within the bounds. What a callable itself raises is
        raised on, with a note of the example.
    """
    score = workload.output_scoring.ready()
    answers = answer(job, workload.max_new_tokens)
    found = []
    for text, example in zip(answers.texts, job.examples, strict=True):
        try:
            found.append(score(text, workload.case(example)))
        except Exception as error:
            error.add_note(f"while scoring {job.place(example)}, whose output was {text!r}")
            raise
    return TaskResult(
        scores={
            scorer.metric: example_scores(
                scorer.metric,
                [one.values[scorer.metric] for one in found],
                job.examples,
                bounds=scorer.bounds if METRICS[scorer.metric].scale is Scale.SCORE else None,
            )
            for scorer in workload.output_scoring.scorers
        },
        outputs=outputs(answers),
        tokens=answers.tokens,
        first_token_ids=answers.first_prompt,
    )


def answer(job: Job, max_new_tokens: int) -> Answers:
    """Return the greedy answer to every prompt of a job."""
    places = [job.place(example) for example in job.examples]
    prompts = [
        prompt_tokens(job.loaded, example.item.prompt, max_new_tokens, place=place)
        for example, place in zip(job.examples, places, strict=True)
    ]
    with named_errors(places):
        found = job.loaded.generate(prompts, max_new_tokens, advance=job.advance_of(len(prompts)))
    return Answers(
        texts=tuple(job.loaded.decode(tokens) for tokens in found),
        tokens=sum(len(tokens) for tokens in found),
        first_prompt=tuple(prompts[0]),
    )


def outputs(answers: Answers) -> tuple[Output, ...]:
    """Return the answers as outputs, which have no margin."""
    return tuple(Output(text=text, margin=None) for text in answers.texts)


def prompt_tokens(
    loaded: LoadedModel, prompt: str, max_new_tokens: int, *, place: str
) -> Sequence[int]:
    """Return the tokens of a prompt that leaves room for its answer.

    Raises
    ------
    MeasurementError
        Prompt and answer together are longer than the context.
    """
    tokens = loaded.encode(prompt, special=True) or [loaded.prefix_token]
    what = f"a prompt of {len(tokens)} tokens and max_new_tokens={max_new_tokens}"
    check_length(place, len(tokens) + max_new_tokens, what, loaded)
    return tokens
