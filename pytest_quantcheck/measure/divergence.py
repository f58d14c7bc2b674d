"""How far the predictions of a variant are from the reference's, token by token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pytest_quantcheck.stats.scores import ExampleScores, pooled_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self

    from numpy.typing import NDArray

    from pytest_quantcheck.core.tokens import TokenShift
    from pytest_quantcheck.measure.measurement import MeasuredPair, Measurement
    from pytest_quantcheck.measure.protocols import Advance, ScoreRequest
    from pytest_quantcheck.store.codec import Content

_ROWS = "perplexity"
"""The metric whose rows these share: documents, or blocks of them."""
_DIGITS = 6
"""Significant digits kept of the divergence of one token."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenDivergences:
    """Two predictions of each scored token of one request, compared."""

    kl: NDArray[np.float64]
    """(r,) KL(reference || variant) in nats, 0 or more."""
    delta_p: NDArray[np.float64]
    """(r,) probability of the token that follows: variant minus reference."""
    reference_top: NDArray[np.int64]
    """(r,) token that the reference finds most probable."""
    variant_top: NDArray[np.int64]
    reference_p: NDArray[np.float64]
    """(r,) probability of `reference_top` under the reference."""
    variant_p: NDArray[np.float64]
    """(r,) probability of `variant_top` under the variant."""


class Predictions(Protocol):
    """What a model predicts for every scored token of some requests.

    Notes
    -----
    Kept in a form that is far smaller than logits; those of a model that has left memory can still
    be compared, unless `needs_model`.
    """

    @property
    def vocabulary(self) -> int:
        """Tokens that a prediction is spread over."""
        ...

    @property
    def needs_model(self) -> bool:
        """Whether they are made anew, by the model itself, when they are compared."""
        ...

    def kept(self) -> Content | None:
        """Return what a later run needs of them; None where that is the model itself."""
        ...

    def divergences(
        self, variant: Self, *, advance: Advance | None = None
    ) -> list[TokenDivergences]:
        """Return, per request, how a variant's predictions differ from these.

        Parameters
        ----------
        variant : Predictions
            For the same requests, over the same vocabulary.
        advance : callable, optional
            Called with the requests and the tokens compared so far.

        Raises
        ------
        NonFiniteLogitsError
            The logits behind a request are NaN or infinite.
        """
        ...


class Predicting(Protocol):
    """A variant in memory, as far as its predictions can be compared.

    Notes
    -----
    A backend of one's own may do without both: then budgets on predictions are errors.
    """

    def predictions(
        self, requests: Sequence[ScoreRequest], *, advance: Advance | None = None
    ) -> Predictions:
        """Return what the model predicts for each scored token, to be compared with another.

        Raises
        ------
        MeasurementError
            The states of one sequence do not fit into the memory of the device.
        """
        ...

    def revived_predictions(
        self, requests: Sequence[ScoreRequest], kept: Content
    ) -> Predictions | None:
        """Return another variant's predictions as kept; None where it has another head."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DocumentDivergence:
    """How far two models are apart on the tokens of one document."""

    kl: NDArray[np.float64]
    """(t,) nats, 0 or more; six digits."""
    has_same_top: NDArray[np.bool_]
    """(t,) whether both find the same token most probable."""
    delta_p: NDArray[np.float64]
    """(t,) probability of the token that follows: variant minus reference."""
    worst: tuple[TokenShift, ...]
    """The tokens of largest divergence, that first."""


def rounded(kl: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return divergences with as many digits as records keep of them."""
    return np.array([float(f"{value:.{_DIGITS}g}") for value in kl.tolist()])


def with_divergences(pair: MeasuredPair, found: Sequence[DocumentDivergence]) -> MeasuredPair:
    """Return a pair with the metrics of two predictions, the reference's own being ideal.

    Parameters
    ----------
    pair : MeasuredPair
        Of documents.
    found : sequence of DocumentDivergence
        (n,) one for each.
    """
    same = [
        DocumentDivergence(
            kl=np.zeros_like(one.kl),
            has_same_top=np.ones_like(one.has_same_top),
            delta_p=np.zeros_like(one.delta_p),
            worst=(),
        )
        for one in found
    ]
    is_identical = not any(one.kl.any() for one in found)
    return replace(
        pair,
        reference=_extended(pair.reference, same, is_identical=is_identical),
        variant=replace(
            _extended(pair.variant, found, is_identical=is_identical), divergences=tuple(found)
        ),
    )


def _extended(
    measured: Measurement, found: Sequence[DocumentDivergence], *, is_identical: bool
) -> Measurement:
    """Return a measurement with a row of each metric for each row of its perplexity."""
    rows = measured.scores[_ROWS]
    stops = np.cumsum(rows.weights).astype(np.int64)[:-1]
    kl = np.split(np.concatenate([one.kl for one in found]), stops)
    tops = np.split(np.concatenate([one.has_same_top for one in found]), stops)

    def scores(metric: str, of_row: Callable[[Any], float], values: list[Any]) -> ExampleScores:
        return replace(
            rows,
            metric=metric,
            values=np.array([of_row(one) for one in values], np.float64),
            is_identical=is_identical,
        )

    quantiles = scores("p99_kl", lambda one: pooled_quantile("p99_kl", [one]), kl)
    return replace(
        measured,
        scores={
            **measured.scores,
            "mean_kl": scores("mean_kl", np.sum, kl),
            "p99_kl": replace(quantiles, observations=tuple(kl)),
            "top1_agreement": scores("top1_agreement", np.count_nonzero, tops),
        },
    )
