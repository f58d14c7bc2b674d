"""Classification: the log-likelihood of the words of each label."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.measure.measurement import Output, TaskResult
from pytest_quantcheck.measure.tasks.choice import decide, log_likelihoods
from pytest_quantcheck.measure.tasks.common import example_scores
from pytest_quantcheck.measure.tasks.prompts import choice_prompt, tokens_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.measure.tasks.prompts import ChoicePrompt
    from pytest_quantcheck.workloads.classification import Classification
    from pytest_quantcheck.workloads.example import LabelItem


def measure_classification(job: Job, workload: Classification) -> TaskResult:
    """Score the words of every label after each text.

    Parameters
    ----------
    job : Job
        Its examples.
    workload : Classification
        Whose labels they are.

    Raises
    ------
    MeasurementError
        An example is longer than the context, or its logits are not finite.

    Notes
    -----
    The log-likelihoods of the words of one label are added as probabilities, in float64. An
    example counts as right only if its label beats every other.
    """
    prompts = [_prompt(job, workload, example.item, job.place(example)) for example in job.examples]
    nats = log_likelihoods(job, prompts)
    decisions = [
        decide(_by_label(workload, found), example.item.labels.index(example.item.label))
        for found, example in zip(nats, job.examples, strict=True)
    ]
    return TaskResult(
        scores={
            "accuracy": example_scores(
                "accuracy", [float(one.is_right) for one in decisions], job.examples
            )
        },
        outputs=tuple(
            Output(text=example.item.labels[decision.chosen], margin=decision.margin)
            for example, decision in zip(job.examples, decisions, strict=True)
        ),
        tokens=sum(prompt.scored_tokens for prompt in prompts),
        first_token_ids=prompts[0].requests[0].tokens,
        prompt_digests=tuple(
            tokens_digest([request.tokens for request in prompt.requests]) for prompt in prompts
        ),
        cut_prompts=sum(prompt.is_cut for prompt in prompts),
    )


def _prompt(job: Job, workload: Classification, item: LabelItem, place: str) -> ChoicePrompt:
    asked = workload.asked(item)
    words = [word for found in workload.words.values() for word in found]
    if not asked.is_chat:
        words = [workload.joined(asked.text, word).removeprefix(asked.text) for word in words]
    return choice_prompt(job.loaded, asked, words, place=place)


def _by_label(workload: Classification, nats: Sequence[float]) -> list[float]:
    """Return the log-probability of each label from those of all words."""
    stops = np.cumsum([len(words) for words in workload.words.values()])
    parts = np.split(np.array(nats, np.float64), stops[:-1])
    return [_log_sum(part.tolist()) for part in parts]


def _log_sum(nats: Sequence[float]) -> float:
    """Return the logarithm of the sum of probabilities given by their logarithms."""
    largest = max(nats)
    if len(nats) == 1 or math.isinf(largest):
        return largest
    return largest + math.log(math.fsum(math.exp(one - largest) for one in nats))
