"""What a test holds of a variant: enough to ask it, nothing that keeps it in memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, overload

import numpy as np

from pytest_quantcheck.measure.tasks.common import check_length, named_errors
from pytest_quantcheck.measure.tasks.documents import document_requests
from pytest_quantcheck.measure.tasks.pairs import pair_request
from pytest_quantcheck.measure.tasks.prompts import prompt_tokens
from pytest_quantcheck.workloads.asked import ask_directly
from pytest_quantcheck.workloads.decoding import checked_decoding
from pytest_quantcheck.workloads.messages import is_conversation
from pytest_quantcheck.workloads.prompt import ChatOptions, checked_prompting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias, Unpack

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.pool import Pool
    from pytest_quantcheck.measure.protocols import ScoreRequest
    from pytest_quantcheck.workloads.messages import Message

    Conversation: TypeAlias = Sequence[Message]

_NEW_TOKENS = 64


class _AnswerOptions(ChatOptions, total=False):
    """Every keyword option of `Handle.generate`, for the error that names them."""

    max_new_tokens: int
    stop: str | Sequence[str]


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
        self,
        prompts: str | Conversation,
        max_new_tokens: int = ...,
        *,
        stop: str | Sequence[str] = ...,
        **chat: Unpack[ChatOptions],
    ) -> str: ...

    @overload
    def generate(
        self,
        prompts: Sequence[str | Conversation],
        max_new_tokens: int = ...,
        *,
        stop: str | Sequence[str] = ...,
        **chat: Unpack[ChatOptions],
    ) -> list[str]: ...

    def generate(
        self,
        prompts: str | Conversation | Sequence[str | Conversation],
        max_new_tokens: int = _NEW_TOKENS,
        *,
        stop: str | Sequence[str] = (),
        **chat: Unpack[ChatOptions],
    ) -> str | list[str]:
        """Return the greedy answer to one prompt, or to each of several.

        Parameters
        ----------
        prompts : str, conversation, or sequence of them
            A conversation is a list of mappings with `role` and `content`, and is written by the
            model's chat template. Strings are given as they stand, unless `chat=True`.
        max_new_tokens : int
            Longest answer; it ends earlier at the end-of-sequence token or a stop string.
        stop : str or sequence of str
            Strings that end an answer, which is cut before them.
        **chat
            `chat=True` makes each string a user turn; with it, `system` is the system turn, and
            `chat_template_kwargs` what else the chat template takes.

        Raises
        ------
        UsageError
            The model has no chat template that could write a conversation, or an argument is
            wrong.
        MeasurementError
            Prompt and answer are longer than the context, a conversation is wrong, or the logits
            are not finite.
        """
        is_single = isinstance(prompts, str) or is_conversation(prompts)
        several: Sequence[str | Conversation] = [prompts] if is_single else prompts  # type: ignore[list-item,assignment]  # just looked
        recipe = checked_prompting(chat, "generate", kind=_AnswerOptions)
        decoding = checked_decoding({"max_new_tokens": max_new_tokens, "stop": stop}, "generate")
        loaded = self._pool.get(self.variant)
        places = [f"prompt {index}" for index in range(len(several))]
        tokens = [
            prompt_tokens(
                loaded, ask_directly(prompt, recipe, place=place), max_new_tokens, place=place
            ).tokens
            for prompt, place in zip(several, places, strict=True)
        ]
        with named_errors(places):
            found = loaded.generate(tokens, decoding)
        answers = [answer.text for answer in found]
        return answers[0] if is_single else answers

    def loglikelihood(self, context: str, continuation: str) -> float:
        """Return the log-likelihood in nats of `continuation` after `context`.

        Raises
        ------
        MeasurementError
            Both are longer than the context, or the logits are not finite.
        """
        loaded = self._pool.get(self.variant)
        request = pair_request(loaded, context, continuation)
        check_length("loglikelihood", len(request.inputs), "context and continuation", loaded)
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
