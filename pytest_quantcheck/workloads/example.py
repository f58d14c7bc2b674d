"""One example of a workload, and what each kind of workload keeps in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.fingerprint import Plain


COPIES = "same as "
"""Begins the cluster of examples with equal content that name none; the first one's id follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceItem:
    """A context and its possible continuations, one of them right."""

    context: str
    choices: tuple[str, ...]
    answer: int
    """Index of the right choice."""
    turns: str = ""
    """Messages and tools of a row that holds a conversation, as JSON; `context` shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationItem:
    """A prompt and the outputs that count as right."""

    prompt: str
    answers: tuple[str, ...]
    """Accepted outputs; empty where a scorer of the user's own decides."""
    turns: str = ""
    """Messages and tools of a row that holds a conversation, as JSON; `prompt` shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelItem:
    """A text and its label."""

    prompt: str
    label: str
    labels: tuple[str, ...] = ()
    """All labels there are; empty where they are the model's own."""
    index: int | None = None
    """Place of the label among the model's own, where the data gives no name."""
    turns: str = ""
    """Messages and tools of a row that holds a conversation, as JSON; `prompt` shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentItem:
    """A text of which every token is predicted once."""

    text: str


ItemT_co = TypeVar("ItemT_co", ChoiceItem, GenerationItem, LabelItem, DocumentItem, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Generic[ItemT_co]):
    """One item with its identity."""

    id: str
    item: ItemT_co
    cluster: str | None = None
    """Examples of one cluster belong together: they are not independent."""
    slice: str | None = None
    """A label to report by."""
    extra: Mapping[str, Plain] = field(default_factory=dict)
    """Fields of the data that quantcheck does not read, kept for the report."""
