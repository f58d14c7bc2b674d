"""Classification: the log-likelihood of the words of each label."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.measurement import Output, TaskResult
from pytest_quantcheck.measure.tasks.choice import decide, log_likelihoods, result_of
from pytest_quantcheck.measure.tasks.common import (
    check_length,
    classifier,
    example_scores,
    named_errors,
)
from pytest_quantcheck.measure.tasks.prompts import ChoiceQuestion, choice_prompts, tokens_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.tasks.choice import Decision
    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.classification import Classification
    from pytest_quantcheck.workloads.example import LabelItem


def measure_classification(job: Job, workload: Classification) -> TaskResult:
    """Score the words of every label after each text, or ask the model's own head.

    Parameters
    ----------
    job : Job
        Its examples.
    workload : Classification
        Whose labels they are.

    Raises
    ------
    UsageError
        The workload names no labels, and the model has no classification head.
    MeasurementError
        An example is longer than the context, its label is none of the model's, or its logits
        are not finite.

    Notes
    -----
    The log-likelihoods of the words of one label are added as probabilities, in float64. An
    example counts as right only if its label beats every other.
    """
    if not workload.words:
        return _by_own_head(job, workload)
    prompts = choice_prompts(
        job.loaded,
        [_question(workload, one.item, job.place(one)) for one in job.examples],
    )
    nats = log_likelihoods(job, prompts)
    decisions = [
        decide(_by_label(workload, found), example.item.labels.index(example.item.label))
        for found, example in zip(nats, job.examples, strict=True)
    ]
    return result_of(
        job,
        prompts,
        scores=_accuracy(job, decisions),
        outputs=[
            Output(text=example.item.labels[decision.chosen], margin=decision.margin)
            for example, decision in zip(job.examples, decisions, strict=True)
        ],
    )


def _by_own_head(job: Job, workload: Classification) -> TaskResult:
    """Return what the model's classification head says."""
    model = classifier(job.loaded)
    if model is None:
        raise UsageError(
            f"workload {workload.name} names no labels, and the model has no classification head: "
            "give labels=[…] to ask a language model, or a checkpoint whose architecture ends in "
            "ForSequenceClassification"
        )
    places = [job.place(example) for example in job.examples]
    answers = [_answer(example.item, model.labels, job.place(example)) for example in job.examples]
    sequences = [tuple(model.encode(one.item.prompt, special=True)) for one in job.examples]
    for tokens, place in zip(sequences, places, strict=True):
        check_length(place, len(tokens), "the text", model)
    with named_errors(places):
        nats = model.classify(sequences, advance=job.advance_of(len(sequences)))
    decisions = [decide(row, answer) for row, answer in zip(nats.tolist(), answers, strict=True)]
    return TaskResult(
        scores=_accuracy(job, decisions),
        outputs=tuple(
            Output(text=model.labels[decision.chosen], margin=decision.margin)
            for decision in decisions
        ),
        tokens=sum(map(len, sequences)),
        first_token_ids=sequences[0],
        prompt_digests=tuple(tokens_digest([tokens]) for tokens in sequences),
        plan=model.plan,
    )


def _answer(item: LabelItem, labels: Sequence[str], place: str) -> int:
    """Return the index of an example's label among the model's."""
    if item.index is not None and item.index < len(labels):
        return item.index
    if item.index is None and labels.count(item.label) == 1:
        return labels.index(item.label)
    raise MeasurementError(
        f"{place}: label {item.label!r} is none of the model's; expected one of "
        f"{', '.join(labels)}, or an index from 0 to {len(labels) - 1}"
    )


def _accuracy(job: Job, decisions: Sequence[Decision]) -> dict[str, ExampleScores]:
    values = [float(decision.is_right) for decision in decisions]
    return {"accuracy": example_scores("accuracy", values, job.examples)}


def _question(workload: Classification, item: LabelItem, place: str) -> ChoiceQuestion:
    asked = workload.asked(item)
    words = [word for found in workload.words.values() for word in found]
    if not asked.is_chat:
        words = [workload.joined(asked.text, word).removeprefix(asked.text) for word in words]
    return ChoiceQuestion(asked=asked, choices=words, place=place)


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
