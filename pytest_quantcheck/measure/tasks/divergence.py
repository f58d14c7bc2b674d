"""Documents: how far the predictions of two models are apart, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.tokens import TokenShift
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.divergence import DocumentDivergence, rounded
from pytest_quantcheck.measure.tasks.common import named_errors
from pytest_quantcheck.measure.tasks.documents import windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.divergence import Predictions, TokenDivergences
    from pytest_quantcheck.measure.protocols import LoadedModel, ScoreRequest
    from pytest_quantcheck.measure.tasks.common import Job

_WORST = 3
"""Tokens of a document that are shown, at most."""
_CONTEXT = 12
"""Tokens shown before one."""


def predict_documents(job: Job) -> Predictions:
    """Return what a model predicts for every token of the documents.

    Raises
    ------
    UsageError
        The variant's backend cannot be asked.
    MeasurementError
        A document has no token, or does not fit into memory.
    """
    ask = getattr(job.loaded, "predictions", None)
    if ask is None:
        raise UsageError(
            f"workload {job.workload.name}: the predictions of this backend's models cannot be "
            "compared, so there is no divergence or agreement of tokens; state another limit, such "
            "as max_perplexity_ratio"
        )
    requests = [request for found in windows_of(job) for request in found]
    predictions: Predictions = ask(requests, advance=job.advance_of(len(requests)))
    return predictions


def compare_documents(
    job: Job, reference: Predictions, variant: Predictions
) -> tuple[DocumentDivergence, ...]:
    """Return how far two models are apart on each document.

    Parameters
    ----------
    job : Job
        Its model's tokens are shown.
    reference, variant : Predictions
        For all tokens of the documents.

    Raises
    ------
    UsageError
        The two predict over different vocabularies.
    MeasurementError
        Logits are not finite.
    """
    if reference.vocabulary != variant.vocabulary:
        raise UsageError(
            f"workload {job.workload.name}: the reference predicts {reference.vocabulary} tokens "
            f"and the variant {variant.vocabulary}, so their predictions cannot be compared; "
            "expected one vocabulary in both checkpoints"
        )
    windows = windows_of(job)
    owners = job.owners(windows)
    with named_errors(owners):
        compared = iter(reference.divergences(variant, advance=job.advance_of(len(owners))))
    return tuple(_document(job.loaded, found, [next(compared) for _ in found]) for found in windows)


def _document(
    loaded: LoadedModel, windows: Sequence[ScoreRequest], found: Sequence[TokenDivergences]
) -> DocumentDivergence:
    kl = rounded(np.concatenate([one.kl for one in found]))
    worst = np.argsort(-kl, kind="stable")[:_WORST]
    return DocumentDivergence(
        kl=kl,
        has_same_top=np.concatenate([one.reference_top == one.variant_top for one in found]),
        delta_p=np.concatenate([one.delta_p for one in found]),
        worst=tuple(_shift(loaded, windows, found, int(place)) for place in worst if kl[place]),
    )


def _shift(
    loaded: LoadedModel,
    windows: Sequence[ScoreRequest],
    found: Sequence[TokenDivergences],
    place: int,
) -> TokenShift:
    """Return what is shown of one token, counted over all windows of its document."""
    window, row = 0, place
    while row >= found[window].kl.size:
        row -= found[window].kl.size
        window += 1
    here, request = found[window], windows[window]
    target = request.first_target + row

    def text(token: int) -> str:
        return loaded.decode([token]) or f"<token {token}>"  # special ones have no text

    def number(values: NDArray[np.float64]) -> float:
        return float(values[row])

    return TokenShift(
        position=place,
        context=loaded.decode(request.tokens[max(0, target - _CONTEXT) : target]),
        text=text(request.tokens[target]),
        kl=float(rounded(here.kl[row : row + 1])[0]),
        delta_p=number(here.delta_p),
        reference_top=text(int(here.reference_top[row])),
        reference_p=number(here.reference_p),
        variant_top=text(int(here.variant_top[row])),
        variant_p=number(here.variant_p),
    )
