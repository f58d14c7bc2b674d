"""Workloads are lazy, strict about their data, and the same on every machine."""

import json
import subprocess
import sys

import pytest

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.custom import Scored
from pytest_quantcheck.workloads.example import ChoiceItem, GenerationItem

CHOICE = {"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0}


def write(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def choices(*rows, **options):
    return MultipleChoice.from_examples([CHOICE | row for row in rows], name="quiz", **options)


def test_nothing_is_read_before_examples_are_asked_for(tmp_path):
    workload = MultipleChoice.from_jsonl(tmp_path / "absent.jsonl")

    assert repr(workload) == "MultipleChoice('absent')"
    with pytest.raises(MeasurementError, match=r"absent\.jsonl: no such file"):
        workload.examples()


def test_relative_paths_start_at_the_calling_file(tmp_path, monkeypatch):
    write(tmp_path / "quiz.jsonl", CHOICE)
    module = tmp_path / "suite.py"
    module.write_text(
        "from pytest_quantcheck import MultipleChoice\n"
        "quiz = MultipleChoice.from_jsonl('quiz.jsonl')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)

    import suite

    assert suite.quiz.examples()[0].item == ChoiceItem(
        context="2 + 2 =", choices=(" 4", " 5"), answer=0
    )


def test_importing_the_public_names_imports_no_numerics():
    code = (
        "import sys; from pytest_quantcheck import Documents, Generation, MultipleChoice;"
        "print(sorted({'numpy', 'scipy', 'torch', 'tabulate', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_fields_are_renamed_and_unknown_ones_kept(tmp_path):
    row = {"q": "2 + 2 =", "choices": [" 4", " 5"], "gold": " 5", "level": 3}
    path = write(tmp_path / "quiz.jsonl", row)
    workload = MultipleChoice.from_jsonl(path, fields={"context": "q", "answer": "gold"})

    (example,) = workload.examples()

    assert example.item.answer == 1
    assert example.extra == {"level": 3}
    assert example.id == "1"


def test_ids_clusters_and_slices_may_be_numbers():
    (example,) = choices({"id": 7, "cluster": 3, "slice": "easy"}).examples()

    assert (example.id, example.cluster, example.slice) == ("7", "3", "easy")


def test_blank_lines_are_skipped_and_numbers_stay(tmp_path):
    path = tmp_path / "quiz.jsonl"
    path.write_text(f"\n{json.dumps(CHOICE)}\n\n", encoding="utf-8")

    assert [example.id for example in MultipleChoice.from_jsonl(path).examples()] == ["2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": ""}, "field 'context': found '', expected a non-empty string"),
        ({"context": 5}, "field 'context': found 5"),
        ({"choices": " 4"}, "field 'choices': found ' 4'"),
        ({"choices": [" 4"]}, "at least two"),
        ({"choices": [" 4", ""]}, "non-empty strings"),
        ({"choices": [" 4", " 4"]}, "the same choice stands twice"),
        ({"answer": 2}, "field 'answer': found 2, expected an index from 0 to 1"),
        ({"answer": -1}, "field 'answer': found -1"),
        ({"answer": True}, "field 'answer': found True"),
        ({"answer": " 6"}, "field 'answer': found ' 6'"),
        ({"id": ""}, "field 'id': found ''"),
        ({"id": True}, "field 'id': found True"),
        ({"cluster": [1]}, r"field 'cluster': found \[1\]"),
    ],
)
def test_a_bad_row_is_refused_with_place_and_reason(tmp_path, change, message):
    path = write(tmp_path / "quiz.jsonl", CHOICE, CHOICE | change)

    with pytest.raises(MeasurementError, match=rf"quiz\.jsonl:2: .*{message}"):
        MultipleChoice.from_jsonl(path).examples()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON .*, expected one object a line"),
        ("[1]", "found list, expected a JSON object"),
        ("3", "found int"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path, line, message):
    path = tmp_path / "quiz.jsonl"
    path.write_text(f"{json.dumps(CHOICE)}\n{line}\n", encoding="utf-8")

    with pytest.raises(MeasurementError, match=rf"quiz\.jsonl:2: {message}"):
        MultipleChoice.from_jsonl(path).examples()


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "quiz.jsonl"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(MeasurementError, match="cannot be read as UTF-8"):
        MultipleChoice.from_jsonl(path).examples()


def test_a_missing_field_names_those_there_and_the_remedy():
    workload = Generation.from_examples([{"question": "2 + 2", "answer": "4"}], name="sums")

    with pytest.raises(MeasurementError, match=r"it is missing.*answer, question.*renames with"):
        workload.examples()


def test_a_choice_without_its_answer_names_the_fields_there():
    row = {name: value for name, value in CHOICE.items() if name != "answer"} | {"gold": 1}
    workload = MultipleChoice.from_examples([row], name="quiz")

    with pytest.raises(
        MeasurementError,
        match=r"field 'answer': it is missing, expected an index .*choices, context, gold; from_",
    ):
        workload.examples()


def test_examples_must_be_mappings():
    with pytest.raises(MeasurementError, match=r"examples\[0\]: found str"):
        Documents.from_examples(["text"], name="manual").examples()


def test_the_same_id_twice_names_both_places():
    workload = choices({"id": "a"}, {"id": "a", "context": "3 + 3 ="})

    with pytest.raises(MeasurementError, match=r"examples\[1\]: id 'a' .* at examples\[0\]"):
        workload.examples()


def test_no_examples_is_an_error():
    with pytest.raises(MeasurementError, match="workload quiz: nothing in examples; expected"):
        choices().examples()


def test_equal_examples_become_one_cluster():
    rows = [{"id": "a"}, {"id": "b"}, {"id": "c", "context": "3 ="}, {"id": "d", "cluster": "own"}]

    clusters = {example.id: example.cluster for example in choices(*rows).examples()}

    assert clusters == {"a": "same as a", "b": "same as a", "c": None, "d": "own"}


def many(n, **options):
    rows = [{"id": str(i), "context": f"{i} =", "slice": "odd" if i % 2 else "even"}
            for i in range(n)]  # fmt: skip
    return choices(*rows, **options)


def test_a_limit_is_a_seeded_stratified_subset_in_order():
    some = [int(example.id) for example in many(100, limit=10).examples()]

    assert len(some) == 10
    assert some == sorted(some)
    assert some != list(range(10))
    assert sum(number % 2 for number in some) == 5
    assert some == [int(example.id) for example in many(100, limit=10).examples()]


def test_another_seed_is_another_subset_and_the_smaller_cap_counts():
    workload = many(100, limit=10)

    assert workload.examples(seed=1) != workload.examples(seed=2)
    assert len(workload.examples(max_examples=4)) == 4
    assert len(workload.examples(max_examples=40)) == 10
    assert len(many(3).examples(max_examples=40)) == 3


def test_uneven_slices_share_by_largest_remainder():
    rows = [{"id": str(i), "context": f"{i} =", "slice": "rare" if i < 3 else "common"}
            for i in range(10)]  # fmt: skip
    taken = choices(*rows, limit=4).examples()

    assert sorted(example.slice for example in taken) == ["common"] * 3 + ["rare"]


def test_the_fingerprint_knows_examples_and_scoring():
    workload = many(4)
    short, long = (
        Generation.from_examples([{"prompt": "a", "answer": "b"}], name="n", max_new_tokens=n)
        for n in (4, 5)
    )

    assert workload.fingerprint(workload.examples()) == many(4).fingerprint(many(4).examples())
    assert workload.fingerprint(workload.examples()) != workload.fingerprint(
        workload.examples()[:3]
    )
    assert short.fingerprint(short.examples()) != long.fingerprint(long.examples())


def test_generation_accepts_one_answer_or_several():
    one, several = Generation.from_examples(
        [{"prompt": "a", "answer": "x"}, {"prompt": "b", "answer": ["x", "y"]}], name="n"
    ).examples()

    assert one.item == GenerationItem(prompt="a", answers=("x",))
    assert several.item.answers == ("x", "y")


@pytest.mark.parametrize("answer", ["", " ", [], [""], 4, None, ["x", 4]])
def test_an_answer_that_nothing_could_match_is_refused(answer):
    workload = Generation.from_examples([{"prompt": "a", "answer": answer}], name="n")

    with pytest.raises(MeasurementError, match="field 'answer'"):
        workload.examples()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: many(3, limit=0), "limit=0"),
        (lambda: many(3, limit=2.5), "limit=2.5"),
        (lambda: many(3, limit=True), "limit=True"),
        (lambda: MultipleChoice.from_examples([CHOICE], name=""), "name: found ''"),
        (lambda: MultipleChoice.from_jsonl("x.jsonl", fields={"anwser": "a"}), "unknown field"),
        (lambda: Generation.from_examples([], name="n", max_new_tokens=0), "max_new_tokens=0"),
        (lambda: Documents.from_examples([], name="n", window=1), "window=1"),
        (lambda: scored(lambda *_: 1.0, bounds=(1, 0)), "bounds="),
        (lambda: scored(lambda *_: 1.0, bounds=(0, float("inf"))), "bounds="),
        (lambda: scored("not callable"), "expected a callable"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(build, message):
    with pytest.raises(UsageError, match=message):
        build()


def score_of(workload, example):
    return workload.output_scoring.ready()("out", workload.case(example)).values["score"]


def scored(score, bounds=(0, 1)):
    examples = ["a", {"prompt": "b", "gold": 2, "id": "two"}]
    return Scored(examples, score=score, name="own", max_new_tokens=4, bounds=bounds)


def test_a_scorer_gets_the_examples_as_they_were_given():
    seen = []
    workload = scored(lambda output, example: seen.append((output, example)) or 1)

    scores = [score_of(workload, example) for example in workload.examples()]

    assert scores == [1.0, 1.0]
    assert seen == [("out", "a"), ("out", {"prompt": "b", "gold": 2, "id": "two"})]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned None, expected a finite number"),
        (float("nan"), "expected a finite number"),
        (1.5, r"outside bounds=\(0.0, 1.0\)"),
        (-0.1, "outside bounds"),
    ],
)
def test_a_score_that_is_no_number_or_out_of_bounds_names_the_example(value, message):
    workload = scored(lambda *_: value)

    with pytest.raises(MeasurementError, match=rf"example 1 of own: .*{message}"):
        score_of(workload, workload.examples()[0])


def test_without_bounds_any_finite_score_will_do():
    workload = scored(lambda *_: -250, bounds=None)

    assert score_of(workload, workload.examples()[0]) == -250.0
