"""Conversations as the model's own chat template writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.errors import MeasurementError, UsageError, first_line
from pytest_quantcheck.workloads.messages import SYSTEM_ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantcheck.workloads.messages import Message


def render_chat(
    tokenizer: Any,  # noqa: ANN401 - tokenizers share no base class
    messages: Sequence[Message],
    *,
    tools: Sequence[Message],
    options: Mapping[str, Any],
) -> str:
    """Return a conversation as text, up to where the assistant begins.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Whose chat template is used.
    messages, tools : sequence of mapping
        Turns, and definitions of tools.
    options : mapping
        What else the template takes.

    Raises
    ------
    UsageError
        There is no chat template, or it has no place for the system turn, the tools or an option.
    MeasurementError
        The template refuses the conversation, or leaves its last turn out.
    """
    _check_template(tokenizer, tools, options)
    try:
        text = _apply(tokenizer, messages, tools, options)
    except Exception as error:
        _explain_system(tokenizer, messages, tools, options, error)
        raise MeasurementError(
            f"the model's chat template refuses this conversation ({first_line(error)}); expected "
            f"turns it knows, found {', '.join(str(one['role']) for one in messages)}"
        ) from error
    _check_content(text, messages)
    if tools and text == _apply(tokenizer, messages, (), options):
        raise UsageError(
            "the model's chat template has no place for tools and leaves them out: choose a model "
            "that was trained with tools, or describe them in the prompt"
        )
    return text


def _check_template(tokenizer: Any, tools: Sequence[Message], options: Mapping[str, Any]) -> None:  # noqa: ANN401
    if not getattr(tokenizer, "chat_template", None):
        raise UsageError(
            "the model has no chat template, so it cannot be asked as a chat: expected "
            "chat_template.jinja, or chat_template in tokenizer_config.json, as instruction-tuned "
            "models have; give such a model, or write the prompt with template= and without chat"
        )
    source = tokenizer.get_chat_template(tools=list(tools) or None)
    for name in options:
        if not re.search(rf"\b{re.escape(name)}\b", source):
            raise UsageError(
                f"chat_template_kwargs: the model's chat template does not know {name!r} and would "
                "ignore it; leave it out, or look for its name in chat_template.jinja"
            )


def _apply(
    tokenizer: Any,  # noqa: ANN401
    messages: Sequence[Message],
    tools: Sequence[Message],
    options: Mapping[str, Any],
) -> str:
    return str(
        tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tools=[dict(tool) for tool in tools] or None,
            tokenize=False,
            add_generation_prompt=True,
            **options,
        )
    )


def _explain_system(
    tokenizer: Any,  # noqa: ANN401
    messages: Sequence[Message],
    tools: Sequence[Message],
    options: Mapping[str, Any],
    error: Exception,
) -> None:
    """Raise a UsageError if it is the system turn that the template refuses."""
    others = [message for message in messages if message["role"] not in SYSTEM_ROLES]
    if len(others) == len(messages):
        return
    try:
        _apply(tokenizer, others, tools, options)
    except Exception:  # noqa: BLE001 - then it is not the system turn alone
        return
    raise UsageError(
        f"the model's chat template takes no system turn ({first_line(error)}): leave system= "
        "out, or put its text into the user's turn with template="
    ) from error


def _check_content(text: str, messages: Sequence[Message]) -> None:
    """Check that what counts most got into the text: templates may drop turns silently."""
    for message in messages:
        if message["role"] in SYSTEM_ROLES and _content(message) not in text:
            raise UsageError(
                "the model's chat template knows no system turn and leaves it out: leave system= "
                "out, or put its text into the user's turn with template="
            )
    if _content(messages[-1]) not in text:
        raise MeasurementError(
            f"the model's chat template leaves out the last turn, of role "
            f"{messages[-1]['role']!r}; expected a role that it knows"
        )


def _content(message: Message) -> str:
    return str(message.get("content") or "").strip()
