"""What workloads that ask something share: prompts, chats and few-shot examples."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.asked import Asked, Question, Shot, ask
from pytest_quantcheck.workloads.base import Workload, text
from pytest_quantcheck.workloads.example import ChoiceItem, GenerationItem, ItemT_co, LabelItem
from pytest_quantcheck.workloads.messages import (
    SYSTEM_ROLES,
    checked_messages,
    checked_tools,
    shown_messages,
)
from pytest_quantcheck.workloads.prompt import checked_prompting, located_few_shot
from pytest_quantcheck.workloads.source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.prompt import PromptOptions
    from pytest_quantcheck.workloads.source import Row, Source


class Prompted(Workload[ItemT_co]):
    r"""A workload whose examples are asked: as plain text, or as a chat.

    Parameters
    ----------
    source, name, max_examples
        As for every workload.
    chat : bool
        Ask through the model's own chat template. A prompt becomes one user turn, few-shot
        examples become turns before it, and the answer begins where the assistant's turn does.
        Rows with `messages` are always asked so.
    system : str, optional
        System turn of every example; needs `chat=True`.
    chat_template_kwargs : mapping, optional
        What the chat template takes besides: `{"enable_thinking": False}`.
    template : str, optional
        The prompt, with fields of the row in braces: `"Question: {question}\nAnswer:"`. Braces
        that stand for themselves are doubled.
    few_shot : path or list of mappings, optional
        Solved examples before each question, in the order of the file; with the fields of the
        workload. In plain text each is followed by a blank line.
    shots : int, optional
        Take the first `shots` of them; all by default.
    truncate : "left", optional
        A prompt that does not fit into the context loses its oldest part: in a chat, whole
        exchanges after the system turn, the oldest first, never the last user turn; in plain
        text, the oldest tokens after the BOS. By default such a prompt is an error.
    """

    prompt_field: ClassVar[str]
    """Field of a row that holds its prompt."""

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        max_examples: int | None = None,
        **options: Unpack[PromptOptions],
    ) -> None:
        super().__init__(source, name=name, max_examples=max_examples)
        self.prompting = checked_prompting(options, f"workload {name}")
        self._shots: tuple[Shot, ...] | None = None
        if self.prompting.template:
            self.template_fields = self.prompting.template.fields
            if isinstance(source, MemorySource):
                self._check_fields(self.template_fields, source)

    @classmethod
    def _placed(
        cls, options: Mapping[str, Any], caller: str, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return options whose few-shot path starts at the folder of the file `caller`."""
        if "few_shot" not in options:
            return dict(options)
        return {**options, "few_shot": located_few_shot(options["few_shot"], caller, fields)}

    @property
    def shots(self) -> tuple[Shot, ...]:
        """The few-shot examples, read when first needed.

        Raises
        ------
        MeasurementError
            Their file cannot be read, a row is bad, or there are fewer than `shots`.
        """
        if self._shots is None:
            self._shots = self._read_shots()
        return self._shots

    def asked(self, item: ChoiceItem | GenerationItem | LabelItem) -> Asked:
        """Return what the model is asked for one item, few-shot examples included."""
        packed = json.loads(item.turns) if item.turns else {}
        question = Question(
            prompt=item.context if isinstance(item, ChoiceItem) else item.prompt,
            messages=tuple(packed.get("messages", ())),
            tools=tuple(packed.get("tools", ())),
        )
        shots = [(shot, self.joined(shot.question.prompt, shot.answer)) for shot in self.shots]
        return ask(self.prompting, question, shots)

    def question(self, row: Row) -> Question:
        """Return what a row asks.

        Raises
        ------
        MeasurementError
            A field is missing or wrong, two of them say what is asked, or a few-shot example asks
            the same and gives the answer away.
        """
        question = self._question(row)
        for shot in self.shots:
            if self._key(row, question) == shot.key:
                raise MeasurementError(
                    f"{row.place}: the few-shot example at {shot.place} asks the same and gives "
                    "the answer away; leave one of them out"
                )
        return question

    def _question(self, row: Row) -> Question:
        recipe = self.prompting
        if row.fields.get("messages") is not None:
            return self._conversation(row)
        prompt = recipe.template.render(row) if recipe.template else text(row, self.prompt_field)
        if not prompt:
            raise MeasurementError(f"{row.place}: the template gives an empty prompt")
        tools = checked_tools(row.fields.get("tools"), row.place) if recipe.chat else ()
        return Question(prompt=prompt, tools=tools)

    @abstractmethod
    def solution(self, row: Row) -> str:
        """Return the answer that a few-shot example shows."""

    def joined(self, prompt: str, answer: str) -> str:
        """Return a prompt with its answer as plain text: a space between, unless one is there."""
        space = "" if prompt[-1:].isspace() or answer[:1].isspace() else " "
        return f"{prompt}{space}{answer}"

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores."""
        shots: list[Plain] = [
            [shot.question.prompt, packed_turns(shot.question), shot.answer] for shot in self.shots
        ]
        return {"prompting": self.prompting.plain(), "shots": shots}

    def _prepare(self) -> None:
        """Read the few-shot examples: a bad one is told before the examples are read."""
        _ = self.shots

    def _read_shots(self) -> tuple[Shot, ...]:
        source, wanted = self.prompting.few_shot, self.prompting.shots
        if source is None:
            return ()
        found: list[Shot] = []
        for row in source.rows():
            if len(found) == wanted:
                break
            question = self._question(row)
            self._check_shot(question, row)
            found.append(
                Shot(
                    question=question,
                    answer=self.solution(row),
                    place=row.place,
                    key=self._key(row, question),
                )
            )
        if not found or (wanted is not None and len(found) < wanted):
            raise MeasurementError(
                f"workload {self.name}: few_shot holds {len(found)} examples, expected at least "
                f"{wanted or 1}"
            )
        return tuple(found)

    def _key(self, row: Row, question: Question) -> tuple[object, ...]:
        """Return what two rows that ask the same have in common."""
        del row
        return (question.prompt, packed_turns(question))

    def _check_shot(self, question: Question, row: Row) -> None:
        if any(message["role"] in SYSTEM_ROLES for message in question.messages):
            raise MeasurementError(
                f"{row.place}: a few-shot example with a system turn, expected user and assistant "
                "turns; give the system turn as system="
            )

    def _conversation(self, row: Row) -> Question:
        both = "template=" if self.prompting.template else f"field {self.prompt_field!r}"
        if self.prompting.template or row.fields.get(self.prompt_field) is not None:
            raise MeasurementError(
                f"{row.place}: found field 'messages' and {both}, expected one of them; leave "
                "the other out"
            )
        messages = checked_messages(row.fields["messages"], row.place)
        if self.prompting.system and messages[0]["role"] in SYSTEM_ROLES:
            raise MeasurementError(
                f"{row.place}: field 'messages' begins with a {messages[0]['role']} turn, and "
                "system= gives another; leave one out"
            )
        return Question(
            prompt=shown_messages(messages),
            messages=messages,
            tools=checked_tools(row.fields.get("tools"), row.place),
        )

    def _check_fields(self, asked: tuple[str, ...], source: MemorySource) -> None:
        known = {name for one in source.examples if hasattr(one, "keys") for name in one}
        for name in asked:
            if known and name not in known:
                raise UsageError(
                    f"workload {self.name}: template field {name!r} is in no example; "
                    f"{suggestion(name, known)}"
                )


def packed_turns(question: Question) -> str:
    """Return messages and tools as JSON, so that an item can be compared; empty without any."""
    found = {"messages": question.messages, "tools": question.tools}
    held = {name: value for name, value in found.items() if value}
    return json.dumps(held, ensure_ascii=False) if held else ""
