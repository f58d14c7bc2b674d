"""Messages: the turns of a chat as a row holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_quantcheck.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence

Message: TypeAlias = "Mapping[str, Any]"
"""`role` and `content`, and what else the chat template knows, such as `tool_calls`."""

SYSTEM_ROLES = frozenset({"system", "developer"})


def is_conversation(value: object) -> bool:
    """Return whether `value` is a list of turns, and not one of prompts."""
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def checked_messages(value: object, place: str) -> tuple[Message, ...]:
    """Return the turns of a conversation that the assistant is to continue.

    Raises
    ------
    MeasurementError
        They are no list of mappings with `role` and `content`, or the assistant has spoken last.
    """
    if not isinstance(value, list | tuple) or not value:
        raise MeasurementError(
            f"{place}: field 'messages': found {value!r}, expected a list of mappings with role "
            "and content"
        )
    messages = tuple(
        _checked(message, f"{place}: messages[{i}]") for i, message in enumerate(value)
    )
    if messages[-1]["role"] == "assistant":
        raise MeasurementError(
            f"{place}: field 'messages': the last turn is the assistant's, expected one that the "
            "assistant answers; put the expected answer into its own field"
        )
    return messages


def checked_tools(value: object, place: str) -> tuple[Message, ...]:
    """Return the tool definitions of a row; none where the field is absent.

    Raises
    ------
    MeasurementError
        They are no list of mappings.
    """
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(one, Mapping) for one in value):
        raise MeasurementError(
            f"{place}: field 'tools': found {value!r}, expected a list of JSON schemas of functions"
        )
    return tuple(_plain(one, f"{place}: tools[{i}]") for i, one in enumerate(value))


def shown_messages(messages: Sequence[Message]) -> str:
    """Return a conversation as a report shows it; a single turn is its text alone."""
    texts = [_content(message) for message in messages]
    if len(texts) == 1:
        return texts[0]
    return "\n".join(
        f"{message['role']}: {text}" for message, text in zip(messages, texts, strict=True)
    )


def _checked(message: object, place: str) -> Message:
    if not isinstance(message, Mapping):
        raise MeasurementError(
            f"{place}: found {message!r}, expected a mapping with role and content"
        )
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role:
        raise MeasurementError(
            f"{place}: role: found {role!r}, expected a name such as 'user' or 'assistant'"
        )
    if not isinstance(content, str) and not (content is None and message.get("tool_calls")):
        raise MeasurementError(
            f"{place}: content: found {content!r}, expected a string (only a turn with tool_calls "
            "may do without)"
        )
    return _plain(message, place)


def _plain(value: Mapping[str, Any], place: str) -> Message:
    """Return a deep copy in exact built-in types."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(value if type(value) is dict else dict(value)))
    except (TypeError, ValueError) as error:
        raise MeasurementError(f"{place}: {error}; expected what JSON can hold") from error
    return copy


def _content(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(message.get("tool_calls"))
