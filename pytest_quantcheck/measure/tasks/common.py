"""What every task needs: named errors, checked lengths, clusters, progress by example."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.protocols import RequestError
from pytest_quantcheck.stats.scores import ExampleScores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.handle import Handle
    from pytest_quantcheck.measure.protocols import (
        Advance,
        LoadedClassifier,
        LoadedModel,
        ScoreRequest,
    )
    from pytest_quantcheck.workloads.base import Workload
    from pytest_quantcheck.workloads.example import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A workload's examples and the loaded variant to measure on."""

    loaded: LoadedModel
    workload: Workload[Any]
    examples: tuple[Example[Any], ...]
    handle: Handle | None = None
    """The same variant as a test holds it, for a callable that drives it itself."""
    advance: Advance | None = None
    """Called with the examples and the tokens finished so far."""
    is_part: bool = False
    """Whether the workload has more examples than these."""

    def place(self, example: Example[Any]) -> str:
        """Return how errors name an example."""
        return f"example {example.id} of {self.workload.name}"

    def owners(self, requests: Sequence[Sequence[ScoreRequest]]) -> list[str]:
        """Return how errors name the example of each request, from those of every example."""
        pairs = zip(self.examples, requests, strict=True)
        return [self.place(example) for example, own in pairs for _ in own]

    def advance_of(self, requests: int) -> Advance | None:
        """Return what counts requests, of which `requests` are all, as examples."""
        report = self.advance
        if report is None:
            return None
        examples = len(self.examples)
        return lambda done, tokens: report(done * examples // requests, tokens)


def classifier(loaded: LoadedModel) -> LoadedClassifier | None:
    """Return a model that chooses among labels of its own; None if it is a language model."""
    return cast("LoadedClassifier", loaded) if getattr(loaded, "labels", ()) else None


@contextmanager
def named_errors(owners: Sequence[str]) -> Iterator[None]:
    """Say which example broke, and raise UsageError where the variant is the wrong one.

    Parameters
    ----------
    owners : sequence of str
        For each request, how errors name its example.
    """
    try:
        yield
    except RequestError as error:
        kind = UsageError if error.is_configuration else MeasurementError
        raise kind(f"{owners[error.request]}: {error}") from error


def check_length(
    place: str,
    needed: int,
    what: str,
    loaded: LoadedModel,
    *,
    advice: str = "shorten the example or leave it out",
) -> None:
    """Check that a sequence fits into the model's context.

    Raises
    ------
    MeasurementError
        It does not: cutting it would score something else.
    """
    if needed > loaded.context_tokens:
        raise MeasurementError(
            f"{place}: {what} take {format_count(needed)} tokens, and the model's context holds "
            f"{format_count(loaded.context_tokens)}; {advice}: nothing is truncated silently"
        )


def example_scores(
    metric: str,
    values: Sequence[float],
    examples: Sequence[Example[Any]],
    *,
    bounds: tuple[float, float] | None = None,
) -> ExampleScores:
    """Return scores with one row for each example, each of weight 1."""
    return ExampleScores(
        metric=metric,
        ids=tuple(example.id for example in examples),
        values=np.array(values, np.float64),
        weights=np.ones(len(examples)),
        clusters=cluster_codes(examples),
        bounds=bounds,
    )


def cluster_codes(examples: Sequence[Example[Any]]) -> NDArray[np.int64] | None:
    """Return a code for each example's cluster, in order of appearance.

    Returns
    -------
    (n,) int64 or None
        None if no example names a cluster; an example without one among others is alone in its
        own.
    """
    if all(example.cluster is None for example in examples):
        return None
    codes: dict[tuple[bool, str], int] = {}
    keys = [
        (example.cluster is None, example.id if example.cluster is None else example.cluster)
        for example in examples
    ]
    return np.array([codes.setdefault(key, len(codes)) for key in keys], np.int64)
