"""A version stands for callables, together with all else that is known of them."""

import pytest

from pytest_quantcheck import Generation
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.custom import Scored


def polite(output, example):  # noqa: ARG001
    return 1.0


def other(output, example):  # noqa: ARG001
    return 0.0


def own(name="own", rows=("ab",), score=polite, **options):
    return Scored(list(rows), score=score, name=name, **options)


def claim(workload):
    return workload.claim(workload.examples())


def test_without_callables_the_fingerprint_is_enough():
    workload = Generation.from_examples([{"prompt": "a", "answer": "b"}], name="sums")
    assert claim(workload) == ""


def test_callables_need_a_version():
    assert claim(own()) is None
    assert claim(own(version="1")) == claim(own(version="1"))


@pytest.mark.parametrize(
    "options",
    [
        {"version": "2"},
        {"name": "another"},
        {"score": other},
        {"extract": str.strip},
        {"rows": [{"prompt": "ab", "gold": 1}]},
        {"rows": [{"prompt": "ab", "gold": 2}]},
    ],
)
def test_what_callables_are_and_are_given_counts(options):
    assert claim(own(**{"version": "1", **options})) != claim(own(version="1"))


def test_examples_that_are_no_plain_data_have_no_claim():
    assert claim(own(version="1", rows=[{"prompt": "ab", "check": object()}])) is None


def test_every_callable_takes_a_version():
    rows = [{"prompt": "a", "answer": "b"}]
    for options in ({"run": print}, {"judge": print}, {"extract": str.strip}, {"score": polite}):
        workload = Generation.from_examples(rows, name="sums", version="1", **options)
        assert claim(workload)


def test_a_version_of_nothing_is_refused():
    with pytest.raises(UsageError, match="workload sums: version='1' stands for callables"):
        Generation.from_examples([{"prompt": "a", "answer": "b"}], name="sums", version="1")


@pytest.mark.parametrize("version", [1, ""])
def test_a_version_is_a_string(version):
    with pytest.raises(UsageError, match=r"version=.*: expected a string, such as '1'"):
        own(version=version)
