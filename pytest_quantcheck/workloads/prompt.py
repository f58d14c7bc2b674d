"""Prompts: the recipe by which rows become what the model is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.source import JsonlSource, MemorySource, resolve
from pytest_quantcheck.workloads.template import Template, parse_template

if TYPE_CHECKING:
    from typing import TypeAlias

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.source import Source

    FewShot: TypeAlias = "str | Path | Sequence[Mapping[str, Plain]] | Source"

_OURS = frozenset(
    {
        "add_generation_prompt", "chat_template", "continue_final_message", "conversation",
        "messages", "return_dict", "return_tensors", "tokenize", "tools",
    }
)  # fmt: skip


class ChatOptions(TypedDict, total=False):
    """How a model is asked as a chat."""

    chat: bool
    """Ask through the model's own chat template; a prompt becomes one user turn."""
    system: str | None
    """System turn of every example; needs `chat=True`."""
    chat_template_kwargs: Mapping[str, Plain] | None
    """What the chat template takes besides: `{"enable_thinking": False}`."""


class PromptOptions(ChatOptions, total=False):
    """Keyword options of every workload that asks something."""

    template: str | None
    """The prompt, with fields of the row in braces: `"Question: {question}\\nAnswer:"`."""
    few_shot: FewShot | None
    """Solved examples before each question: path of a JSONL file, or a list of mappings."""
    shots: int | None
    """Take the first `shots` of them; all by default."""
    truncate: Literal["left"] | None
    """What happens to a prompt longer than the context: an error, or its oldest part is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """A checked recipe for prompts."""

    chat: bool = False
    system: str | None = None
    chat_template_kwargs: Mapping[str, Plain] = field(default_factory=dict)
    template: Template | None = None
    few_shot: Source | None = None
    shots: int | None = None
    truncate: Literal["left"] | None = None

    def plain(self) -> dict[str, Plain]:
        """Return what decides the prompts besides the rows and the few-shot examples."""
        return {
            "chat": self.chat,
            "system": self.system,
            "chat_template_kwargs": dict(self.chat_template_kwargs),
            "template": self.template.text if self.template else None,
            "truncate": self.truncate,
        }


def checked_prompting(
    options: ChatOptions, place: str, *, kind: type[ChatOptions] = PromptOptions
) -> Prompting:
    """Return the recipe that `options` of a `kind` are; errors begin with `place`.

    Raises
    ------
    UsageError
        An option is unknown, of the wrong type, or does not go with another.
    """
    refuse_unknown(options, kind, place)
    try:
        return _checked(**options)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def refuse_unknown(options: Mapping[str, object], kind: type, place: str) -> None:
    """Raise UsageError if an option is none of a `kind`; errors begin with `place`."""
    known = sorted(kind.__annotations__)
    for option in options:
        if option not in known:
            raise UsageError(f"{place}: unknown option {option!r}; {suggestion(option, known)}")


def located_few_shot(
    few_shot: FewShot | None, caller: str, fields: Mapping[str, str] | None = None
) -> FewShot | None:
    """Return a path as a source, relative ones taken from the folder of the file `caller`."""
    if isinstance(few_shot, str | Path):
        return JsonlSource(path=resolve(few_shot, caller), fields=dict(fields or {}))
    return few_shot


def _checked(  # noqa: PLR0913 - the options themselves
    *,
    chat: object = False,
    system: object = None,
    chat_template_kwargs: object = None,
    template: object = None,
    few_shot: object = None,
    shots: object = None,
    truncate: object = None,
) -> Prompting:
    if type(chat) is not bool:
        raise UsageError(f"chat={chat!r}: expected True or False")
    if truncate not in {None, "left"}:
        raise UsageError(f"truncate={truncate!r}: expected None or 'left'")
    return Prompting(
        chat=chat,
        system=_checked_system(system, is_chat=chat),
        chat_template_kwargs=_checked_kwargs(chat_template_kwargs, is_chat=chat),
        template=None if template is None else parse_template(template),
        few_shot=_checked_few_shot(few_shot),
        shots=_checked_shots(shots, few_shot),
        truncate=truncate,
    )


def _checked_system(system: object, *, is_chat: bool) -> str | None:
    if system is None:
        return None
    if not isinstance(system, str) or not system.strip():
        raise UsageError(f"system={system!r}: expected a non-empty string")
    if not is_chat:
        raise UsageError("system= needs chat=True: plain text has no system turn")
    return str.__str__(system)


def _checked_kwargs(kwargs: object, *, is_chat: bool) -> Mapping[str, Plain]:
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise UsageError(
            f"chat_template_kwargs={kwargs!r}: expected a mapping such as "
            "{'enable_thinking': False}"
        )
    if not is_chat:
        raise UsageError("chat_template_kwargs= needs chat=True: plain text has no chat template")
    for name in sorted(_OURS & set(kwargs)):
        raise UsageError(f"chat_template_kwargs: {name!r} is set by quantcheck; leave it out")
    try:
        copy: dict[str, Plain] = json.loads(json.dumps(dict(kwargs)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"chat_template_kwargs: {error}; expected what JSON can hold") from error
    return copy


def _checked_few_shot(few_shot: object) -> Source | None:
    if few_shot is None or isinstance(few_shot, JsonlSource):
        return few_shot
    if isinstance(few_shot, Sequence) and not isinstance(few_shot, str | bytes):
        if not few_shot:
            raise UsageError("few_shot=[]: expected at least one example, or None")
        return MemorySource(examples=few_shot, place="few_shot")
    raise UsageError(
        f"few_shot={few_shot!r}: expected the path of a JSONL file, or a list of mappings"
    )


def _checked_shots(shots: object, few_shot: object) -> int | None:
    if shots is None:
        return None
    if few_shot is None:
        raise UsageError(f"shots={shots!r} needs few_shot=, the examples they are taken from")
    if type(shots) is not int or shots < 1:
        raise UsageError(f"shots={shots!r}: expected a whole number, at least 1")
    return shots
