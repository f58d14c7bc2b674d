"""Classification: the label whose words are the likeliest answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.example import LabelItem
from pytest_quantcheck.workloads.prompted import Prompted, packed_turns

if TYPE_CHECKING:
    from typing import Unpack

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.asked import Question
    from pytest_quantcheck.workloads.prompt import PromptOptions
    from pytest_quantcheck.workloads.source import Row, Source

Labels: TypeAlias = "Sequence[str] | Mapping[str, str | Sequence[str]]"

_FEWEST_LABELS = 2


class Classification(Prompted[LabelItem]):
    r"""Texts to label, by the words of each label or by the model's own classification head.

    With `labels`, a causal language model is asked, and the label whose words have the largest
    log-likelihood is the answer. Without, the model must be one for sequence classification, and
    the labels are its own (`id2label`).

    `accuracy` is the share of texts labelled right. Macro F1 is not offered: it is no mean over
    examples, so the tests that decide budgets do not hold for it; put a budget on each `slice`.

    Parameters
    ----------
    source, name, max_examples
        As for every workload.
    labels : sequence of str, or mapping of str to str or sequence of str, optional
        The labels, or for each label its word, or the words that all stand for it; their
        probabilities are then added up. In plain text a space stands between prompt and word,
        unless one of them brings white space; in a chat the words are what the assistant says.
        Word probabilities are not calibrated by their priors.
    chat, system, chat_template_kwargs, template, few_shot, shots, truncate
        How the text becomes what the model is asked: see `Prompted`. Few-shot examples show the
        first word of their label. Without `labels` only `template` has a meaning.

    Examples
    --------
    >>> Classification.from_examples(
    ...     [{"text": "Where is my parcel?", "label": "shipping"}],
    ...     name="tickets",
    ...     labels={"shipping": "delivery", "billing": ["invoice", "payment"]},
    ...     template="Ticket: {text}\nTopic:",
    ... )
    Classification('tickets')
    """

    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    item_fields: ClassVar[tuple[str, ...]] = ("text", "messages", "tools", "label")
    prompt_field: ClassVar[str] = "text"

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        max_examples: int | None = None,
        labels: Labels | None = None,
        **options: Unpack[PromptOptions],
    ) -> None:
        super().__init__(source, name=name, max_examples=max_examples, **options)
        self.words = {} if labels is None else _checked_labels(labels, name)
        """The words of each label; empty where the labels are the model's own."""
        if labels is None:
            _check_own_head(options, name)

    def item(self, row: Row) -> LabelItem:
        """Return the item of one row, or raise MeasurementError with its place."""
        question = self.question(row)
        if not self.words:
            return _own_label(question, row)
        return LabelItem(
            prompt=question.prompt,
            label=self._label(row),
            labels=tuple(self.words),
            turns=packed_turns(question),
        )

    def solution(self, row: Row) -> str:
        """Return the first word of the label."""
        return self.words[self._label(row)][0]

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores."""
        words: list[Plain] = [[label, [*words]] for label, words in self.words.items()]
        return super().scoring() | {"labels": words}

    def _label(self, row: Row) -> str:
        found, labels = row.fields.get("label"), tuple(self.words)
        if type(found) is int and 0 <= found < len(labels):
            return labels[found]
        if isinstance(found, str) and found.strip() in labels:
            return found.strip()
        known = f"one of {', '.join(labels)}, or an index from 0 to {len(labels) - 1}"
        raise row.refusal("label", known)


def _checked_labels(labels: object, name: str) -> dict[str, tuple[str, ...]]:
    """Return the words of each label."""
    shown = f"workload {name}: labels={labels!r}"
    if isinstance(labels, Mapping):
        pairs = list(labels.items())
    elif isinstance(labels, Sequence) and not isinstance(labels, str):
        pairs = [(label, label) for label in labels]
    else:
        raise UsageError(f"{shown}: expected a list of labels, or a mapping of labels to words")
    words = {
        label: (given,) if isinstance(given, str) else tuple(given)
        for label, given in pairs
        if _is_word(label) and isinstance(given, str | list | tuple)
    }
    everything = [word for found in words.values() for word in found]
    if len(words) < len(pairs) or not all(words.values()) or not all(map(_is_word, everything)):
        raise UsageError(
            f"{shown}: expected different non-empty strings, each with a word or a list of words"
        )
    if len(words) < _FEWEST_LABELS:
        raise UsageError(f"{shown}: expected at least two labels")
    if len({word.strip() for word in everything}) < len(everything):
        raise UsageError(f"{shown}: the same word stands twice, so that no answer could tell apart")
    return words


def _check_own_head(options: Mapping[str, object], name: str) -> None:
    """Refuse options that only a language model has a use for."""
    for option, value in options.items():
        if option != "template" and value:
            raise UsageError(
                f"workload {name}: {option}={value!r} needs labels=, so that a language model is "
                "asked; a classification head only reads the text"
            )


def _own_label(question: Question, row: Row) -> LabelItem:
    if question.messages:
        raise MeasurementError(
            f"{row.place}: found field 'messages', and a classification head reads a text; "
            "expected the field 'text', or labels= to ask a language model"
        )
    found = row.fields.get("label")
    if type(found) is int and found >= 0:
        return LabelItem(prompt=question.prompt, label=str(found), index=found)
    if isinstance(found, str) and found.strip():
        return LabelItem(prompt=question.prompt, label=found.strip())
    raise row.refusal("label", "the name of one of the model's labels, or its index from 0 on")


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
