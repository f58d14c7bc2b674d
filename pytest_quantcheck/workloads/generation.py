"""Generation: greedy output compared with the accepted answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.base import Workload, text
from pytest_quantcheck.workloads.example import GenerationItem

if TYPE_CHECKING:
    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.source import Row, Source

_DEFAULT_NEW_TOKENS = 64


def checked_new_tokens(max_new_tokens: int, name: str) -> int:
    """Return `max_new_tokens` if it is a positive whole number."""
    if type(max_new_tokens) is not int or max_new_tokens < 1:
        raise UsageError(
            f"max_new_tokens={max_new_tokens!r} of workload {name}: expected a whole number, at "
            "least 1"
        )
    return max_new_tokens


class Generation(Workload[GenerationItem]):
    """Prompts answered greedily; `exact_match` compares the stripped output with the answers.

    Parameters
    ----------
    source, name, max_examples
        As for every workload.
    max_new_tokens : int
        Longest output; generation ends earlier at the model's end-of-sequence token.

    Examples
    --------
    >>> Generation.from_examples(
    ...     [{"prompt": "2 + 2 =", "answer": ["4", "four"]}], name="sums", max_new_tokens=4
    ... )
    Generation('sums')
    """

    metrics: ClassVar[tuple[str, ...]] = ("exact_match",)
    item_fields: ClassVar[tuple[str, ...]] = ("prompt", "answer")

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        max_examples: int | None = None,
        max_new_tokens: int = _DEFAULT_NEW_TOKENS,
    ) -> None:
        super().__init__(source, name=name, max_examples=max_examples)
        self.max_new_tokens = checked_new_tokens(max_new_tokens, name)

    def item(self, row: Row) -> GenerationItem:
        """Return the item of one row, or raise MeasurementError with its place."""
        answer = row.fields.get("answer")
        answers = (answer,) if isinstance(answer, str) else answer
        if (
            not isinstance(answers, list | tuple)
            or not answers
            or not all(isinstance(one, str) and one.strip() for one in answers)
        ):
            raise MeasurementError(
                f"{row.place}: field 'answer': found {answer!r}, expected a non-empty string or a "
                "list of them"
            )
        return GenerationItem(
            prompt=text(row, "prompt"), answers=tuple(str(one) for one in answers)
        )

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores."""
        return {"max_new_tokens": self.max_new_tokens}
