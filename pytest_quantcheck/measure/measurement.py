"""What measuring one variant on one workload gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.example import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a variant answered to one example."""

    text: str
    """The chosen choice, the generated text, or the first 200 characters of a document."""
    margin: float | None
    """Nats. Choice: log-likelihood of the right choice minus the best other; document: negative
    log-likelihood a token; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What a task makes of its workload."""

    scores: Mapping[str, ExampleScores]
    """By metric."""
    outputs: tuple[Output, ...]
    """(n,) one for each example."""
    tokens: int
    """Tokens scored or generated."""
    first_token_ids: tuple[int, ...]
    """What the model was given for the first example."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """Per-example scores of one variant on one workload, and what they are scores of."""

    variant: Variant
    workload_name: str
    kind: str
    """Class of the workload: `MultipleChoice`."""
    fingerprint: str
    """Digest of the examples and of how they are scored."""
    examples: tuple[Example[Any], ...]
    scores: Mapping[str, ExampleScores]
    """By metric."""
    outputs: tuple[Output, ...]
    """One for each of `examples`, in their order."""
    tokens: int
    """Tokens scored or generated."""
    seconds: float
    """Wall-clock time without loading."""
    compute_dtype: str
    """What the arithmetic was done in: `float16`."""
    first_token_ids: tuple[int, ...]
    """What the model was given for the first example."""
