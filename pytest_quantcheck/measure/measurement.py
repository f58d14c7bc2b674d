"""What measuring one variant on one workload gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.fingerprint import digest
from pytest_quantcheck.core.quantity import format_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.divergence import DocumentDivergence
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.example import Example

_SUBSTANTIAL = 0.05
"""Share of the outputs from which on a warning is worth its line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a variant answered to one example."""

    text: str
    """The chosen choice, the generated text, or the first 200 characters of a document."""
    margin: float | None
    """Nats. Choice: log-likelihood of the right choice minus the best other; document: negative
    log-likelihood a token; None where there is none."""
    n_tokens: int | None = None
    """Tokens generated; None where nothing was."""
    tokens: tuple[int, ...] = ()
    """Those tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Something about outputs that the reader should know where it is frequent."""

    text: str
    """A sentence with `{count}` and `{n}`."""
    is_found: tuple[bool, ...]
    """(n,) for each example."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskResult:
    """What a task makes of its examples."""

    scores: Mapping[str, ExampleScores]
    """By metric."""
    outputs: tuple[Output, ...]
    """(n,) one for each example."""
    tokens: int
    """Tokens scored or generated."""
    first_token_ids: tuple[int, ...]
    """What the model was given for the first example."""
    prompt_digests: tuple[str, ...] = ()
    """(n,) of the token ids the model was given for each example; none where it saw no tokens."""
    is_cut: tuple[bool, ...] = ()
    """(n,) whether a prompt lost its oldest part, as `truncate="left"` allows; none where none
    could."""
    doubts: tuple[Doubt, ...] = ()
    plan: str = ""
    """How sequences were scored or outputs generated; empty where a callable did it."""

    @property
    def cut_prompts(self) -> int:
        """Number of examples whose prompt lost its oldest part."""
        return sum(self.is_cut)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the reader should know of the outputs, without workload and variant."""
        n = len(self.outputs)
        counts = [(doubt.text, sum(doubt.is_found)) for doubt in self.doubts]
        return tuple(
            text.format(count=format_count(count), n=format_count(n))
            for text, count in counts
            if count and count >= _SUBSTANTIAL * n
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement(TaskResult):
    """Per-example scores of one variant on one workload, and what they are scores of."""

    variant: Variant
    workload_name: str
    kind: str
    """Class of the workload: `MultipleChoice`."""
    fingerprint: str
    """Digest of all examples of the workload and of how they are scored."""
    examples: tuple[Example[Any], ...]
    """(n,) those measured, in the order of the workload."""
    n_planned: int
    """Examples of the workload in all."""
    seconds: float
    """Wall-clock time without loading."""
    compute_dtype: str
    """What the arithmetic was done in: `float16`."""
    pack_limit: int | None = None
    """Most sequences that memory let the model forward together; None where it set none."""
    measured_at: str = ""
    """UTC, ISO 8601."""
    is_stored: tuple[bool, ...] = ()
    """(n,) whether an earlier run measured an example; none where nobody asked."""
    divergences: tuple[DocumentDivergence, ...] = ()
    """(n,) of a variant's documents against the reference; none where no budget asks."""

    @property
    def n_stored(self) -> int:
        """Number of examples that an earlier run measured."""
        return sum(self.is_stored)

    @property
    def prompt_fingerprint(self) -> str:
        """Digest of the token ids of every prompt; empty where the model saw no tokens."""
        return digest([*self.prompt_digests]) if self.prompt_digests else ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredPair:
    """Reference and variant on one workload, measured in the same packs."""

    reference: Measurement
    variant: Measurement
