"""Times of one request batch."""

from dataclasses import replace

import pytest

from pytest_quantcheck.core.latency import (
    LatencySamples,
    RunTimes,
    Schedule,
    Served,
    Stop,
    planned_looks,
)


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


def samples(**changes):
    given = {
        "schedule": Schedule.PAIRS,
        "blocks": (0, 0, 1, 1),
        "is_variant": (False, True, True, False),
        "runs": tuple(replace(run(new_tokens=4), e2e_seconds=e) for e in (1.0, 2.0, 3.0, 4.0)),
        "n_planned": 20,
        "looks": (),
        "stopped": None,
        "seed": 0,
        "reference": Served(mode="eager", fallback=""),
        "variant": Served(mode="eager", fallback=""),
    }
    return LatencySamples(**(given | changes))


def test_samples_are_told_apart_by_side():
    found = samples()

    assert [run.e2e_seconds for run in found.of(variant=True)] == [2.0, 3.0]
    assert [run.e2e_seconds for run in found.of(variant=False)] == [1.0, 4.0]
    assert found.n == 2
    assert samples(blocks=(), is_variant=(), runs=()).n == 0


@pytest.mark.parametrize(
    ("stopped", "n_planned", "is_final"),
    [
        (None, 20, False),
        (Stop.DECIDED, 20, False),
        (Stop.SECONDS, 20, True),
        (Stop.REPEATS, 2, True),
        (None, 2, True),
    ],
)
def test_nothing_more_comes_after_the_last_block_or_the_time_limit(stopped, n_planned, is_final):
    assert samples(stopped=stopped, n_planned=n_planned).is_final is is_final


def test_a_run_is_host_bound_where_the_device_was_done_long_before():
    runs = tuple(
        replace(run(new_tokens=4), device_seconds=d) for d in (1.9, 1.9, 1.0, None)
    )  # e2e 2.0

    found = samples(runs=runs)

    assert found.host_bound_share(variant=False) == 0.0  # one tells
    assert found.host_bound_share(variant=True) == 0.5
    assert samples().host_bound_share(variant=True) is None


@pytest.mark.parametrize(
    ("n_planned", "first", "expected"),
    [
        (60, 12, (12, 18, 24, 30, 36, 42, 48, 54, 60)),
        (300, 12, tuple(range(30, 301, 30))),
        (12, 12, (12,)),
        (13, 12, (12, 13)),
        (8, 8, (8,)),
        (5, 12, (5,)),
    ],
)
def test_looks_are_tenths_of_the_plan_from_the_first_on(n_planned, first, expected):
    assert planned_looks(n_planned, first=first) == expected
