"""Text to calibrate on and text to test with, with nothing in both."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CALIBRATION_STEP = 4
"""One article in so many is calibrated on."""
_TITLE = re.compile(r"^ = [^=].*[^=] = *$", re.MULTILINE)


def articles(text: str) -> list[str]:
    """Return the articles of a WikiText file."""
    starts = [match.start() for match in _TITLE.finditer(text)]
    ends = [*starts[1:], len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def to_calibrate_on(texts: Sequence[str]) -> list[str]:
    """Return every fourth article."""
    return list(texts[CALIBRATION_STEP - 1 :: CALIBRATION_STEP])


def to_test_with(texts: Sequence[str]) -> list[str]:
    """Return the other articles."""
    return [text for position, text in enumerate(texts, 1) if position % CALIBRATION_STEP]


def sample_pieces(
    texts: Sequence[str],
    encode: Callable[[str], list[int]],
    *,
    samples: int,
    tokens: int,
    seed: int,
) -> list[list[int]]:
    """Return so many pieces of so many tokens, none of which overlap, by a seeded choice."""
    pieces = []
    for text in texts:
        ids = encode(text)
        pieces += [ids[end - tokens : end] for end in range(tokens, len(ids) + 1, tokens)]
    if len(pieces) < samples:
        raise SystemExit(
            f"the articles to calibrate on hold {len(pieces)} pieces of {tokens} tokens, not "
            f"{samples}: ask for fewer (--samples) or shorter ones (--tokens)"
        )
    return random.Random(seed).sample(pieces, samples)  # noqa: S311 - no secret
