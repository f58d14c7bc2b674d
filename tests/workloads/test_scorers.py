"""Scorers say what is right, extraction what they look at, and fingerprints know both."""

import builtins
import json
import math
import re

import pytest

from pytest_quantcheck import Generation, contains, exact_match, json_valid, regex
from pytest_quantcheck.errors import BackendUnavailable, MeasurementError, UsageError
from pytest_quantcheck.workloads.generation import FAULTS

TOTAL = {
    "type": "object",
    "properties": {"total": {"type": "integer"}},
    "required": ["total"],
}


def workload(answer="4", **options):
    row = {"prompt": "2 + 2 =", "answer": answer, "id": "sum"}
    return Generation.from_examples([row], name="sums", **options)


def values(output, answer="4", **options):
    asked = workload(answer, **options)
    (example,) = asked.examples()
    return asked.output_scoring.ready()(output, asked.case(example)).values


@pytest.mark.parametrize(
    ("score", "output", "answer", "expected"),
    [
        (exact_match(), " four\n", ["4", "four"], 1),
        (exact_match(), "Four", ["4", " four "], 0),
        (exact_match(ignore_case=True), "Four", "four", 1),
        (contains(), "It is 4, I think.", ["4", "four"], 1),
        (contains(), "It is four.", ["4", " four "], 1),
        (contains(), "It is Four.", "four", 0),
        (contains(ignore_case=True), "It is STRASSE.", "straße", 1),
        (regex(r"^\d+$"), "x4", "4", 0),
        (regex(r"\d+"), "x4y", "4", 1),
        (regex(r"\d+", fullmatch=True), " 4\n", "4", 1),
        (regex(r"\d+", fullmatch=True), "x4", "4", 0),
        (regex(re.compile("FOUR", re.IGNORECASE)), "four", "4", 1),
        (json_valid(), ' {"total": 4}\n', "4", 1),
        (json_valid(), '{"total": 4} Done.', "4", 0),
        (json_valid(), '{"total": NaN}', "4", 0),
        (json_valid(), "[" * 100_000, "4", 0),
        (json_valid(), "9" * 5000, "4", 0),
        (json_valid(TOTAL), '{"total": 4}', "4", 1),
        (json_valid(TOTAL), '{"total": "4"}', "4", 0),
        (json_valid(TOTAL), "[]", "4", 0),
    ],
)
def test_a_scorer_gives_its_metric(score, output, answer, expected):
    assert values(output, answer, score=score) == {score.metric: expected}


def test_several_scorers_are_several_metrics_of_one_output():
    asked = workload(score=[json_valid(), contains(), lambda output, _: len(output) / 10])

    assert asked.metrics == ("json_valid", "contains", "score", *FAULTS)
    scores = values("[4]", score=[json_valid(), contains(), lambda output, _: len(output) / 10])
    assert scores == {"json_valid": 1, "contains": 1, "score": 0.3}


def test_exact_match_is_the_default_and_parentheses_may_be_left_out():
    assert workload().metrics[0] == "exact_match"
    assert workload(score=[contains, json_valid]).metrics[:2] == ("contains", "json_valid")


def test_a_callable_sees_the_example_as_it_stands_in_the_data():
    seen = []
    row = {"q": "2 + 2 =", "unit": "EUR"}
    asked = Generation.from_examples(
        [{"prompt": row["q"], "unit": row["unit"]}],
        name="sums",
        score=lambda output, example: seen.append((output, example)) or 1,
    )
    (example,) = asked.examples()

    asked.output_scoring.ready()("4 EUR", asked.case(example))

    assert seen == [("4 EUR", {"prompt": "2 + 2 =", "unit": "EUR"})]


@pytest.mark.parametrize("answer", [None, 4, [], {"total": 4}])
def test_answers_are_needed_only_by_scorers_that_compare(answer):
    (example,) = workload(answer, score=json_valid()).examples()

    assert example.item.answers == ()
    with pytest.raises(MeasurementError, match="field 'answer': found"):
        workload(answer, score=[json_valid(), contains()]).examples()


@pytest.mark.parametrize(
    ("extract", "output", "found"),
    [
        (r"####\s*(-?[\d,]+)", "#### 3\nno: #### 4", True),
        (r"####\s*(-?[\d,]+)", "the answer is 4", False),
        (r"is (?P<unit>\$)?(?P<answer>\d)", "it is $4", True),
        (r"\d", "3, or 4", True),
        (r"x(\d)?", "x", False),
        (lambda output: output[-1:], "it is 4", True),
        (lambda output: None, "4", False),  # noqa: ARG005
    ],
)
def test_the_final_answer_is_taken_out_of_an_output(extract, output, found):
    asked = workload(extract=extract)
    (example,) = asked.examples()

    scores = asked.output_scoring.ready()(output, asked.case(example))

    assert (scores.values, scores.is_extracted) == ({"exact_match": float(found)}, found)


def test_where_nothing_is_found_every_scorer_gives_its_lowest():
    scorers = [regex(".*"), lambda *_: 5.0]
    assert values("text", score=scorers, extract="#(.*)", bounds=(2, 6)) == {
        "regex_match": 0.0,
        "score": 2.0,
    }


def test_accepted_answers_are_extracted_too():
    asked = workload("2 + 2 = 4\n#### 4", extract_answer=r"####\s*(\d+)", extract=r"(\d+)\D*$")
    (example,) = asked.examples()

    assert example.item.answers == ("4",)
    with pytest.raises(MeasurementError, match=r"examples\[0\]: extract_answer found nothing in"):
        workload("four", extract_answer=r"(\d+)").examples()


def test_a_callable_that_extracts_must_return_text():
    with pytest.raises(MeasurementError, match=r"example sum of sums: extract returned 4, expec"):
        values("4", extract=lambda _: 4)


def test_a_schema_may_be_a_file_beside_the_caller(tmp_path, monkeypatch):
    (tmp_path / "total.json").write_text(json.dumps(TOTAL), encoding="utf-8")
    (tmp_path / "schemas.py").write_text(
        "from pytest_quantcheck import json_valid\ntotal = json_valid('total.json')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)

    import schemas

    assert values('{"total": 4}', score=schemas.total) == {"json_valid": 1}
    assert values("{}", score=schemas.total) == {"json_valid": 0}
    assert schemas.total.recipe() == json_valid(TOTAL).recipe()


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("absent.json", r"absent\.json.*cannot be read as JSON.*folder of the calling file"),
        ({"type": math}, "cannot be read as JSON"),
        ({"type": "strnig"}, r"not a valid JSON schema at \$\.type: 'strnig'"),
        ({"$ref": "https://example.org/total"}, r"refers to .*example\.org.*\$defs"),
        ({"$ref": "#/$defs/total"}, r"refers to .*total.*\$defs"),
    ],
)
def test_a_wrong_schema_is_a_usage_error(schema, message):
    with pytest.raises(UsageError, match=message):
        values("{}", score=json_valid(schema))


def test_a_schema_file_must_hold_an_object(tmp_path):
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")

    with pytest.raises(UsageError, match="found list, expected a JSON object"):
        values("{}", score=json_valid(tmp_path / "list.json"))


def test_a_missing_package_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "jsonschema":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BackendUnavailable, match=r"pip install 'pytest-quantcheck\[json-schema\]'"):
        values("{}", score=json_valid(TOTAL))
    assert values("{}", score=json_valid()) == {"json_valid": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "exact_match"}, "score='exact_match': expected a callable"),
        ({"score": []}, "expected at least one scorer"),
        ({"score": regex}, "give the pattern"),
        ({"score": [contains(), contains(ignore_case=True)]}, "two scorers give the metric"),
        ({"score": [len, max]}, "two scorers give the metric 'score'"),
        ({"extract": "("}, "workload sums: extract: '\\(' is no regular expression"),
        ({"extract": ""}, "extract: found '', expected a regular expression"),
        ({"extract": re.compile(b"x")}, "expected a regular expression"),
        ({"extract_answer": 4}, "extract_answer: found 4"),
        ({"extract": "x", "score": len, "bounds": None}, "extract= with bounds=None"),
        ({"scorer": len}, "unknown option 'scorer'; did you mean 'score'"),
    ],
)
def test_a_wrong_option_is_refused_at_once(options, message):
    with pytest.raises(UsageError, match=message):
        workload(**options)


@pytest.mark.parametrize(
    "build",
    [
        lambda: contains(ignore_case=1),
        lambda: exact_match(ignore_case="no"),
        lambda: regex("x", fullmatch=None),
        lambda: regex("["),
        lambda: regex(4),
        lambda: json_valid(["total"]),
    ],
)
def test_a_wrong_argument_of_a_scorer_is_refused_at_once(build):
    with pytest.raises(UsageError, match=r"expected|no regular expression"):
        build()


DIFFERENT = [
    {},
    {"score": exact_match(ignore_case=True)},
    {"score": contains()},
    {"score": regex("a")},
    {"score": regex("a", fullmatch=True)},
    {"score": regex(re.compile("a", re.IGNORECASE))},
    {"score": json_valid()},
    {"score": json_valid(TOTAL)},
    {"score": json_valid({"type": "object"})},
    {"extract": "(4)"},
    {"extract": re.compile("(4)", re.IGNORECASE)},
    {"extract_answer": "(4)"},
]


def test_the_fingerprint_knows_scorers_patterns_and_schemas():
    prints = [(made := workload(**options)).fingerprint(made.examples()) for options in DIFFERENT]

    assert len(set(prints)) == len(DIFFERENT)
    assert prints[0] == workload(score=exact_match()).fingerprint(workload().examples())


def test_only_workloads_without_callables_have_a_digest():
    assert all(workload(**options).has_digest for options in DIFFERENT)
    for options in ({"score": len}, {"extract": str.strip}, {"extract_answer": str.strip}):
        assert not workload(**options).has_digest
