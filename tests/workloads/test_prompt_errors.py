"""Mistakes in prompts are told where they are made."""

import json

import pytest

from pytest_quantcheck import Generation, MultipleChoice
from pytest_quantcheck.errors import MeasurementError, UsageError

ROW = {"prompt": "2 + 2?", "answer": "4"}
SHOTS = [{"prompt": "1 + 1?", "answer": "2"}, {"prompt": "0 + 1?", "answer": ["1", "one"]}]


def turn(role, content):
    return {"role": role, "content": content}


TALK = [turn("user", "Hello"), turn("assistant", "Yes?"), turn("user", "2 + 2?")]


def write(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def generation(*rows, **options):
    return Generation.from_examples(list(rows) or [ROW], name="sums", **options)


WRONG_OPTIONS = {
    "chat='yes'": ({"chat": "yes"}, "chat='yes': expected True or False"),
    "system without chat": ({"system": "x"}, "workload sums: system= needs chat=True"),
    "empty system": ({"chat": True, "system": " "}, "system=' ': expected a non-empty string"),
    "kwargs without chat": ({"chat_template_kwargs": {}}, "chat_template_kwargs= needs chat=True"),
    "kwargs a list": ({"chat": True, "chat_template_kwargs": ["a"]}, "expected a mapping such as"),
    "kwargs ours": (
        {"chat": True, "chat_template_kwargs": {"tokenize": True}},
        "'tokenize' is set by quantcheck",
    ),
    "kwargs no JSON": (
        {"chat": True, "chat_template_kwargs": {"a": object()}},
        "expected what JSON can hold",
    ),
    "template empty": ({"template": ""}, "template='': expected a text with fields"),
    "template attribute": (
        {"template": "{prompt.x}"},
        r"found {prompt.x}, expected the plain name",
    ),
    "template index": ({"template": "{prompt[0]}"}, r"found {prompt[0]}, expected the plain name"),
    "template conversion": ({"template": "{prompt!r}"}, r"found {prompt!r}, expected the plain"),
    "template format": ({"template": "{prompt:>9}"}, r"found {prompt:>9}, expected the plain name"),
    "template position": ({"template": "{}"}, r"found {}, expected the plain name of a field"),
    "template brace": ({"template": "{prompt"}, "write {{ and }} for braces"),
    "template field": (
        {"template": "{promt}"},
        "in no example; did you mean 'prompt'? Known: answ",
    ),
    "few_shot a number": ({"few_shot": 5}, "few_shot=5: expected the path of a JSONL file"),
    "few_shot empty": ({"few_shot": []}, "few_shot=[]: expected at least one example"),
    "shots alone": ({"shots": 2}, "shots=2 needs few_shot="),
    "shots zero": ({"few_shot": SHOTS, "shots": 0}, "shots=0: expected a whole number"),
    "truncate right": ({"truncate": "right"}, "truncate='right': expected None or 'left'"),
    "unknown": ({"sytem": "x"}, "unknown option 'sytem'; did you mean 'system'? Known"),
}


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option_is_refused_when_the_workload_is_made(options, message):
    with pytest.raises(UsageError) as caught:
        generation(**options)
    assert message in str(caught.value)


def test_a_mistyped_option_of_choices_is_refused_too():
    row = {"context": "Which?", "choices": ["a", "b"], "answer": 0}
    with pytest.raises(
        UsageError, match=r"workload mc: unknown option 'shot'; did you mean 'shots'"
    ):
        MultipleChoice.from_examples([row], name="mc", shot=1)


BAD_ROWS = {
    "no messages": ({"messages": []}, "field 'messages': found [], expected a list"),
    "no mapping": ({"messages": ["hello"]}, "messages[0]: found 'hello', expected a mapping"),
    "no role": ({"messages": [{"content": "x"}]}, "messages[0]: role: found None"),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0]: content: found None"),
    "no JSON": ({"messages": [turn("user", "x") | {"more": {1}}]}, "expected what JSON can hold"),
    "assistant last": ({"messages": TALK[:2]}, "the last turn is the assistant's"),
    "both": (ROW | {"messages": TALK}, "found field 'messages' and field 'prompt'"),
    "tools": ({"messages": TALK, "tools": "add"}, "field 'tools': found 'add', expected a list"),
}


@pytest.mark.parametrize(("row", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused_with_its_place(row, message):
    with pytest.raises(MeasurementError) as caught:
        generation({"answer": "4"} | row).examples()
    assert str(caught.value).startswith("examples[0]: ")
    assert message in str(caught.value)


BAD_FILES = {
    "field missing": (
        {"template": "{question}"}, [{"answer": "4", "q": "2"}],
        "q.jsonl:1: template field 'question': it is missing",
    ),
    "field a list": (
        {"template": "{prompt}"}, [{"answer": "4", "prompt": ["2"]}],
        "q.jsonl:1: template field 'prompt': found ['2'], expected a string or a number",
    ),
    "field empty": (
        {"template": "{prompt}"}, [{"answer": "4", "prompt": ""}],
        "q.jsonl:1: the template gives an empty prompt",
    ),
    "template and messages": (
        {"template": "{answer}"}, [{"answer": "4", "messages": TALK}],
        "q.jsonl:1: found field 'messages' and template=",
    ),
    "two system turns": (
        {"chat": True, "system": "x"},
        [{"answer": "4", "messages": [turn("system", "y"), *TALK]}],
        "q.jsonl:1: field 'messages' begins with a system turn, and system= gives another",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "rows", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_line_is_refused_with_file_and_line(tmp_path, options, rows, message):
    workload = Generation.from_jsonl(write(tmp_path / "q.jsonl", *rows), **options)

    with pytest.raises(MeasurementError) as caught:
        workload.examples()
    assert message in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"chat": True}])
def test_a_question_that_is_a_few_shot_example_is_refused(options):
    with pytest.raises(MeasurementError) as caught:
        generation(ROW | {"id": "q"}, few_shot=[*SHOTS, ROW], **options).examples()
    assert str(caught.value).startswith("examples[0]: the few-shot example at few_shot[2] asks the")


def test_a_few_shot_example_with_other_choices_asks_something_else():
    row = {"context": "Which?", "choices": ["a", "b"], "answer": 0}
    shot = row | {"choices": ["c", "d"]}

    MultipleChoice.from_examples([row], name="mc", few_shot=[shot]).examples()
    with pytest.raises(MeasurementError, match="gives the answer away"):
        MultipleChoice.from_examples([row], name="mc", few_shot=[row]).examples()


BAD_SHOTS = {
    "too few": (SHOTS, 3, "workload sums: few_shot holds 2 examples, expected at least 3"),
    "no answer": ([{"prompt": "1 + 1?"}], None, "few_shot[0]: field 'answer': it is missing"),
    "system turn": (
        [{"messages": [turn("system", "x"), turn("user", "y")], "answer": "z"}], None,
        "few_shot[0]: a few-shot example with a system turn",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("few_shot", "shots", "message"), BAD_SHOTS.values(), ids=BAD_SHOTS)
def test_bad_few_shot_examples_are_refused(few_shot, shots, message):
    with pytest.raises(MeasurementError) as caught:
        generation(few_shot=few_shot, shots=shots).examples()
    assert message in str(caught.value)


def test_a_conversation_cannot_be_a_shot_before_plain_text():
    workload = generation(few_shot=[{"messages": TALK, "answer": "4"}])

    with pytest.raises(MeasurementError, match=r"^few_shot\[0\]: it holds a conversation"):
        workload.asked(workload.examples()[0].item)
