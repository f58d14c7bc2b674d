"""What stands in a user's file is read as it stands, or refused with its place."""

import enum
import json

import pytest

from pytest_quantcheck import Documents, MultipleChoice
from pytest_quantcheck.core.plain import to_builtins
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.custom import Scored

CHOICE = {"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0}


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "data.jsonl"

    def write(*rows, **options):
        lines = (json.dumps(row, **options) for row in rows)
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x7f"], ids=ascii)
def test_only_a_line_feed_ends_a_line(write, separator):
    path = write({"text": f"one{separator}two"}, {"text": "three"}, ensure_ascii=False)

    texts = [example.item.text for example in Documents.from_jsonl(path).examples()]

    assert texts == [f"one{separator}two", "three"]


def test_lines_may_end_as_on_windows(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"text": "one"}\r\n{"text": "two"}\r\n')

    assert [example.item.text for example in Documents.from_jsonl(path).examples()] == [
        "one",
        "two",
    ]


def test_half_a_character_is_refused_with_its_line(write):
    path = write({"text": "a whole one: \U0001f600"}, {"text": "half of one: \ud83d"})

    with pytest.raises(MeasurementError, match=r"data\.jsonl:2: half a character \('\\ud83d'\)"):
        Documents.from_jsonl(path).examples()


def test_a_file_without_examples_is_named(write):
    with pytest.raises(MeasurementError, match=r"nothing in .*data\.jsonl; expected examples"):
        MultipleChoice.from_jsonl(write()).examples()


def test_a_renamed_field_hides_one_of_our_name(write):
    path = write({"gold": 1, **CHOICE}, CHOICE | {"gold": 1})
    workload = MultipleChoice.from_jsonl(path, fields={"answer": "gold"})

    assert [example.item.answer for example in workload.examples()] == [1, 1]


def test_a_renamed_field_that_is_missing_is_not_taken_from_elsewhere(write):
    workload = MultipleChoice.from_jsonl(write(CHOICE), fields={"answer": "gold"})

    with pytest.raises(MeasurementError, match="field 'answer': it is missing"):
        workload.examples()


def test_one_field_of_the_file_may_be_two_of_ours(write):
    path = write({"page": "seven", "n": 3})

    (example,) = Documents.from_jsonl(path, fields={"text": "page", "id": "page"}).examples()

    assert (example.id, example.item.text, example.extra) == ("seven", "seven", {"n": 3})


def test_fields_must_be_a_mapping(tmp_path):
    with pytest.raises(UsageError, match=r"fields=\['answer'\]: expected a mapping"):
        MultipleChoice.from_jsonl(tmp_path / "x.jsonl", fields=["answer"])


class Name(enum.StrEnum):
    QUIZ = "quiz"


def test_a_name_is_a_plain_string_whatever_it_was():
    workload = MultipleChoice.from_examples([CHOICE], name=Name.QUIZ)

    assert to_builtins(workload.name) == "quiz"


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "\x1b[31mred", 3])
def test_a_name_stands_on_one_line(name):
    with pytest.raises(UsageError, match="workload name: found"):
        MultipleChoice.from_examples([CHOICE], name=name)


def scored(examples=("a",), **options):
    settings = {"score": len, "name": "own", "max_new_tokens": 4, "bounds": (0, 1)} | options
    return Scored(examples, **settings)


def score_of(workload, example):
    return workload.output_scoring.ready()("out", workload.case(example)).values["score"]


@pytest.mark.parametrize("bounds", [1, (1,), (0, 1, 2), ("low", "high"), (0, None)])
def test_bounds_are_two_numbers(bounds):
    with pytest.raises(UsageError, match="expected two finite numbers, the lower first, or None"):
        scored(bounds=bounds)


def test_an_id_that_is_null_is_none():
    workload = scored([{"prompt": "a", "id": None}], score=lambda _, example: len(example) / 2)

    (example,) = workload.examples()

    assert (example.id, score_of(workload, example)) == ("1", 1.0)


@pytest.mark.parametrize("change", [{"max_new_tokens": 5}, {"bounds": (0, 2)}, {"bounds": None}])
def test_the_fingerprint_of_a_scorer_knows_its_settings(change):
    one, other = scored(), scored(**change)

    assert one.fingerprint(one.examples()) != other.fingerprint(other.examples())
