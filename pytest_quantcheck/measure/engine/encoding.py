"""Text to tokens and back, with exactly one BOS and never an EOS."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PROBE = "a"
_MOST_KEPT = 2**24
"""Tokens of texts read ahead: 64 MiB, and as much again for the texts."""
_CHARACTERS_AT_ONCE = 2**22
"""Tokenizers return some 100 bytes a token."""


class Encoder:
    """A tokenizer whose special tokens are known.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Any that returns `input_ids`.

    Notes
    -----
    What the tokenizer puts before a text is learned from a probe and put there by us, so that a
    text that brings its own BOS gets no second one, and nothing is ever appended.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - tokenizers share no base class
        self.tokenizer = tokenizer
        self._known = {"": array("I", self._ids(""))}
        self._n_known = 0
        self._prefix = _learn_prefix(self._ids(_PROBE, special=True), self._ids(_PROBE), tokenizer)

    @property
    def prefix_token(self) -> int:
        """Token that stands before a document: BOS, or EOS where there is none.

        Raises
        ------
        MeasurementError
            The tokenizer has neither.
        """
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise MeasurementError(
            "the tokenizer has neither a BOS nor an EOS token: nothing can stand before the first "
            "token of a document; set bos_token in its tokenizer_config.json"
        )

    def read_ahead(self, texts: Iterable[str]) -> None:
        """Tokenize texts that will be asked for, on all cores, and remember them.

        Notes
        -----
        Variants of one checkpoint are asked the same: each text is tokenized once for all of them.
        """
        unknown = [text for text in dict.fromkeys(texts) if text not in self._known]
        for some in _in_parts(unknown):
            found = self.tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"]
            for text, ids in zip(some, found, strict=True):
                self._known[text] = array("I", ids)
                self._n_known += len(ids)
        while self._n_known > _MOST_KEPT:
            self._n_known -= len(self._known.pop(next(iter(self._known))))

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the token ids; with `special`, after what the tokenizer puts before a text."""
        known = self._known.get(text)
        ids = self._ids(text) if known is None else known.tolist()
        if not special or ids[: len(self._prefix)] == self._prefix:
            return ids
        return self._prefix + ids

    def encode_whole(self, text: str) -> list[int]:
        """Return the token ids with all that the tokenizer puts around a text."""
        return self._ids(text, special=True)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text without special tokens."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _ids(self, text: str, *, special: bool = False) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])


def _in_parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield texts in order, so many at once that what is made of them stays small."""
    part: list[str] = []
    size = 0
    for text in texts:
        if part and size + len(text) > _CHARACTERS_AT_ONCE:
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text)
    if part:
        yield part


def _learn_prefix(whole: list[int], bare: list[int], tokenizer: Any) -> list[int]:  # noqa: ANN401
    """Return what stands before `bare` in `whole`; without `bare`, a leading BOS."""
    if not bare:
        return [token for token in whole[:1] if token == tokenizer.bos_token_id]
    starts = (i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[: next(starts, 0)]
