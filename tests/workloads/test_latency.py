"""The recipe of a timed workload: what it takes, and what it refuses."""

import math

import pytest

from pytest_quantcheck import Latency
from pytest_quantcheck.errors import UsageError

WRONG = {
    "neither prompts nor a length": ({}, r"expected prompt_tokens=512 .* prompts=\[…\], or both"),
    "no whole number": ({"prompt_tokens": 8.0}, r"prompt_tokens=8\.0: expected a whole number"),
    "True is no number": ({"prompt_tokens": True}, "prompt_tokens=True: expected a whole number"),
    "no tokens": ({"prompt_tokens": 0}, "prompt_tokens=0: .* at least 1"),
    "no new tokens": ({"prompt_tokens": 8, "new_tokens": 0}, "new_tokens=0: .* at least 1"),
    "one text": ({"prompts": "hello"}, "prompts='hello': expected a list of texts"),
    "no text": ({"prompts": []}, r"prompts=\[\]: expected a list of texts"),
    "an empty text": ({"prompts": [""]}, "found '' among the prompts, expected a text"),
    "prompts nobody serves": (
        {"prompts": ["a", "b", "c"], "batch_size": (1, 2)},
        "3 prompts, and the largest batch has 2 rows",
    ),
    "no batch": ({"prompt_tokens": 8, "batch_size": 0}, "batch_size=0: expected a whole number"),
    "no batches": ({"prompt_tokens": 8, "batch_size": ()}, r"batch_size=\(\): expected"),
    "a size twice": ({"prompt_tokens": 8, "batch_size": (1, 1)}, "several different ones"),
    "too few repeats": ({"prompt_tokens": 8, "repeats": 11}, "repeats=11: .* at least 12"),
    "another mode": ({"prompt_tokens": 8, "mode": "compile"}, "did you mean 'compiled'"),
    "no time": ({"prompt_tokens": 8, "seconds": 0}, "seconds=0: expected a number above 0"),
    "endless": ({"prompt_tokens": 8, "seconds": math.inf}, "seconds=inf: expected a number"),
    "time in words": ({"prompt_tokens": 8, "seconds": "9"}, "seconds='9': expected a number"),
    "a name on two lines": ({"prompt_tokens": 8, "name": "a\nb"}, "workload name: found"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_says_what_was_expected(options, message):
    with pytest.raises(UsageError, match=message):
        Latency(**{"new_tokens": 4} | options)


def test_one_new_token_has_no_time_between_tokens():
    assert Latency(prompt_tokens=8, new_tokens=2).metrics == (
        "ttft",
        "tpot",
        "e2e",
        "throughput",
        "peak_memory",
    )
    assert "tpot" not in Latency(prompt_tokens=8, new_tokens=1).metrics


def test_several_batch_sizes_are_slices_that_a_budget_must_name():
    several = Latency(prompt_tokens=8, new_tokens=2, batch_size=(1, 8))

    assert several.slices == ("batch 1", "batch 8")
    assert several.batch_size_of("batch 8", shown="here") == 8
    with pytest.raises(
        UsageError, match="here: workload latency has the batch sizes 1, 8; name one"
    ):
        several.batch_size_of(None, shown="here")
    with pytest.raises(UsageError, match=r"here: slice='batch 9': .* did you mean 'batch 8'"):
        several.batch_size_of("batch 9", shown="here")


def test_one_batch_size_needs_no_name():
    one = Latency(prompt_tokens=8, new_tokens=2, batch_size=4)

    assert one.batch_size_of(None, shown="here") == 4
    with pytest.raises(UsageError, match=r"slice='batch 4': .* it has one batch size"):
        one.batch_size_of("batch 4", shown="here")


def test_the_fingerprint_is_of_what_is_served_and_not_of_how_long():
    one = Latency(prompt_tokens=8, new_tokens=2)
    longer = Latency(prompt_tokens=8, new_tokens=2, repeats=100, seconds=3, name="other")
    other = Latency(prompt_tokens=9, new_tokens=2)

    assert one.fingerprint == longer.fingerprint != other.fingerprint
    assert repr(one) == "Latency('latency')"
