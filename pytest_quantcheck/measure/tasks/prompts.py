"""From what is asked to tokens: rendered, with one BOS, and cut only where that is allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.fingerprint import digest
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.tasks.common import check_length
from pytest_quantcheck.measure.tasks.pairs import pair_request, pair_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.measure.protocols import LoadedModel, ScoreRequest
    from pytest_quantcheck.workloads.asked import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The tokens of what is asked."""

    tokens: tuple[int, ...]
    is_cut: bool
    """Its oldest part is missing, as `truncate="left"` allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceQuestion:
    """What is asked for one example, with its choices."""

    asked: Asked
    choices: Sequence[str]
    place: str
    """How errors name the example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePrompt:
    """What is asked with each of its choices."""

    requests: tuple[ScoreRequest, ...]
    """(k,) one for each choice."""
    is_cut: bool

    @property
    def scored_tokens(self) -> int:
        """Tokens whose log-likelihood is taken."""
        return sum(len(request.targets) for request in self.requests)


def prompt_tokens(loaded: LoadedModel, asked: Asked, max_new_tokens: int, *, place: str) -> Prompt:
    """Return the tokens of a prompt that leaves room for its answer.

    Raises
    ------
    UsageError
        The model has no chat template that could write it.
    MeasurementError
        Prompt and answer together are longer than the context, or the chat template refuses it.
    """
    room = loaded.context_tokens - max_new_tokens
    kept, is_cut = asked, False
    while True:
        tokens = loaded.encode(rendered(loaded, kept, place=place), special=True)
        shorter = _shorter(kept) if len(tokens) > room else None
        if shorter is None:
            break
        kept, is_cut = shorter, True
    excess = len(tokens) - room
    start = _prefix_length(loaded)
    if excess > 0 and _may_cut_tokens(asked) and start + excess < len(tokens):
        tokens, is_cut = [*tokens[:start], *tokens[start + excess :]], True
    tokens = tokens or [loaded.prefix_token]
    check_length(
        place,
        len(tokens) + max_new_tokens,
        f"a prompt of {format_count(len(tokens))} tokens and max_new_tokens={max_new_tokens}",
        loaded,
        advice="shorten the prompt, lower max_new_tokens, or leave the example out",
    )
    return Prompt(tokens=tuple(tokens), is_cut=is_cut)


def choice_prompts(loaded: LoadedModel, questions: Sequence[ChoiceQuestion]) -> list[ChoicePrompt]:
    """Return, for each question, the requests that score each choice after the same prompt.

    Raises
    ------
    UsageError
        The model has no chat template that could write it.
    MeasurementError
        Prompt and choice together are longer than the context, or the chat template refuses it.
    """
    texts = [rendered(loaded, one.asked, place=one.place) for one in questions]
    loaded.read_ahead(
        tokenized
        for one, text in zip(questions, texts, strict=True)
        for choice in one.choices
        for tokenized in pair_texts(text, choice, is_exact=one.asked.is_chat)
    )
    return [_choice_prompt(loaded, one, text) for one, text in zip(questions, texts, strict=True)]


def _choice_prompt(loaded: LoadedModel, question: ChoiceQuestion, text: str) -> ChoicePrompt:
    """Return the requests of one question, whose prompt is rendered as `text`."""
    asked, place = question.asked, question.place
    kept, is_cut = asked, False
    while True:
        requests = _comparable(
            [pair_request(loaded, text, one, is_exact=asked.is_chat) for one in question.choices]
        )
        longest = max(len(request.inputs) for request in requests)
        shorter = _shorter(kept) if longest > loaded.context_tokens else None
        if shorter is None:
            break
        kept, is_cut = shorter, True
        text = rendered(loaded, kept, place=place)
    excess = longest - loaded.context_tokens
    start = _prefix_length(loaded)
    if (
        excess > 0
        and _may_cut_tokens(asked)
        and all(start + excess < request.first_target for request in requests)
    ):
        requests, is_cut = [_cut(request, start, excess) for request in requests], True
        longest -= excess
    check_length(place, longest, "context and choice", loaded)
    return ChoicePrompt(requests=tuple(requests), is_cut=is_cut)


def rendered(loaded: LoadedModel, asked: Asked, *, place: str) -> str:
    """Return what is asked as one text, a chat as the model's own template writes it.

    Raises
    ------
    UsageError
        The model has no chat template that could write it.
    MeasurementError
        The chat template refuses it.
    """
    if not asked.is_chat:
        return asked.text
    try:
        return loaded.render_chat(
            asked.messages, tools=asked.tools, options=asked.chat_template_kwargs
        )
    except (UsageError, MeasurementError) as error:
        raise type(error)(f"{place}: {error}") from error


def tokens_digest(sequences: Iterable[Sequence[int]]) -> str:
    """Return the digest of the token ids that a model is given for one example."""
    return digest([list(tokens) for tokens in sequences])


def _comparable(requests: list[ScoreRequest]) -> list[ScoreRequest]:
    """Return requests that are all scored from the same place on.

    Where the prompt's last characters are part of a choice's first token, that token is scored
    whole, and so are the same characters before every other choice.
    """
    first = min(request.first_target for request in requests)
    if all(request.first_target == first for request in requests):
        return requests
    if len({request.tokens[:first] for request in requests}) > 1:
        return requests
    return [replace(request, first_target=first) for request in requests]


def _shorter(asked: Asked) -> Asked | None:
    """Return a chat without its oldest exchange, where that is allowed and possible."""
    return asked.without_oldest() if asked.truncate == "left" else None


def _may_cut_tokens(asked: Asked) -> bool:
    return asked.truncate == "left" and not asked.is_chat


def _prefix_length(loaded: LoadedModel) -> int:
    """Return how many tokens, such as the BOS, stand before any text."""
    return len(loaded.encode("", special=True))


def _cut(request: ScoreRequest, start: int, excess: int) -> ScoreRequest:
    """Return a request without the `excess` tokens from `start` on."""
    return replace(
        request,
        tokens=request.tokens[:start] + request.tokens[start + excess :],
        first_target=request.first_target - excess,
    )
