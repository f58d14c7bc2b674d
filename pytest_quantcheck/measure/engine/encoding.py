"""Text to tokens and back, with exactly one BOS and never an EOS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_quantcheck.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROBE = "a"


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

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the token ids; with `special`, after what the tokenizer puts before a text."""
        ids = self._ids(text)
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


def _learn_prefix(whole: list[int], bare: list[int], tokenizer: Any) -> list[int]:  # noqa: ANN401
    """Return what stands before `bare` in `whole`; without `bare`, a leading BOS."""
    if not bare:
        return [token for token in whole[:1] if token == tokenizer.bos_token_id]
    starts = (i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[: next(starts, 0)]
