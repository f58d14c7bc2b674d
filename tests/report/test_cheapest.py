"""The cheapest variant is named only where every one of its budgets is a PASS."""

from dataclasses import replace

import pytest
from known_latencies import LATENCY, REFERENCE, VARIANT, ratio
from known_records import CHECK, ENVIRONMENT, MEASURED, run

from pytest_quantcheck.report.cheapest import cheapest_line

SIZES = {"fp16": 16_000, "int8": 8_500, "int4": 4_600}


def measured(variant):
    return replace(
        MEASURED,
        variant=variant,
        variant_label=f"{variant} (label)",
        weight_bytes=SIZES[variant],
        is_reference=variant == "fp16",
    )


def checks(variant, *outcomes):
    return [
        replace(CHECK, variant=variant, variant_label=f"{variant} (label)", outcome=outcome)
        for outcome in outcomes
    ]


def said(*found, collected=None, latencies=(), variants=SIZES):
    counts = collected or {
        name: sum(check.variant == name for check in found)
        for name in dict.fromkeys(check.variant for check in found)
    }
    record = replace(
        run(*found, measurements=[measured(name) for name in variants]),
        environment=replace(ENVIRONMENT, budgets_collected=counts),
        latencies=list(latencies),
    )
    return cheapest_line(record)


def costing(variant, cost, *, reference=10.0, **changes):
    return replace(
        LATENCY,
        gpu_hour_cost=2.5,
        throughput_ratio=ratio(reference / cost if cost else 1.0),
        reference=replace(REFERENCE, cost_per_million_tokens=reference),
        variant=replace(
            VARIANT,
            variant=variant,
            variant_label=f"{variant} (label)",
            cost_per_million_tokens=cost,
        ),
        **changes,
    )


def test_the_smallest_variant_with_every_budget_shown_is_named():
    found = [*checks("int8", "pass", "pass"), *checks("int4", "pass", "pass")]

    assert said(*found) == "cheapest variant with every budget shown: int4 (2 budgets)"


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_a_budget_that_is_not_shown_rules_its_variant_out(outcome):
    found = [*checks("int8", "pass"), *checks("int4", "pass", outcome)]

    assert said(*found) == "cheapest variant with every budget shown: int8 (1 budget; int4 has 2)"


def test_a_waived_failure_is_not_shown():
    waived = [replace(one, is_waived=True) for one in checks("int4", "fail")]

    assert said(*waived) == "no variant has every budget shown: int4 0 of 1"


def test_none_is_said_with_what_is_missing():
    found = [*checks("int8", "pass", "fail"), *checks("int4", "inconclusive")]

    assert said(*found) == "no variant has every budget shown: int8 1 of 2, int4 0 of 1"


def test_a_budget_that_was_never_decided_is_not_shown():
    found = checks("int4", "pass", "pass")

    assert said(*found, collected={"int8": 1, "int4": 3}) == (
        "no variant has every budget shown: int8 0 of 1, int4 2 of 3"
    )


def test_a_variant_without_budgets_is_never_the_cheapest():
    assert said() == ""
    assert said(*checks("int8", "pass")) == (
        "cheapest variant with every budget shown: int8 (1 budget; int4 has none)"
    )
    assert "fp16" not in said(*checks("int4", "pass"))


def test_weights_come_from_budgets_on_them_where_nothing_was_measured():
    small, large = (
        replace(one, metric="weight_memory", variant_level=size, reference_level=16.0)
        for one, size in ((*checks("int4", "pass"), 4.0), (*checks("int8", "pass"), 8.0))
    )

    assert "shown: int4" in said(large, small, variants=())


def test_unknown_sizes_are_never_the_smallest():
    found = [*checks("int4", "pass"), *checks("int8", "pass")]

    assert "shown: int8" in said(*found, variants=["int8"])
    assert "shown: int4" in said(*found, variants=[])


def test_a_price_decides_where_all_were_timed_at_one_shape():
    found = [*checks("int8", "pass"), *checks("int4", "pass")]
    timed = [costing("int8", 18.0, reference=14.0), costing("int4", 16.0, reference=20.0)]

    assert said(*found, latencies=timed) == (
        "cheapest variant with every budget shown: int4 (1 budget; 16 per million tokens, 0.800 "
        "times fp16 beside it)"
    )
    swapped = [costing("int8", 15.0, reference=12.0), costing("int4", 16.0, reference=14.1)]
    assert said(*found, latencies=swapped) == (
        "cheapest variant with every budget shown: int8 (1 budget; 15 per million tokens, 1.250 "
        "times fp16 beside it)"
    )


def test_costs_at_different_shapes_are_not_compared():
    found = [*checks("int8", "pass"), *checks("int4", "pass")]
    apart = [costing("int8", 1.0, slice="batch 8"), costing("int4", 16.0, slice="batch 1")]
    shared = [costing("int8", 9.0, slice="batch 1"), *apart]

    assert said(*found, latencies=apart) == (
        "cheapest variant with every budget shown: int4 (1 budget)"
    )
    assert "shown: int8 (1 budget; 9 per million tokens" in said(*found, latencies=shared)


def test_without_a_price_weights_decide():
    found = [*checks("int8", "pass"), *checks("int4", "pass")]
    timed = [costing("int8", None), costing("int4", None)]

    assert said(*found, latencies=timed).endswith("int4 (1 budget)")
