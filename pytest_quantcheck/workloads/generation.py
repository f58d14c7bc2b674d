"""Generation: greedy outputs, scored by one rule or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.base import label
from pytest_quantcheck.workloads.example import GenerationItem
from pytest_quantcheck.workloads.prompt import PromptOptions
from pytest_quantcheck.workloads.prompted import Prompted, packed_turns
from pytest_quantcheck.workloads.scorers import Case
from pytest_quantcheck.workloads.scoring import ScoringOptions, checked_scoring, refuse_unknown

if TYPE_CHECKING:
    from typing import Unpack

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.example import Example
    from pytest_quantcheck.workloads.scorers import Given
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


class GenerationOptions(PromptOptions, ScoringOptions, total=False):
    """Keyword options of `Generation` that its constructor passes on."""


class Generation(Prompted[GenerationItem]):
    """Prompts answered greedily, and scored.

    Parameters
    ----------
    source, name, max_examples
        As for every workload.
    max_new_tokens : int
        Longest output; generation ends earlier at the model's end-of-sequence token.
    score : scorer, callable, or a list of them
        `exact_match()` by default, `contains()`, `regex(pattern)`, `json_valid(schema)`, or a
        callable `score(output, example) -> float` that gets the example as it stands in the data.
        Each gives a metric of its own: `exact_match`, `contains`, `regex_match`, `json_valid`,
        `score`; the first is the one in tables.
    extract : str, re.Pattern or callable, optional
        Takes the final answer out of an output before it is scored. Of a regular expression the
        last match counts: its group `answer`, else its first group, else the whole match. A
        callable gets the output and returns a string, or None. Where nothing is found, the output
        gets the lowest score.
    extract_answer : str, re.Pattern or callable, optional
        The same for the accepted answers, in each of which it must find something.
    bounds : pair of float, or None
        Lowest and highest score of a callable, (0, 1) by default; None if there are none.
    chat, system, chat_template_kwargs, template, few_shot, shots, truncate
        How the prompt becomes what the model is asked: see `Prompted`. Few-shot examples show
        their first answer, whole; in plain text a space stands between prompt and answer, unless
        one of them brings white space.

    Examples
    --------
    >>> Generation.from_examples(
    ...     [{"prompt": "2 + 2 =", "answer": ["4", "four"]}], name="sums", max_new_tokens=4
    ... )
    Generation('sums')
    >>> Generation.from_examples(
    ...     [{"prompt": "2 + 2?", "answer": "4"}],
    ...     name="sums",
    ...     chat=True,
    ...     system="Answer with the number alone.",
    ...     few_shot=[{"prompt": "1 + 1?", "answer": "2"}],
    ... )
    Generation('sums')
    """

    metrics: tuple[str, ...]  # type: ignore[misc]  # of each workload its own
    item_fields: ClassVar[tuple[str, ...]] = ("prompt", "messages", "tools", "answer")
    prompt_field: ClassVar[str] = "prompt"

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        max_examples: int | None = None,
        max_new_tokens: int = _DEFAULT_NEW_TOKENS,
        **options: Unpack[GenerationOptions],
    ) -> None:
        refuse_unknown(options, GenerationOptions.__annotations__, name)
        prompting, scoring = _split(options)
        super().__init__(source, name=name, max_examples=max_examples, **prompting)
        self.max_new_tokens = checked_new_tokens(max_new_tokens, name)
        self.output_scoring = checked_scoring(scoring, name)
        self.metrics = self.output_scoring.metrics
        self._given: dict[str, Given] = {}

    @property
    def has_digest(self) -> bool:
        """Whether the fingerprint says all; not of callables, which may differ under one."""
        return self.output_scoring.has_digest

    def item(self, row: Row) -> GenerationItem:
        """Return the item of one row, or raise MeasurementError with its place."""
        self._given[label(row, "id") or str(row.number)] = self._as_given(row)
        question = self.question(row)
        return GenerationItem(
            prompt=question.prompt, answers=self._answers(row), turns=packed_turns(question)
        )

    def solution(self, row: Row) -> str:
        """Return the first accepted answer, whole."""
        answers = _accepted(row)
        if not answers:
            raise _no_answer(row)
        return answers[0]

    def case(self, example: Example[GenerationItem]) -> Case:
        """Return what scorers judge an output to this example by."""
        return Case(
            place=f"example {example.id} of {self.name}",
            answers=tuple(answer.strip() for answer in example.item.answers),
            given=self._given[example.id],
        )

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores."""
        own = {"max_new_tokens": self.max_new_tokens, **self.output_scoring.plain()}
        return super().scoring() | own

    def _as_given(self, row: Row) -> Given:
        return row.fields

    def _answers(self, row: Row) -> tuple[str, ...]:
        answers = _accepted(row)
        if answers:
            return self.output_scoring.accepted(answers, row.place)
        if self.output_scoring.needs_answer:
            raise _no_answer(row)
        return ()


def _accepted(row: Row) -> tuple[str, ...]:
    """Return the accepted answers of a row; none where there are no proper ones."""
    answer = row.fields.get("answer")
    answers = (answer,) if isinstance(answer, str) else answer
    if isinstance(answers, list | tuple) and all(
        isinstance(one, str) and one.strip() for one in answers
    ):
        return tuple(str(one) for one in answers)
    return ()


def _no_answer(row: Row) -> MeasurementError:
    return MeasurementError(
        f"{row.place}: field 'answer': found {row.fields.get('answer')!r}, expected a non-empty "
        "string or a list of them"
    )


def _split(options: GenerationOptions) -> tuple[PromptOptions, ScoringOptions]:
    """Return the options for prompts, and those for scores."""
    prompting = {
        name: one for name, one in options.items() if name in PromptOptions.__annotations__
    }
    scoring = {name: one for name, one in options.items() if name not in prompting}
    return prompting, scoring  # type: ignore[return-value]  # by their names
