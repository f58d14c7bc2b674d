"""Times of one request batch."""

import pytest

from pytest_quantcheck.core.latency import RunTimes


def run(*, new_tokens, batch_size=1):
    return RunTimes(
        ttft_seconds=0.5,
        e2e_seconds=2.0,
        device_seconds=None,
        new_tokens=new_tokens,
        batch_size=batch_size,
    )


def test_time_per_output_token_leaves_out_the_first():
    assert run(new_tokens=4).tpot_seconds == 0.5


def test_one_token_has_no_time_per_output_token():
    assert run(new_tokens=1).tpot_seconds is None


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 2.0), (8, 16.0)])
def test_tokens_per_second_count_every_request_and_the_whole_time(batch_size, expected):
    assert run(new_tokens=4, batch_size=batch_size).tokens_per_second == expected
