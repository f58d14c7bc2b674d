"""Generation: outputs, scored by one rule or several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pytest_quantcheck.core.fingerprint import digest
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.base import label
from pytest_quantcheck.workloads.decoding import DecodingOptions, checked_decoding
from pytest_quantcheck.workloads.example import GenerationItem
from pytest_quantcheck.workloads.prompt import PromptOptions, refuse_unknown
from pytest_quantcheck.workloads.prompted import Prompted, packed_turns
from pytest_quantcheck.workloads.scorers import Case
from pytest_quantcheck.workloads.scoring import ScoringOptions, checked_scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias, Unpack

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.example import Example
    from pytest_quantcheck.workloads.scorers import Given
    from pytest_quantcheck.workloads.source import Row, Source

    Run: TypeAlias = Callable[[Any, Given], str]
    """Gets a handle, and the example as it stands in the data."""

_OptionsT = TypeVar("_OptionsT", PromptOptions, ScoringOptions, DecodingOptions)
FAULTS = ("empty", "truncated", "loop", "length_drift", "degenerate")
"""Metrics of every output, better when lower, after those of the scorers."""
_ANSWER = "a non-empty string or a list of them"


class GenerationOptions(PromptOptions, ScoringOptions, DecodingOptions, total=False):
    """Keyword options of `Generation` that its constructor passes on."""

    run: Run | None
    """Makes an output itself: `run(handle, example) -> str`."""
    version: str | None
    """Stands for all callables; changed whenever one of them may give something else."""


class Generation(Prompted[GenerationItem]):
    """Prompts answered, greedily or sampled, and scored.

    Parameters
    ----------
    source, name, max_examples
        As for every workload.
    max_new_tokens : int
        Longest output, 64 by default; it ends earlier at the model's end-of-sequence token.
    stop : str or sequence of str, optional
        Strings that end an output as soon as it contains one, and are cut off with what follows.
        What stands in the prompt does not count.
    temperature, top_p, top_k : float, float, int, optional
        Sampling, applied in the order temperature, top-k, top-p; greedy without a temperature.
    samples : int
        Outputs of each prompt, under the ids `id#1`, `id#2`, …; the prompt is their cluster.
    seed : int
        Of sampling. Outputs depend on it and the example's id alone; reference and variant are
        sampled with the same random numbers.
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
    judge : callable, optional
        `judge(example, reference_output, variant_output)` gives the metric `score`: a pair of
        scores within `bounds`, of reference and variant; or one number, the variant's, where the
        reference's output is taken as right and gets the highest. It is asked once for each
        example and variant. With a judge there is no scorer by default.
    run : callable, optional
        `run(handle, example)` returns the output itself, in as many steps as it needs; one example
        at a time, which is slow. No option of prompts or decoding goes with it.
    version : str, optional
        Of all callables together, to be changed whenever one of them may give something else: with
        it, the reference's scores are kept between runs.
    chat, system, chat_template_kwargs, template, few_shot, shots, truncate
        How the prompt becomes what the model is asked: see `Prompted`. Few-shot examples show
        their first answer, whole; in plain text a space stands between prompt and answer, unless
        one of them brings white space.

    Notes
    -----
    Besides the metrics of its scorers it has `empty`, `truncated`, `loop`, `length_drift` and
    `degenerate`, which are better when lower.

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
        **options: Unpack[GenerationOptions],
    ) -> None:
        refuse_unknown(options, GenerationOptions, f"workload {name}")
        super().__init__(
            source,
            name=name,
            max_examples=max_examples,
            **_part(options, PromptOptions),
        )
        self.decoding = checked_decoding(_part(options, DecodingOptions), f"workload {name}")
        self.output_scoring = checked_scoring(_part(options, ScoringOptions), name)
        self.run = _checked_run(options, name)
        self.version = self._checked_version(options.get("version"))
        faults = (fault for fault in FAULTS if not (self.run and fault == "truncated"))
        self.metrics = (*self.output_scoring.metrics, *faults)
        self._given: dict[str, Given] = {}

    @property
    def has_digest(self) -> bool:
        """Whether the fingerprint says all; not of callables, which may differ under one."""
        return not self._callables

    @property
    def _callables(self) -> tuple[object, ...]:
        return (*self.output_scoring.callables, *([self.run] if self.run else []))

    def claim(self, examples: Sequence[Example[GenerationItem]]) -> str | None:
        """Return what stands for callables: their version, names and what they are given."""
        if self.has_digest:
            return ""
        if self.version is None:
            return None
        names: list[Plain] = [
            getattr(one, "__qualname__", type(one).__qualname__) for one in self._callables
        ]
        given: list[Any] = [self.case(example).given for example in examples]
        try:
            return digest([self.version, self.name, names, given])
        except (TypeError, ValueError):  # examples that are no plain data
            return None

    def examples(
        self, *, max_examples: int | None = None, seed: int = 0
    ) -> tuple[Example[GenerationItem], ...]:
        """Return the examples, each as often as it is sampled; `max_examples` counts prompts."""
        prompts = super().examples(max_examples=max_examples, seed=seed)
        if self.decoding.samples == 1:
            return prompts
        return tuple(
            replace(
                prompt,
                id=f"{prompt.id}#{number}",
                cluster=prompt.cluster or f"samples of {prompt.id}",
            )
            for prompt in prompts
            for number in range(1, self.decoding.samples + 1)
        )

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
            raise row.refusal("answer", _ANSWER)
        return answers[0]

    def case(self, example: Example[GenerationItem]) -> Case:
        """Return what scorers judge an output to this example by."""
        return Case(
            place=f"example {example.id} of {self.name}",
            answers=tuple(answer.strip() for answer in example.item.answers),
            given=self._given[self._prompt_id(example)],
        )

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores."""
        own = {"decoding": self.decoding.plain(), **self.output_scoring.plain()}
        return super().scoring() | own

    def _checked_version(self, version: object) -> str | None:
        if version is None or (isinstance(version, str) and version):
            if version is not None and self.has_digest:
                raise UsageError(
                    f"workload {self.name}: version={version!r} stands for callables, and there "
                    "is none; leave it out"
                )
            return version
        raise UsageError(
            f"workload {self.name}: version={version!r}: expected a string, such as '1'"
        )

    def _prompt_id(self, example: Example[GenerationItem]) -> str:
        is_sampled = self.decoding.samples > 1
        return example.id.rpartition("#")[0] if is_sampled else example.id

    def _as_given(self, row: Row) -> Given:
        return row.fields

    def _answers(self, row: Row) -> tuple[str, ...]:
        answers = _accepted(row)
        if answers:
            return self.output_scoring.accepted(answers, row.place)
        if self.output_scoring.needs_answer:
            raise row.refusal("answer", _ANSWER)
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


def _checked_run(options: GenerationOptions, name: str) -> Run | None:
    run = options.get("run")
    if run is None:
        return None
    if not callable(run):
        raise UsageError(f"workload {name}: run={run!r}: expected a callable run(handle, example)")
    for option in (*PromptOptions.__annotations__, *DecodingOptions.__annotations__):
        if option in options:
            raise UsageError(
                f"workload {name}: {option}= has no effect with run=, which asks the handle itself;"
                " leave one out"
            )
    return run


def _part(options: GenerationOptions, kind: type[_OptionsT]) -> _OptionsT:
    """Return those of `options` that `kind` names."""
    names = kind.__annotations__
    return {name: one for name, one in options.items() if name in names}  # type: ignore[return-value]  # by their names
