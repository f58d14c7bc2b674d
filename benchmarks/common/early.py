"""MMLU-like questions with early stopping: both models, part by part, until a verdict."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_quantcheck.core.batches import parts_of, shuffled
from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.sequential.schedule import batch_ends
from pytest_quantcheck.stats.sequential.trial import Plan, Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.requests import Work
    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.causal import CausalModel

_LIMIT = parse_limit("max_accuracy_drop", 0.03)
_LEVELS = levels(0.05, 20)
_NOISE_NATS = 0.5
"""Between the answers of both models and what counts as right."""


def stop_early(
    reference: CausalModel, variant: CausalModel, work: Work, seconds_of_harness: float | None
) -> dict[str, Any]:
    """Return what one verdict costs with all questions and with early stopping.

    Parameters
    ----------
    reference, variant : CausalModel
        Both in memory.
    work : Work
        Questions of one-token choices.
    seconds_of_harness : float, optional
        What lm-evaluation-harness would take for all questions on both models.

    Notes
    -----
    Random weights know no right answers. What counts as right here is what both models together
    favour, with noise, so that neither is better.
    """
    started = time.perf_counter()
    nats = [_score(one, work, range(len(work.items))) for one in (reference, variant)]
    whole_scoring = time.perf_counter() - started
    right = _right_answers(nats)
    correct = [(one.argmax(axis=1) == right).astype(float) for one in nats]
    started = time.perf_counter()
    everything = judge(
        _LIMIT, _scores(correct[0]), variant=_scores(correct[1]), levels=_LEVELS
    ).outcome
    whole_seconds = whole_scoring + time.perf_counter() - started
    started = time.perf_counter()
    taken, outcome = _until_decided((reference, variant), work, right)
    seconds = time.perf_counter() - started
    found = {
        "questions": len(work.items),
        "taken": taken,
        "outcome": outcome,
        "outcome_of_all": everything.name,
        "accuracy": [float(one.mean()) for one in correct],
        "flips": float((correct[0] != correct[1]).mean()),
        "whole_seconds": whole_seconds,
        "whole_scoring_seconds": whole_scoring,
        "seconds": seconds,
    }
    if seconds_of_harness:
        found |= {
            "harness_seconds": seconds_of_harness,
            "whole_ratio": seconds_of_harness / whole_seconds,
            "ratio": seconds_of_harness / seconds,
        }
    return found


def _until_decided(
    models: tuple[CausalModel, CausalModel], work: Work, right: NDArray[np.int64]
) -> tuple[int, str]:
    """Return how many questions were asked, and what was decided."""
    n = len(work.items)
    clusters = shuffled([f"id q{i}" for i in range(n)], seed=0)
    ends = batch_ends([1] * n, [METRICS["accuracy"]])
    trial = Trial(_LIMIT, plan=Plan(n=n, n_clusters=None, largest_cluster=1), levels=_LEVELS)
    asked = 0
    for part in parts_of(clusters, ends):
        places = part.places
        asked += len(places)
        correct = [
            dict(
                zip(
                    places,
                    _score(one, work, places).argmax(axis=1) == right[[*places]],
                    strict=True,
                )
            )
            for one in models
        ]
        for batch in part.batches:
            sides = [_scores(np.array([one[i] for i in batch], float), batch) for one in correct]
            if trial.update(*sides):
                break
        if trial.outcome is not None:
            break
    return asked, trial.outcome.name if trial.outcome else "OPEN"


def _score(model: CausalModel, work: Work, places: Sequence[int]) -> NDArray[np.float64]:
    """Return (question, choice) nats."""
    chosen = type(work)(name=work.name, items=tuple(work.items[i] for i in places))
    values = model.score(chosen.requests)
    return np.array([float(one.sum()) for one in values]).reshape(len(places), -1)


def _right_answers(nats: list[NDArray[np.float64]]) -> NDArray[np.int64]:
    noise = np.random.default_rng(0).gumbel(scale=_NOISE_NATS, size=nats[0].shape)
    answers: NDArray[np.int64] = (nats[0] + nats[1] + noise).argmax(axis=1)
    return answers


def _scores(values: NDArray[np.float64], places: Sequence[int] | None = None) -> ExampleScores:
    ids = tuple(f"q{i}" for i in (range(len(values)) if places is None else places))
    return ExampleScores(metric="accuracy", ids=ids, values=values, weights=np.ones(len(values)))
