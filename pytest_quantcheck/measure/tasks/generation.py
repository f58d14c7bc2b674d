"""Generation: greedy outputs and what the scorers of a workload say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.measure.measurement import Output, TaskResult
from pytest_quantcheck.measure.tasks.common import example_scores, named_errors
from pytest_quantcheck.measure.tasks.prompts import prompt_tokens, tokens_digest

if TYPE_CHECKING:
    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.measure.tasks.prompts import Prompt
    from pytest_quantcheck.workloads.generation import Generation
    from pytest_quantcheck.workloads.prompted import Prompted


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a variant answered to the examples of a job."""

    texts: tuple[str, ...]
    """(n,) without special tokens and without the prompt."""
    tokens: int
    """Tokens generated."""
    prompts: tuple[Prompt, ...]
    """(n,) what the variant was given."""

    @property
    def prompt_digests(self) -> tuple[str, ...]:
        """(n,) of the tokens of each prompt."""
        return tuple(tokens_digest([prompt.tokens]) for prompt in self.prompts)

    @property
    def cut_prompts(self) -> int:
        """How many prompts lost their oldest part."""
        return sum(prompt.is_cut for prompt in self.prompts)


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
        first_token_ids=answers.prompts[0].tokens,
        prompt_digests=answers.prompt_digests,
        cut_prompts=answers.cut_prompts,
    )


def answer(job: Job, max_new_tokens: int) -> Answers:
    """Return the greedy answer to every prompt of a job."""
    workload: Prompted[Any] = job.workload  # type: ignore[assignment]  # whose task this is
    places = [job.place(example) for example in job.examples]
    prompts = [
        prompt_tokens(job.loaded, workload.asked(example.item), max_new_tokens, place=place)
        for example, place in zip(job.examples, places, strict=True)
    ]
    tokens = [prompt.tokens for prompt in prompts]
    with named_errors(places):
        found = job.loaded.generate(tokens, max_new_tokens, advance=job.advance_of(len(tokens)))
    return Answers(
        texts=tuple(job.loaded.decode(tokens) for tokens in found),
        tokens=sum(len(tokens) for tokens in found),
        prompts=tuple(prompts),
    )


def outputs(answers: Answers) -> tuple[Output, ...]:
    """Return the answers as outputs, which have no margin."""
    return tuple(Output(text=text, margin=None) for text in answers.texts)
