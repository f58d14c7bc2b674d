"""Of what several tests report about the same, the run keeps the most complete."""

from dataclasses import replace

import known_latencies
import known_records as known
import pytest

from pytest_quantcheck.core.gather import gather, in_order


def gathered(*items):
    tests = [known.reported(f"test_{place}", place, **item) for place, item in enumerate(items)]
    return gather(in_order(tests), started="2026-11-21T10:00:00+00:00")


SIZES = pytest.mark.parametrize("sizes", [(400, 1200), (1200, 400)])


@SIZES
def test_of_a_workload_measured_in_part_the_largest_part_counts(sizes):
    items = ({"measurements": [replace(known.MEASURED, n=n)]} for n in sizes)

    assert [one.n for one in gathered(*items).measurements] == [1200]


@SIZES
def test_of_a_workload_timed_twice_the_longer_timing_counts(sizes):
    items = ({"latencies": [replace(known_latencies.LATENCY, n=n)]} for n in sizes)

    assert [one.n for one in gathered(*items).latencies] == [1200]


@SIZES
def test_of_each_model_the_environment_with_most_budgets_counts(sizes):
    other = replace(known.ENVIRONMENT, model="models/other")
    items = (
        {"environment": replace(known.ENVIRONMENT, budgets_collected={"int8": n, "int4": 1})}
        for n in sizes
    )

    run = gathered(*items, {"environment": other})

    assert [one.budgets_collected.get("int8") for one in run.environments] == [1200, None]
    assert run.environment == run.environments[0]


def test_warnings_stand_once_and_name_the_model_where_there_are_two():
    other = replace(known.ENVIRONMENT, model="models/other")
    same = {"warnings": ["slow"]}

    assert gathered(same, same).warnings == ["slow"]
    assert gathered(same, same | {"environment": other}).warnings == [
        "models/helpdesk: slow",
        "models/other: slow",
    ]
