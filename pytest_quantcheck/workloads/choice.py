"""Multiple choice: the continuation with the highest log-likelihood is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.workloads.base import Workload, text
from pytest_quantcheck.workloads.example import ChoiceItem

if TYPE_CHECKING:
    from pytest_quantcheck.workloads.source import Row

_FEWEST_CHOICES = 2


class MultipleChoice(Workload[ChoiceItem]):
    """Examples with a context and choices, scored by the log-likelihood of each choice.

    `accuracy` counts the choice with the largest log-likelihood, `accuracy_norm` the one with
    the largest log-likelihood per character (as `acc` and `acc_norm` of lm-evaluation-harness).
    Context and choice are joined as they stand: a choice that should follow a space begins with
    one.

    Examples
    --------
    >>> MultipleChoice.from_examples(
    ...     [{"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0}], name="sums"
    ... )
    MultipleChoice('sums')
    """

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "accuracy_norm")
    item_fields: ClassVar[tuple[str, ...]] = ("context", "choices", "answer")

    def item(self, row: Row) -> ChoiceItem:
        """Return the item of one row, or raise MeasurementError with its place."""
        choices = row.fields.get("choices")
        if (
            not isinstance(choices, list | tuple)
            or len(choices) < _FEWEST_CHOICES
            or not all(isinstance(choice, str) and choice for choice in choices)
        ):
            raise MeasurementError(
                f"{row.place}: field 'choices': found {choices!r}, expected a list of at least "
                "two non-empty strings"
            )
        strings = tuple(str(choice) for choice in choices)
        if len(set(strings)) < len(strings):
            raise MeasurementError(f"{row.place}: field 'choices': the same choice stands twice")
        return ChoiceItem(
            context=text(row, "context"), choices=strings, answer=_answer(row, strings)
        )


def _answer(row: Row, choices: tuple[str, ...]) -> int:
    answer = row.fields.get("answer")
    if isinstance(answer, str):
        stripped = [choice.strip() for choice in choices]
        if stripped.count(answer.strip()) == 1:
            return stripped.index(answer.strip())
    elif type(answer) is int and 0 <= answer < len(choices):
        return answer
    raise MeasurementError(
        f"{row.place}: field 'answer': found {answer!r}, expected an index from 0 to "
        f"{len(choices) - 1} or one of the choices"
    )
