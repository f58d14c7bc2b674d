"""Documents: the negative log-likelihood of every token, each predicted once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.measurement import Output, TaskResult
from pytest_quantcheck.measure.tasks.common import cluster_codes, named_errors
from pytest_quantcheck.measure.tasks.prompts import tokens_digest
from pytest_quantcheck.measure.tasks.windows import window_requests
from pytest_quantcheck.stats.scores import ExampleScores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.protocols import LoadedModel, ScoreRequest
    from pytest_quantcheck.measure.tasks.common import Job
    from pytest_quantcheck.workloads.documents import Documents
    from pytest_quantcheck.workloads.example import Example

_FEWEST_DOCUMENTS = 5
"""With fewer, documents are cut into blocks: so few clusters show nothing."""
_SHORTEST_BLOCK = 256
_BLOCK_FACTOR = 3
_EXCERPT = 200


def measure_documents(job: Job) -> TaskResult:
    """Score every token of every document once.

    Parameters
    ----------
    job : Job
        A `Documents` workload.

    Raises
    ------
    MeasurementError
        A document has no token, or its logits are not finite.

    Notes
    -----
    A row is a document; with fewer than 5 documents it is a block of consecutive tokens, long
    enough that blocks are nearly independent: 256 tokens, or 3·T^(1/3) of T tokens in all.
    Blocks of one document differ in length by at most a token. Values are summed in float64.
    """
    windows = windows_of(job)
    per_document = _token_losses(job, windows)
    fewer = len(job.examples) < _FEWEST_DOCUMENTS and not job.is_part
    return TaskResult(
        scores={"perplexity": _blocks(job, per_document) if fewer else _rows(job, per_document)},
        outputs=tuple(
            Output(text=example.item.text[:_EXCERPT], margin=float(losses.mean()))
            for example, losses in zip(job.examples, per_document, strict=True)
        ),
        tokens=sum(len(losses) for losses in per_document),
        first_token_ids=windows[0][0].tokens,
        prompt_digests=tuple(
            tokens_digest([request.tokens for request in found]) for found in windows
        ),
        plan=job.loaded.plan,
    )


def windows_of(job: Job) -> list[list[ScoreRequest]]:
    """Return the windows of each document of a job.

    Raises
    ------
    MeasurementError
        A document has no token.
    """
    job.loaded.read_ahead(example.item.text for example in job.examples)
    return [_requests(job, example) for example in job.examples]


def document_requests(
    loaded: LoadedModel, text: str, *, place: str, window: int | None = None
) -> list[ScoreRequest]:
    """Return the windows of one text.

    Parameters
    ----------
    loaded : LoadedModel
        Whose tokens they are.
    text : str
        The document.
    place : str
        How errors name it.
    window : int, optional
        Most tokens seen at once; the model's context by default, and never more.

    Raises
    ------
    MeasurementError
        The text has no token.
    """
    tokens = loaded.encode(text, special=False)
    prefix = loaded.prefix_token
    if tokens[:1] == [prefix]:
        tokens = tokens[1:]
    if not tokens:
        raise MeasurementError(
            f"{place}: its text has no token to predict; leave it out or check the tokenizer"
        )
    longest = min(window or loaded.context_tokens, loaded.context_tokens)
    return list(window_requests(tokens, prefix, longest))


def _requests(job: Job, example: Example[Any]) -> list[ScoreRequest]:
    window = cast("Documents", job.workload).window
    return document_requests(job.loaded, example.item.text, place=job.place(example), window=window)


def _token_losses(job: Job, windows: Sequence[Sequence[ScoreRequest]]) -> list[NDArray[np.float64]]:
    """Return the negative log-likelihood of each token, in nats, per document."""
    requests = [request for found in windows for request in found]
    with named_errors(job.owners(windows)):
        scores = iter(job.loaded.score(requests, advance=job.advance_of(len(requests))))
    return [-np.concatenate([next(scores) for _ in found]).astype(np.float64) for found in windows]


def _rows(job: Job, per_document: Sequence[NDArray[np.float64]]) -> ExampleScores:
    return ExampleScores(
        metric="perplexity",
        ids=tuple(example.id for example in job.examples),
        values=np.array([math.fsum(losses) for losses in per_document]),
        weights=np.array([float(len(losses)) for losses in per_document]),
        clusters=cluster_codes(job.examples),
    )


def _blocks(job: Job, per_document: Sequence[NDArray[np.float64]]) -> ExampleScores:
    total = sum(len(losses) for losses in per_document)
    size = max(_SHORTEST_BLOCK, math.ceil(_BLOCK_FACTOR * total ** (1 / 3)))
    ids: list[str] = []
    blocks: list[NDArray[np.float64]] = []
    for example, losses in zip(job.examples, per_document, strict=True):
        parts = np.array_split(losses, max(1, len(losses) // size))
        ids.extend(f"{example.id}#{number}" for number in range(1, len(parts) + 1))
        blocks.extend(parts)
    return ExampleScores(
        metric="perplexity",
        ids=tuple(ids),
        values=np.array([math.fsum(block) for block in blocks]),
        weights=np.array([float(len(block)) for block in blocks]),
    )
