"""How outputs are made: options that fit together, and samples as examples."""

import pytest

from pytest_quantcheck import Generation, contains
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.decoding import Decoding


def workload(*rows, **options):
    examples = [{"prompt": f"{n} =", "answer": "4", "id": f"e{n}"} | row
                for n, row in enumerate(rows or [{}], start=1)]  # fmt: skip
    return Generation.from_examples(examples, name="sums", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_new_tokens": 0}, "workload sums: max_new_tokens=0: expected a whole number, at l"),
        ({"max_new_tokens": 2.0}, r"max_new_tokens=2\.0"),
        ({"stop": ""}, "stop='': expected a non-empty string"),
        ({"stop": ["\n", 4]}, "stop="),
        ({"stop": {"\n"}}, "stop="),
        ({"temperature": -1}, "temperature=-1: expected a number of at least 0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"temperature": True}, "temperature=True"),
        ({"temperature": "hot"}, "temperature='hot'"),
        ({"temperature": 1, "top_p": 0}, "top_p=0: expected a number above 0"),
        ({"temperature": 1, "top_p": 1.1}, r"top_p=1\.1: expected .* at most 1"),
        ({"temperature": 1, "top_k": 0}, "top_k=0: expected a whole number"),
        ({"temperature": 1, "top_k": 5.0}, r"top_k=5\.0"),
        ({"temperature": 1, "samples": 0}, "samples=0"),
        ({"temperature": 1, "seed": "x"}, "seed='x'"),
        ({"samples": 4}, "samples=4 needs sampling: give a temperature"),
        ({"samples": 4, "temperature": 0}, "samples=4 needs sampling"),
        ({"top_p": 0.9}, r"top_p=0\.9 needs sampling"),
        ({"top_k": 5}, "top_k=5 needs sampling"),
        ({"seed": 5}, "seed=5 needs sampling"),
        ({"run": "model"}, "run='model': expected a callable"),
        ({"run": print, "stop": "\n"}, "stop= has no effect with run="),
        ({"run": print, "chat": True}, "chat= has no effect with run="),
        ({"judge": "better"}, "judge='better': expected a callable judge"),
        ({"judge": print, "score": len}, "two scorers give the metric 'score'"),
        ({"tempreature": 1}, "unknown option 'tempreature'; did you mean 'temperature'"),
    ],
)
def test_a_wrong_option_is_refused_at_once(options, message):
    with pytest.raises(UsageError, match=message):
        workload(**options)


def test_no_temperature_is_greedy():
    greedy = workload().decoding

    assert greedy == workload(temperature=0).decoding == Decoding()
    assert greedy.stream("e1") == 0
    assert workload(stop="\n").decoding.stop == ("\n",)


def test_samples_of_a_prompt_are_examples_of_one_cluster():
    rows = [{}, {"cluster": "own", "slice": "easy"}]
    asked = workload(*rows, temperature=1, samples=3)

    examples = asked.examples()

    assert [one.id for one in examples] == ["e1#1", "e1#2", "e1#3", "e2#1", "e2#2", "e2#3"]
    assert [one.cluster for one in examples] == ["samples of e1"] * 3 + ["own"] * 3
    assert {one.slice for one in examples[3:]} == {"easy"}
    assert {asked.case(one).given["id"] for one in examples[:3]} == {"e1"}
    assert len(asked.examples(max_examples=1)) == 3


def test_one_sample_keeps_the_id():
    (example,) = workload(temperature=1).examples()

    assert (example.id, example.cluster) == ("e1", None)


def test_random_numbers_depend_on_seed_and_example_alone():
    decoding, other = Decoding(temperature=1.0, seed=1), Decoding(temperature=1.0, seed=2)
    streams = [one.stream(name) for one in (decoding, other) for name in ("e1#1", "e1#2")]

    assert len(set(streams)) == 4
    assert all(0 <= stream < 2**64 for stream in streams)
    assert Decoding(temperature=0.5, top_k=4, seed=1).stream("e1#1") == streams[0]


def test_the_fingerprint_knows_how_outputs_are_made():
    options = [
        {},
        {"max_new_tokens": 5},
        {"stop": "\n"},
        {"temperature": 1},
        {"temperature": 1, "seed": 1},
        {"temperature": 1, "top_k": 1},
        {"temperature": 1, "top_p": 0.5},
        {"temperature": 1, "samples": 2},
    ]
    prints = [(made := workload(**one)).fingerprint(made.examples()) for one in options]

    assert len(set(prints)) == len(options)


def test_what_a_callable_makes_or_judges_has_no_digest():
    assert workload(score=contains()).has_digest
    assert not workload(run=print).has_digest
    assert not workload(judge=print).has_digest


def test_a_judge_gives_a_score_and_needs_no_answers():
    assert workload(judge=print).metrics[0] == "score"
    assert workload(judge=print, score=contains()).metrics[:2] == ("contains", "score")
    assert workload({"answer": None}, judge=print).examples()[0].item.answers == ()


def test_what_run_makes_has_no_longest_length():
    assert "truncated" in workload().metrics
    assert "truncated" not in workload(run=print).metrics
