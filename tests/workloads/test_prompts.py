"""Prompts: rows become what the model is asked, and mistakes are told where they are made."""

import json

import pytest

from pytest_quantcheck import Generation, MultipleChoice
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.workloads.asked import Asked
from pytest_quantcheck.workloads.custom import Scored

ROW = {"prompt": "2 + 2?", "answer": "4"}
SHOTS = [{"prompt": "1 + 1?", "answer": "2"}, {"prompt": "0 + 1?", "answer": ["1", "one"]}]
TALK = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Yes?"},
    {"role": "user", "content": "2 + 2?"},
]


def write(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def generation(*rows, **options):
    return Generation.from_examples(list(rows) or [ROW], name="sums", **options)


def asked(workload):
    (example,) = workload.examples()
    return workload.asked(example.item)


def turn(role, content):
    return {"role": role, "content": content}


def test_fields_that_the_template_shows_are_no_others():
    workload = MultipleChoice.from_examples(
        [{"subject": "late", "level": 3, "choices": ["a", "b"], "answer": 0}],
        name="quiz",
        template="About {subject}:",
    )

    assert [one.extra for one in workload.examples()] == [{"level": 3}]


def test_a_prompt_alone_is_asked_as_it_stands():
    assert asked(generation()) == Asked(text="2 + 2?")


def test_a_prompt_in_a_chat_is_one_user_turn_after_the_system_turn():
    found = asked(generation(chat=True, system="Be brief.", chat_template_kwargs={"think": False}))

    assert found.messages == (turn("system", "Be brief."), turn("user", "2 + 2?"))
    assert (found.text, found.chat_template_kwargs) == ("", {"think": False})


def test_a_template_takes_fields_of_the_row():
    row = {"question": "2 + 2", "unit": 3, "answer": "4"}
    found = asked(generation(row, template="Q {{{unit}}}: {question}?\nA:"))

    assert found.text == "Q {3}: 2 + 2?\nA:"


def test_a_template_sees_fields_under_their_new_names(tmp_path):
    path = write(tmp_path / "q.jsonl", {"q": "2 + 2", "answer": "4"})
    workload = Generation.from_jsonl(path, fields={"prompt": "q"}, template="{prompt} =")

    assert asked(workload).text == "2 + 2 ="


def test_few_shot_examples_stand_before_a_text_in_their_order():
    found = asked(generation(few_shot=SHOTS, template="Q: {prompt}\nA:"))

    assert found.text == "Q: 1 + 1?\nA: 2\n\nQ: 0 + 1?\nA: 1\n\nQ: 2 + 2?\nA:"


def test_few_shot_examples_are_turns_of_a_chat_after_the_system_turn():
    found = asked(generation(few_shot=SHOTS, shots=1, chat=True, system="Be brief."))

    assert found.messages == (
        turn("system", "Be brief."),
        turn("user", "1 + 1?"),
        turn("assistant", "2"),
        turn("user", "2 + 2?"),
    )


def test_choices_of_few_shot_examples_are_joined_as_they_stand():
    row = {"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0}
    shot = {"context": "1 + 1 =", "choices": [" 4", " 2"], "answer": " 2"}
    workload = MultipleChoice.from_examples([row], name="sums", few_shot=[shot])

    assert asked(workload).text == "1 + 1 = 2\n\n2 + 2 ="


def test_a_conversation_is_a_chat_without_being_asked_to():
    workload = generation({"messages": [turn("system", "Be brief."), *TALK], "answer": "4"})
    (example,) = workload.examples()

    assert asked(workload).messages == (turn("system", "Be brief."), *TALK)
    assert example.item.prompt == ("system: Be brief.\nuser: Hello\nassistant: Yes?\nuser: 2 + 2?")


def test_few_shot_examples_stand_after_the_system_turn_of_a_conversation():
    row = {"messages": [turn("developer", "Be brief."), turn("user", "2 + 2?")], "answer": "4"}
    shot = {"messages": [turn("user", "Hello")], "answer": "Yes?"}

    assert asked(generation(row, few_shot=[shot])).messages == (
        turn("developer", "Be brief."),
        *TALK,
    )


def test_tools_and_tool_calls_are_kept_for_the_chat_template():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add"}}]}
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    messages = [turn("user", "2 + 2?"), call, turn("tool", "4")]
    workload = generation({"messages": messages, "tools": [tool], "answer": "4"})

    assert asked(workload).messages == tuple(messages)
    assert asked(workload).tools == (tool,)
    assert "assistant: [{" in workload.examples()[0].item.prompt
    assert asked(generation(ROW | {"tools": [tool]}, chat=True)).tools == (tool,)
    assert asked(generation(ROW | {"tools": [tool]})).tools == ()


def test_equal_conversations_are_one_cluster():
    rows = [{"messages": TALK, "answer": "4"}] * 2
    one, other = generation(*rows).examples()

    assert one.cluster == other.cluster == "same as 1"


def test_few_shot_files_stand_beside_the_calling_file_and_are_read_late(tmp_path, monkeypatch):
    write(tmp_path / "q.jsonl", {"prompt": "2 + 2?", "gold": "4"})
    module = tmp_path / "shots_suite.py"
    module.write_text(
        "from pytest_quantcheck import Generation\n"
        "fields = {'answer': 'gold'}\n"
        "one = Generation.from_jsonl('q.jsonl', few_shot='shots.jsonl', fields=fields)\n"
        "two = Generation.from_examples(\n"
        "    [{'prompt': '2 + 2?', 'answer': '4'}], name='two', few_shot='plain.jsonl')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import shots_suite

    with pytest.raises(MeasurementError, match=r"shots\.jsonl: no such file"):
        shots_suite.one.examples()
    write(tmp_path / "shots.jsonl", {"prompt": "1 + 1?", "gold": "2"})
    write(tmp_path / "plain.jsonl", {"prompt": "1 + 1?", "answer": "2"})

    assert asked(shots_suite.one).text == "1 + 1? 2\n\n2 + 2?"
    assert asked(shots_suite.two).text == "1 + 1? 2\n\n2 + 2?"


def fingerprint(**options):
    workload = generation(**options)
    return workload.fingerprint(workload.examples())


def test_the_fingerprint_knows_recipe_and_few_shot_examples():
    recipes = [
        {},
        {"chat": True},
        {"chat": True, "system": "Be brief."},
        {"chat": True, "chat_template_kwargs": {"think": False}},
        {"template": "{prompt} "},
        {"few_shot": SHOTS},
        {"few_shot": SHOTS[:1]},
        {"few_shot": [SHOTS[0] | {"answer": "3"}, SHOTS[1]]},
        {"few_shot": SHOTS[::-1]},
        {"truncate": "left"},
    ]

    assert len({fingerprint(**recipe) for recipe in recipes}) == len(recipes)
    assert fingerprint(few_shot=SHOTS, shots=1) == fingerprint(few_shot=SHOTS[:1])


def test_a_chat_loses_its_oldest_exchanges_and_never_the_last_user_turn():
    found = asked(generation(few_shot=SHOTS, chat=True, system="Be brief."))

    once = found.without_oldest()
    twice = once.without_oldest()

    assert [one["content"] for one in once.messages] == ["Be brief.", "0 + 1?", "1", "2 + 2?"]
    assert [one["content"] for one in twice.messages] == ["Be brief.", "2 + 2?"]
    assert twice.without_oldest() is None


def test_a_scorer_of_ones_own_may_ask_in_a_chat_with_few_shot_examples():
    settings = {"score": len, "name": "own", "max_new_tokens": 4, "bounds": None}
    workload = Scored(["2 + 2?"], **settings, chat=True, few_shot=SHOTS[:1])

    assert asked(workload).messages == (
        turn("user", "1 + 1?"),
        turn("assistant", "2"),
        turn("user", "2 + 2?"),
    )
