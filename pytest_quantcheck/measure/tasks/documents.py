"""Documents: the negative log-likelihood of every token, each predicted once."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.measurement import Output, TaskResult
from pytest_quantcheck.measure.tasks.common import cluster_codes, named_errors
from pytest_quantcheck.measure.tasks.prompts import tokens_digest
from pytest_quantcheck.measure.tasks.windows import window_requests
from pytest_quantcheck.stats.scores import ExampleScores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
_WHITESPACE = re.compile(r"\s+")


def measure_documents(job: Job) -> TaskResult:
    r"""Score every token of every document once.

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
    Words are counted as lm-evaluation-harness does, `len(re.split(r"\s+", text))`: whitespace
    around a text parts an empty one from it.
    """
    windows = windows_of(job)
    per_document = _token_losses(job, windows)
    texts = [example.item.text for example in job.examples]
    counts = {
        "perplexity": [len(losses) for losses in per_document],
        "word_perplexity": [len(_WHITESPACE.split(text)) for text in texts],
        "byte_perplexity": [len(text.encode(errors="surrogatepass")) for text in texts],
    }
    return TaskResult(
        scores=_scores(job, per_document, counts),
        outputs=tuple(
            Output(text=text[:_EXCERPT], margin=float(losses.mean()))
            for text, losses in zip(texts, per_document, strict=True)
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


def _scores(
    job: Job, per_document: Sequence[NDArray[np.float64]], counts: Mapping[str, Sequence[int]]
) -> dict[str, ExampleScores]:
    """Return the same nats over the units of each metric.

    Parameters
    ----------
    job : Job
        Of (n,) documents.
    per_document : sequence of (t,) float64
        (n,) nats of each token.
    counts : mapping
        For each metric (n,) units in a document; a block has its share of them.
    """
    is_cut = len(job.examples) < _FEWEST_DOCUMENTS and not job.is_part
    parts = _blocks(per_document) if is_cut else [[losses] for losses in per_document]
    ids = tuple(
        f"{example.id}#{number}" if is_cut else example.id
        for example, own in zip(job.examples, parts, strict=True)
        for number in range(1, len(own) + 1)
    )
    values = np.array([math.fsum(part) for own in parts for part in own])
    clusters = None if is_cut else cluster_codes(job.examples)
    return {
        metric: ExampleScores(
            metric=metric,
            ids=ids,
            values=values,
            weights=np.array(
                [
                    count * len(part) / sum(map(len, own))
                    for count, own in zip(found, parts, strict=True)
                    for part in own
                ]
            ),
            clusters=clusters,
        )
        for metric, found in counts.items()
    }


def _blocks(per_document: Sequence[NDArray[np.float64]]) -> list[list[NDArray[np.float64]]]:
    """Return each document in blocks of consecutive tokens, long enough to be independent."""
    total = sum(len(losses) for losses in per_document)
    size = max(_SHORTEST_BLOCK, math.ceil(_BLOCK_FACTOR * total ** (1 / 3)))
    return [np.array_split(losses, max(1, len(losses) // size)) for losses in per_document]
