"""Generation: greedy outputs and what the scorers of a workload say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.measurement import Doubt, Output, TaskResult
from pytest_quantcheck.measure.protocols import Continuation
from pytest_quantcheck.measure.tasks.common import example_scores, named_errors
from pytest_quantcheck.measure.tasks.degenerate import is_loop
from pytest_quantcheck.measure.tasks.prompts import prompt_tokens, tokens_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.measure.tasks.prompts import Prompt
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.generation import Generation
    from pytest_quantcheck.workloads.scoring import OutputScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a variant answered to the examples of a job."""

    found: tuple[Continuation, ...]
    """(n,)"""
    prompts: tuple[Prompt, ...]
    """(n,) what the variant was given; none where the workload asks by itself."""

    @property
    def prompt_digests(self) -> tuple[str, ...]:
        """(n,) of the tokens of each prompt."""
        return tuple(tokens_digest([prompt.tokens]) for prompt in self.prompts)

    @property
    def is_cut(self) -> tuple[bool, ...]:
        """(n,) whether a prompt lost its oldest part."""
        return tuple(prompt.is_cut for prompt in self.prompts)


def measure_generation(job: Job, workload: Generation) -> TaskResult:
    """Answer every prompt, and score the outputs.

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
    answers = answer(job, workload) if workload.run is None else drive(job, workload)
    scored = []
    for one, example in zip(answers.found, job.examples, strict=True):
        try:
            scored.append(score(one.text, workload.case(example)))
        except Exception as error:
            error.add_note(f"while scoring {job.place(example)}, whose output was {one.text!r}")
            raise
    return TaskResult(
        scores=_scores(job, workload, scored) | _faults(job, workload, answers.found),
        outputs=tuple(
            Output(text=one.text, margin=None, n_tokens=len(one.tokens), tokens=one.tokens)
            for one in answers.found
        ),
        tokens=sum(len(one.tokens) for one in answers.found),
        first_token_ids=answers.prompts[0].tokens if answers.prompts else (),
        prompt_digests=answers.prompt_digests,
        is_cut=answers.is_cut,
        doubts=_doubts(workload, answers.found, scored),
        plan="" if workload.run else job.loaded.generation_plan,
    )


def answer(job: Job, workload: Generation) -> Answers:
    """Return the answer to every prompt of a job, made in batches."""
    places = [job.place(example) for example in job.examples]
    decoding = workload.decoding
    asked = [workload.asked(example.item) for example in job.examples]
    job.loaded.read_ahead(one.text for one in asked if not one.is_chat)
    prompts = [
        prompt_tokens(job.loaded, one, decoding.max_new_tokens, place=place)
        for one, place in zip(asked, places, strict=True)
    ]
    with named_errors(places):
        found = job.loaded.generate(
            [prompt.tokens for prompt in prompts],
            decoding,
            streams=[decoding.stream(example.id) for example in job.examples],
            advance=job.advance_of(len(prompts)),
        )
    return Answers(found=tuple(found), prompts=tuple(prompts))


def drive(job: Job, workload: Generation) -> Answers:
    """Return what the workload's own callable makes of each example, one by one."""
    assert workload.run is not None  # noqa: S101 - the caller looked
    found = []
    tokens = 0
    for example in job.examples:
        text = workload.run(job.handle, workload.case(example).given)
        if not isinstance(text, str):
            raise MeasurementError(
                f"{job.place(example)}: run= returned {text!r}, expected the output as a string"
            )
        ids = tuple(job.loaded.encode(text, special=False))
        found.append(Continuation(tokens=ids, text=str(text), is_truncated=False))
        tokens += len(ids)
        if job.advance:
            job.advance(len(found), tokens)
    return Answers(found=tuple(found), prompts=())


def _scores(
    job: Job, workload: Generation, scored: Sequence[OutputScores]
) -> dict[str, ExampleScores]:
    return {
        scorer.metric: example_scores(
            scorer.metric,
            [one.values[scorer.metric] for one in scored],
            job.examples,
            bounds=scorer.bounds if METRICS[scorer.metric].scale is Scale.SCORE else None,
        )
        for scorer in workload.output_scoring.scorers
    }


def _faults(
    job: Job, workload: Generation, found: Sequence[Continuation]
) -> dict[str, ExampleScores]:
    """Return the metrics of degenerate outputs that one variant alone has."""
    empty = [not one.text.strip() for one in found]
    loop = [is_loop(one.tokens) for one in found]
    values = {
        "empty": empty,
        "truncated": [one.is_truncated for one in found],
        "loop": loop,
        "degenerate": [either or other for either, other in zip(empty, loop, strict=True)],
    }
    return {
        name: example_scores(name, list(map(float, ones)), job.examples)
        for name, ones in values.items()
        if name in workload.metrics
    }


def _doubts(
    workload: Generation, found: Sequence[Continuation], scored: Sequence[OutputScores]
) -> tuple[Doubt, ...]:
    """Return what else would be silent: outputs cut before they could be right."""
    most = workload.decoding.max_new_tokens
    wrong = " and are not right" if workload.output_scoring.scorers else ""
    return (
        Doubt(
            text=f"{{count}} of {{n}} outputs were cut by max_new_tokens={most}{wrong}; raise it, "
            "or end outputs with stop=",
            is_found=tuple(
                one.is_truncated and not (scores.values and all(scores.values.values()))
                for one, scores in zip(found, scored, strict=True)
            ),
        ),
        Doubt(
            text="extract= found nothing in {count} of {n} outputs, which count as wrong",
            is_found=tuple(not scores.is_extracted for scores in scored),
        ),
    )
