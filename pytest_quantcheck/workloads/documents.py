"""Documents: perplexity, every token predicted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.base import Workload, text
from pytest_quantcheck.workloads.example import DocumentItem

if TYPE_CHECKING:
    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.source import Row, Source

_SHORTEST_WINDOW = 2


class Documents(Workload[DocumentItem]):
    """Texts whose every token is predicted once, in windows of the model's context.

    `perplexity` is exp(total nats / total tokens) over all documents; `word_perplexity` and
    `byte_perplexity` divide by the words and bytes of their texts, as lm-evaluation-harness has
    them: words are what whitespace parts, bytes those of UTF-8. Windows are disjoint in what they
    predict; the last one of a document reaches back so that it is full (as
    `loglikelihood_rolling` of lm-evaluation-harness). Where a budget asks, the predictions of
    variant and reference are compared: `mean_kl` is the mean over tokens of KL(reference ||
    variant) in nats, `p99_kl` its 99th percentile, `top1_agreement` the share of tokens at which
    both find the same token most probable.

    Parameters
    ----------
    source, name, max_examples
        As for every workload.
    window : int, optional
        Tokens a window holds; the model's context by default, and never more.

    Examples
    --------
    >>> Documents.from_examples([{"text": "To return a parcel, print the label."}], name="manual")
    Documents('manual')
    """

    metrics: ClassVar[tuple[str, ...]] = (
        "perplexity",
        "word_perplexity",
        "byte_perplexity",
        "mean_kl",
        "p99_kl",
        "top1_agreement",
    )
    item_fields: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        max_examples: int | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__(source, name=name, max_examples=max_examples)
        if window is not None and (type(window) is not int or window < _SHORTEST_WINDOW):
            raise UsageError(
                f"window={window!r} of workload {name}: expected a whole number of tokens, at "
                f"least {_SHORTEST_WINDOW}"
            )
        self.window = window

    def item(self, row: Row) -> DocumentItem:
        """Return the item of one row, or raise MeasurementError with its place."""
        return DocumentItem(text=text(row, "text"))

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores."""
        return {"window": self.window}
