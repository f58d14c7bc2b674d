"""HellaSwag and WikiText-2 as requests of a real tokenizer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from common.requests import WINDOW, Work, windows

if TYPE_CHECKING:
    from pathlib import Path

_TITLE = re.compile(r"^ = [^=].*[^=] = *$", re.MULTILINE)


def choices(file: Path, tokenizer: Any, limit: int) -> Work:  # noqa: ANN401 - no common type
    """Return every n-th item of a file of `context choices`, so that there are `limit` of them.

    Context and choice are tokenized together, and cut where the context alone ends.
    """
    items = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = []
    for item in items[:: max(1, len(items) // limit)][:limit]:
        context = tokenizer(item["context"])["input_ids"]
        wholes = [tokenizer(item["context"] + choice)["input_ids"] for choice in item["choices"]]
        found.append(tuple((whole[: len(context)], whole[len(context) :]) for whole in wholes))
    return Work(name=file.stem, items=tuple(found))


def articles(file: Path, tokenizer: Any, limit: int) -> Work:  # noqa: ANN401 - no common type
    """Return the first `limit` windows of the articles of a WikiText file, one a request."""
    text = file.read_text(encoding="utf-8")
    starts = [match.start() for match in _TITLE.finditer(text)]
    found: list[tuple[list[int], list[int]]] = []
    prefix = tokenizer.bos_token_id or tokenizer.eos_token_id
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        if len(found) >= limit:
            break
        tokens = tokenizer(text[start:end], add_special_tokens=False)["input_ids"]
        found.extend(windows(tokens, prefix, WINDOW))
    return Work(name="wikitext", items=tuple((pair,) for pair in found[:limit]))
