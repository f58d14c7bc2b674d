"""Multiple choice: the continuation with the highest log-likelihood is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.workloads.example import ChoiceItem
from pytest_quantcheck.workloads.prompted import Prompted, packed_turns

if TYPE_CHECKING:
    from pytest_quantcheck.workloads.asked import Question
    from pytest_quantcheck.workloads.source import Row

_FEWEST_CHOICES = 2


class MultipleChoice(Prompted[ChoiceItem]):
    """Examples with a context and choices, scored by the log-likelihood of each choice.

    `accuracy` counts the choice with the largest log-likelihood, `accuracy_norm` the one with
    the largest log-likelihood per character (as `acc` and `acc_norm` of lm-evaluation-harness).
    Context and choice are joined as they stand: a choice that should follow a space begins with
    one. In a chat the choices are what the assistant says, from the first character of its turn.

    Parameters
    ----------
    source, name, max_examples
        As for every workload.
    chat, system, chat_template_kwargs, template, few_shot, shots, truncate
        How the context becomes what the model is asked: see `Prompted`. Few-shot examples show
        their right choice.

    Examples
    --------
    >>> MultipleChoice.from_examples(
    ...     [{"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0}], name="sums"
    ... )
    MultipleChoice('sums')
    >>> MultipleChoice.from_examples(
    ...     [{"question": "2 + 2?", "choices": ["4", "5"], "answer": "4"}],
    ...     name="sums",
    ...     chat=True,
    ...     system="Answer with the number alone.",
    ...     template="Question: {question}",
    ... )
    MultipleChoice('sums')
    """

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "accuracy_norm")
    item_fields: ClassVar[tuple[str, ...]] = ("context", "messages", "tools", "choices", "answer")
    prompt_field: ClassVar[str] = "context"

    def item(self, row: Row) -> ChoiceItem:
        """Return the item of one row, or raise MeasurementError with its place."""
        question, choices = self.question(row), _choices(row)
        return ChoiceItem(
            context=question.prompt,
            choices=choices,
            answer=_answer(row, choices),
            turns=packed_turns(question),
        )

    def solution(self, row: Row) -> str:
        """Return the right choice."""
        choices = _choices(row)
        return choices[_answer(row, choices)]

    def joined(self, prompt: str, answer: str) -> str:
        """Return context and choice as they stand."""
        return prompt + answer

    def _key(self, row: Row, question: Question) -> tuple[object, ...]:
        return (*super()._key(row, question), _choices(row))


def _choices(row: Row) -> tuple[str, ...]:
    choices = row.fields.get("choices")
    if (
        not isinstance(choices, list | tuple)
        or len(choices) < _FEWEST_CHOICES
        or not all(isinstance(choice, str) and choice for choice in choices)
    ):
        raise row.refusal("choices", "a list of at least two non-empty strings")
    strings = tuple(str(choice) for choice in choices)
    if len(set(strings)) < len(strings):
        raise MeasurementError(f"{row.place}: field 'choices': the same choice stands twice")
    return strings


def _answer(row: Row, choices: tuple[str, ...]) -> int:
    answer = row.fields.get("answer")
    if isinstance(answer, str):
        stripped = [choice.strip() for choice in choices]
        if stripped.count(answer.strip()) == 1:
            return stripped.index(answer.strip())
    elif type(answer) is int and 0 <= answer < len(choices):
        return answer
    raise row.refusal("answer", f"an index from 0 to {len(choices) - 1} or one of the choices")
