"""Multiple choice: the log-likelihood of each choice after its context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.measure.measurement import Output, TaskResult
from pytest_quantcheck.measure.tasks.common import example_scores, named_errors
from pytest_quantcheck.measure.tasks.prompts import ChoiceQuestion, choice_prompts, tokens_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.measure.tasks.prompts import ChoicePrompt
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.example import ChoiceItem
    from pytest_quantcheck.workloads.prompted import Prompted


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which choice is the likeliest."""

    is_right: bool
    chosen: int
    margin: float
    """Nats: right choice minus the best other."""


def measure_choice(job: Job) -> TaskResult:
    """Score every choice of every example.

    Parameters
    ----------
    job : Job
        A `MultipleChoice` workload.

    Raises
    ------
    MeasurementError
        An example is longer than the context, or its logits are not finite.

    Notes
    -----
    `accuracy` compares sums of log-likelihoods in float64, `accuracy_norm` the sums divided by
    the characters of each choice without the spaces around it. An example counts as right only
    if its right choice beats every other: a variant that finds all choices equally likely has
    none right, whatever their order.
    """
    prompts = _prompts(job)
    decisions, normalized = [], []
    for example, nats in zip(job.examples, log_likelihoods(job, prompts), strict=True):
        item: ChoiceItem = example.item
        decisions.append(decide(nats, item.answer))
        lengths = [max(1, len(choice.strip())) for choice in item.choices]
        per_character = [one / length for one, length in zip(nats, lengths, strict=True)]
        normalized.append(decide(per_character, item.answer))
    return result_of(
        job,
        prompts,
        scores={
            "accuracy": example_scores("accuracy", _values(decisions), job.examples),
            "accuracy_norm": example_scores("accuracy_norm", _values(normalized), job.examples),
        },
        outputs=[
            Output(text=example.item.choices[decision.chosen], margin=decision.margin)
            for example, decision in zip(job.examples, decisions, strict=True)
        ],
    )


def result_of(
    job: Job,
    prompts: Sequence[ChoicePrompt],
    *,
    scores: Mapping[str, ExampleScores],
    outputs: Sequence[Output],
) -> TaskResult:
    """Return scores and outputs with what the model was asked."""
    return TaskResult(
        scores=scores,
        outputs=tuple(outputs),
        tokens=sum(prompt.scored_tokens for prompt in prompts),
        first_token_ids=prompts[0].requests[0].tokens,
        prompt_digests=tuple(
            tokens_digest([request.tokens for request in prompt.requests]) for prompt in prompts
        ),
        is_cut=tuple(prompt.is_cut for prompt in prompts),
        plan=job.loaded.plan,
    )


def log_likelihoods(job: Job, prompts: Sequence[ChoicePrompt]) -> list[list[float]]:
    """Return the log-likelihood in nats of each choice, summed in float64, per example."""
    requests = [request for prompt in prompts for request in prompt.requests]
    with named_errors(job.owners([prompt.requests for prompt in prompts])):
        found = job.loaded.score(requests, advance=job.advance_of(len(requests)))
    sums = iter([math.fsum(values.tolist()) for values in found])
    return [[next(sums) for _ in prompt.requests] for prompt in prompts]


def decide(nats: Sequence[float], answer: int) -> Decision:
    """Return which choice is the likeliest; one that ties with another is not right."""
    others = [index for index in range(len(nats)) if index != answer]
    best = max(others, key=lambda index: nats[index])
    is_right = nats[answer] > nats[best]
    is_tie = nats[answer] == nats[best]
    return Decision(
        is_right=is_right,
        chosen=answer if is_right else best,
        margin=0.0 if is_tie else nats[answer] - nats[best],
    )


def _prompts(job: Job) -> list[ChoicePrompt]:
    workload: Prompted[Any] = job.workload  # type: ignore[assignment]  # whose task this is
    questions = [
        ChoiceQuestion(
            asked=workload.asked(example.item),
            choices=example.item.choices,
            place=job.place(example),
        )
        for example in job.examples
    ]
    return choice_prompts(job.loaded, questions)


def _values(decisions: Sequence[Decision]) -> list[float]:
    return [float(decision.is_right) for decision in decisions]
