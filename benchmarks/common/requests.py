"""Synthetic workloads: what is asked, as both sides take it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from common.shapes import BOS

from pytest_quantcheck.measure.protocols import ScoreRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKLOADS = ("hellaswag", "mmlu", "documents")
WINDOW = 2048
"""Longest sequence, in tokens; documents are cut into windows of so many."""
QUESTIONS_A_SUBJECT = 25
LETTERS = (7, 8, 9, 10)
_FIRST_WORD = 16
"""Smaller tokens are letters and special ones."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Requests of one workload."""

    name: str
    items: tuple[tuple[tuple[list[int], list[int]], ...], ...]
    """For each question or document, (context, continuation) of each request."""
    documents: tuple[list[int], ...] = ()
    """Tokens of each document, where the requests are windows of documents."""

    @cached_property
    def pairs(self) -> list[tuple[list[int], list[int]]]:
        """All (context, continuation)."""
        return [pair for item in self.items for pair in item]

    @cached_property
    def requests(self) -> list[ScoreRequest]:
        """The same as our engine takes them."""
        return [
            ScoreRequest(tokens=(*context, *continuation), first_target=len(context))
            for context, continuation in self.pairs
        ]

    @cached_property
    def tokens(self) -> int:
        """Inputs of all requests one by one: the last token of each is never an input."""
        return sum(len(one.tokens) - 1 for one in self.requests)

    def first(self, items: int) -> Work:
        """Return the same workload with fewer items."""
        return Work(name=self.name, items=self.items[:items], documents=self.documents[:items])

    @cached_property
    def tree(self) -> tuple[int, int]:
        """Inputs that differ, shared prefixes counted once; and tokens that they attend to."""
        seen: dict[tuple[int, int], int] = {}
        attended = 0
        for request in self.requests:
            node = -1
            for depth, token in enumerate(request.tokens[:-1], 1):
                key = (node, token)
                if key not in seen:
                    seen[key] = len(seen)
                    attended += depth
                node = seen[key]
        return len(seen), attended


def make_work(name: str, count: int, vocabulary: int, window: int = WINDOW) -> Work:
    """Return a workload of so many items; the same one for the same arguments."""
    rng = np.random.default_rng(0)

    def tokens(mean: float, spread: float, low: int, high: int) -> list[int]:
        length = int(np.clip(rng.lognormal(mean, spread), low, high))
        return rng.integers(_FIRST_WORD, vocabulary, size=length).tolist()  # type: ignore[no-any-return]

    if name == "documents":
        return _documents(count, tokens, window)
    make = {"hellaswag": _hellaswag, "mmlu": _mmlu}[name]
    return Work(name=name, items=make(count, tokens))


def _hellaswag(
    count: int, tokens: Callable[..., list[int]]
) -> tuple[tuple[tuple[list[int], list[int]], ...], ...]:
    """Return contexts of about 90 tokens, each with four endings of about 25."""
    found = []
    for _ in range(count):
        context = [BOS, *tokens(4.45, 0.35, 20, 300)]
        found.append(tuple((context, tokens(3.1, 0.45, 4, 80)) for _ in LETTERS))
    return tuple(found)


def _mmlu(
    count: int, tokens: Callable[..., list[int]]
) -> tuple[tuple[tuple[list[int], list[int]], ...], ...]:
    """Return questions of about 90 tokens after five solved ones of about 650, and a letter."""
    subjects = [
        [BOS, *tokens(6.4, 0.25, 300, 1200)] for _ in range(-(-count // QUESTIONS_A_SUBJECT))
    ]
    found = []
    for i in range(count):
        context = subjects[i % len(subjects)] + tokens(4.4, 0.5, 30, 400)
        found.append(tuple((context, [letter]) for letter in LETTERS))
    return tuple(found)


def _documents(count: int, tokens: Callable[..., list[int]], window: int) -> Work:
    """Return whole documents in windows, every token predicted once."""
    texts = tuple(tokens(6.6, 0.8, 100, 8000) for _ in range(count))
    return Work(
        name="documents",
        items=tuple(tuple(windows(text, BOS, window)) for text in texts),
        documents=texts,
    )


def windows(text: list[int], prefix: int, window: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield (context, continuation) as lm-evaluation-harness cuts a document.

    Every window but a short document's has so many inputs: a last one that predicts fewer tokens
    sees more of those before.
    """
    for start in range(0, len(text), window):
        end = min(start + window, len(text))
        yield text[max(end - window - 1, 0) : start] or [prefix], text[start:end]
