"""What a model is asked: one question with its few-shot examples, as text or as a chat."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.workloads.messages import (
    SYSTEM_ROLES,
    checked_messages,
    is_conversation,
    shown_messages,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.messages import Message
    from pytest_quantcheck.workloads.prompt import Prompting

SHOT_SEPARATOR = "\n\n"
"""Between few-shot examples, and before the question, where the prompt is plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one row asks, alone."""

    prompt: str
    """As text; a conversation as a report shows it."""
    messages: tuple[Message, ...] = ()
    """Turns of a row that holds a conversation."""
    tools: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A few-shot example: a question with its answer."""

    question: Question
    answer: str
    place: str
    """Where it came from: `data/shots.jsonl:2`."""
    key: tuple[object, ...]
    """Equal to that of a row that asks the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a model is asked for one example, shots and all, before it is rendered."""

    text: str = ""
    """Plain text; empty in a chat."""
    messages: tuple[Message, ...] = ()
    """Turns of a chat."""
    tools: tuple[Message, ...] = ()
    chat_template_kwargs: Mapping[str, Plain] = field(default_factory=dict)
    truncate: Literal["left"] | None = None

    @property
    def is_chat(self) -> bool:
        """Whether the model's chat template renders it."""
        return bool(self.messages)

    def without_oldest(self) -> Asked | None:
        """Return a chat without its oldest exchange; None where only the last user turn is left.

        System turns stay, and what follows begins with a user's turn.
        """
        first = next(
            (i for i, one in enumerate(self.messages) if one["role"] not in SYSTEM_ROLES), 0
        )
        later = [i for i, one in enumerate(self.messages) if i > first and one["role"] == "user"]
        if not later:
            return None
        return replace(self, messages=self.messages[:first] + self.messages[later[0] :])


def ask(prompting: Prompting, question: Question, shots: Sequence[tuple[Shot, str]]) -> Asked:
    """Return what a model is asked.

    Parameters
    ----------
    prompting : Prompting
        The recipe.
    question : Question
        Of one row.
    shots : sequence of (Shot, str)
        Few-shot examples, each with its question and answer as plain text.

    Raises
    ------
    MeasurementError
        A few-shot example is a conversation, and the question is plain text.
    """
    if not (prompting.chat or question.messages):
        for shot, _ in shots:
            if shot.question.messages:
                raise MeasurementError(
                    f"{shot.place}: it holds a conversation, and the questions are plain text; "
                    "write chat=True, or give its prompt as text"
                )
        solved = "".join(text + SHOT_SEPARATOR for _, text in shots)
        return Asked(text=solved + question.prompt, truncate=prompting.truncate)
    own = _turns(question)
    n_system = next((i for i, one in enumerate(own) if one["role"] not in SYSTEM_ROLES), len(own))
    system = ({"role": "system", "content": prompting.system},) if prompting.system else ()
    solved_turns = tuple(
        turn
        for shot, _ in shots
        for turn in (*_turns(shot.question), {"role": "assistant", "content": shot.answer})
    )
    return Asked(
        messages=(*system, *own[:n_system], *solved_turns, *own[n_system:]),
        tools=question.tools,
        chat_template_kwargs=prompting.chat_template_kwargs,
        truncate=prompting.truncate,
    )


def _turns(question: Question) -> tuple[Message, ...]:
    return question.messages or ({"role": "user", "content": question.prompt},)


def ask_directly(prompt: str | Sequence[Message], prompting: Prompting, *, place: str) -> Asked:
    """Return what a model is asked by a string or a conversation that is no row of a file.

    Raises
    ------
    MeasurementError
        The conversation is none.
    """
    if isinstance(prompt, str):
        return ask(prompting, Question(prompt=prompt), ())
    if not is_conversation(prompt):
        raise MeasurementError(
            f"{place}: found {prompt!r}, expected a string, or a list of mappings with role and "
            "content"
        )
    messages = checked_messages(prompt, place)
    question = Question(prompt=shown_messages(messages), messages=messages)
    return ask(prompting, question, ())
