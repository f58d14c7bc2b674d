"""What a test holds of a variant: enough to ask it, nothing that keeps it in memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, overload

import numpy as np

from pytest_quantcheck.measure.tasks.common import check_length, named_errors
from pytest_quantcheck.measure.tasks.documents import document_requests
from pytest_quantcheck.measure.tasks.generation import prompt_tokens
from pytest_quantcheck.measure.tasks.pairs import pair_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.pool import Pool
    from pytest_quantcheck.measure.protocols import ScoreRequest

_NEW_TOKENS = 64


class Handle:
    """A variant that is loaded when first used, and may be evicted between two uses.

    Parameters
    ----------
    variant : Variant
        Which one.
    pool : Pool
        Where it is loaded.
    """

    def __init__(self, variant: Variant, pool: Pool) -> None:
        self.variant = variant
        self._pool = pool

    def __repr__(self) -> str:
        """Return what it is and of which model, without loading it."""
        return f"<{self.variant.label} of {self._pool.source.model}>"

    @property
    def device(self) -> str:
        """Device as torch names it."""
        return self._pool.source.device

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights as stored at the declared precision."""
        return self._pool.weights(self.variant).stored_bytes

    @property
    def tokenizer(self) -> object:
        """The backend's tokenizer."""
        return self._pool.get(self.variant).tokenizer

    @property
    def model(self) -> object:
        """The backend's own model object.

        From then on the variant stays in memory until the session ends: what you hold cannot be
        evicted. On a CPU its unquantized tensors are float32.
        """
        return self._pool.pin(self.variant).model

    @overload
    def generate(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, prompts: str, max_new_tokens: int = ...
    ) -> str: ...

    @overload
    def generate(self, prompts: Sequence[str], max_new_tokens: int = ...) -> list[str]: ...

    def generate(
        self, prompts: str | Sequence[str], max_new_tokens: int = _NEW_TOKENS
    ) -> str | list[str]:
        """Return the greedy answer to one prompt, or to each of several.

        Parameters
        ----------
        prompts : str or sequence of str
            As the model should see them; no chat template is applied.
        max_new_tokens : int
            Longest answer; it ends earlier at the end-of-sequence token.

        Raises
        ------
        MeasurementError
            Prompt and answer are longer than the context, or the logits are not finite.
        """
        if isinstance(prompts, str):
            return self.generate([prompts], max_new_tokens)[0]
        loaded = self._pool.get(self.variant)
        places = [f"prompt {index}" for index in range(len(prompts))]
        tokens = [
            prompt_tokens(loaded, prompt, max_new_tokens, place=place)
            for prompt, place in zip(prompts, places, strict=True)
        ]
        with named_errors(places):
            found = loaded.generate(tokens, max_new_tokens)
        return [loaded.decode(answer) for answer in found]

    def loglikelihood(self, context: str, continuation: str) -> float:
        """Return the log-likelihood in nats of `continuation` after `context`.

        Raises
        ------
        MeasurementError
            Both are longer than the context, or the logits are not finite.
        """
        loaded = self._pool.get(self.variant)
        request = pair_request(loaded, context, continuation)
        check_length("loglikelihood", len(request.tokens) - 1, "context and continuation", loaded)
        return math.fsum(self._score([request], "loglikelihood").tolist())

    def perplexity(self, text: str) -> float:
        """Return exp(nats per token) of `text`, every token predicted once.

        Raises
        ------
        MeasurementError
            The text has no token, or the logits are not finite.
        """
        loaded = self._pool.get(self.variant)
        values = self._score(document_requests(loaded, text, place="perplexity"), "perplexity")
        return math.exp(-math.fsum(values.tolist()) / len(values))

    def _score(
        self, requests: list[ScoreRequest], place: str
    ) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        with named_errors([place] * len(requests)):
            scores = self._pool.get(self.variant).score(requests)
        return np.concatenate(scores)
