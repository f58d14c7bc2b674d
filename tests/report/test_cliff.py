"""A cliff is said where it is shown, and never where noise can make one."""

import random
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import pytest
from known_records import CHECK, MEASURED, run

from pytest_quantcheck.report.cliff import cliff_lines, find_cliffs

PAGE = Path(__file__).parent.parent.parent / "docs" / "explanation" / "verdicts.md"
SIZES = {"fp16": 16_000, "int8": 8_500, "int4": 4_600, "int3": 3_900}


def measured(variant, workload="invoice", metric="accuracy"):
    return replace(
        MEASURED,
        variant=variant,
        variant_label=variant,
        workload=workload,
        metric=metric,
        weight_bytes=SIZES[variant],
        is_reference=variant == "fp16",
    )


def loss(variant, value, low, high, workload="invoice", **changes):
    return replace(
        CHECK, variant=variant, variant_label=variant, workload=workload, value=value, low=low,
        high=high, **changes,
    )  # fmt: skip


def record(*checks):
    pairs = dict.fromkeys((name, check.workload) for check in checks for name in SIZES)
    return run(*checks, measurements=[measured(*pair) for pair in pairs])


def said(*checks):
    return "\n".join(cliff_lines(record(*checks)))


STEEP = (loss("int8", 0.006, 0.001, 0.011), loss("int4", 0.23, 0.189, 0.271))
FLAT = (
    loss("int8", 0.002, -0.003, 0.007, "triage"),
    loss("int4", 0.023, 0.015, 0.032, "triage"),
)


def test_the_line_says_where_a_workload_falls_and_which_do_not():
    assert said(*FLAT, *STEEP) == (
        "cliff: invoice falls between int8 (0.6 pp) and int4 (23.0 pp [18.9, 27.1]); triage does "
        "not"
    )


def test_several_workloads_that_fall_have_a_line_each():
    orders = [replace(one, workload="orders") for one in STEEP]

    assert said(*STEEP, *orders, *FLAT) == (
        "cliff: invoice falls between int8 (0.6 pp) and int4 (23.0 pp [18.9, 27.1])\n"
        "       orders falls between int8 (0.6 pp) and int4 (23.0 pp [18.9, 27.1])\n"
        "       triage does not"
    )
    assert said(*STEEP, *orders).count("\n") == 1


def test_without_a_cliff_the_line_says_so():
    assert said(*FLAT) == "no cliff from fp16 to int4: triage"


def test_variants_are_ordered_by_their_weights_and_not_as_budgets_come():
    assert said(*reversed(STEEP)) == said(*STEEP)


def test_one_variant_alone_has_no_cliff():
    assert said(STEEP[1]) == ""


def test_the_first_step_is_one_if_little_is_lost_after_it():
    early = (loss("int8", 0.23, 0.22, 0.24), loss("int4", 0.24, 0.23, 0.25))

    assert said(*early) == "cliff: invoice falls between fp16 and int8 (23.0 pp [22.0, 24.0])"


def test_a_loss_that_grows_evenly_is_no_cliff():
    even = (loss("int8", 0.10, 0.09, 0.11), loss("int4", 0.20, 0.19, 0.21))

    assert said(*even) == "no cliff from fp16 to int4: invoice"


def test_what_was_lost_once_is_not_lost_again():
    """A smaller variant that loses less does not make the one after it a cliff."""
    back = (
        loss("int8", 0.20, 0.19, 0.21),
        loss("int4", 0.02, 0.01, 0.03),
        loss("int3", 0.22, 0.21, 0.23),
    )

    (found,) = find_cliffs(record(*back))

    assert found.losses[found.position].variant == "int8"


def test_wide_intervals_settle_nothing():
    wide = (loss("int8", 0.02, -0.05, 0.09), loss("int4", 0.15, 0.05, 0.25))

    assert said(*wide) == ""
    assert said(*wide, *FLAT) == "no cliff from fp16 to int4: triage; not settled: invoice"


def test_a_small_jump_is_no_cliff_however_sure():
    small = (loss("int8", 0.0, -0.001, 0.001), loss("int4", 0.013, 0.010, 0.016))

    assert said(*small) == "no cliff from fp16 to int4: invoice"


def test_perplexities_are_compared_as_ratios():
    ratio = {"statistic": "log_ratio", "unit": "ratio", "level_unit": "perplexity"}
    flat = (
        loss("int8", 1.001, 0.999, 1.003, **ratio),
        loss("int4", 1.038, 1.036, 1.041, **ratio),
    )
    steep = (flat[0], loss("int4", 1.31, 1.28, 1.34, **ratio))

    assert said(*flat) == "no cliff from fp16 to int4: invoice"
    assert "between int8 (1.001) and int4 (1.310 [1.280, 1.340])" in said(*steep)
    assert said(replace(flat[0], low=0.0), steep[1]) == ""


@pytest.mark.parametrize(
    "changes",
    [{"low": None, "high": None}, {"slice": "vip"}, {"statistic": "variant_level"}],
    ids=["no interval", "a slice", "a level"],
)
def test_what_is_no_loss_of_the_whole_workload_is_left_out(changes):
    assert said(STEEP[0], replace(STEEP[1], **changes)) == ""


def test_the_headline_metric_counts_and_another_one_is_named():
    other = [replace(one, metric="contains") for one in STEEP]

    assert said(*FLAT[:0], *other).startswith("cliff: invoice (contains) falls")
    flat = [replace(one, workload="invoice") for one in FLAT]
    assert said(*other, *flat) == "no cliff from fp16 to int4: invoice"


# Error rates: normal estimates with known errors

ERROR = 0.012
Z = NormalDist().inv_cdf(0.95)


def estimated(rng, variant, true, workload):
    value = rng.gauss(true, ERROR)
    return loss(variant, value, value - Z * ERROR, value + Z * ERROR, workload)


def rate_of_claims(*truth, workloads, runs=400):
    """Return the share of runs that claim a cliff in any of several workloads of one truth."""
    rng = random.Random(0)
    variants = list(SIZES)[1:]
    found = 0
    for _ in range(runs):
        checks = [
            estimated(rng, variant, true, f"w{k}")
            for k in range(workloads)
            for variant, true in zip(variants, truth, strict=False)
        ]
        found += any(one.position is not None for one in find_cliffs(record(*checks)))
    return found / runs


@pytest.mark.parametrize(
    ("truth", "workloads"),
    [
        pytest.param((0.0, 0.0), 8, id="nothing lost"),
        pytest.param((0.05, 0.10), 8, id="an even loss"),
        pytest.param((0.0, 0.0456), 8, id="a step of just a twentieth"),
        pytest.param((0.04, 0.16), 1, id="just three times, one workload"),
        pytest.param((0.04, 0.16), 8, id="just three times, eight workloads"),
    ],
)
def test_noise_makes_a_cliff_in_at_most_alpha_of_the_runs(truth, workloads):
    allowed = 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5

    assert rate_of_claims(*truth, workloads=workloads) <= allowed


def test_the_page_says_how_plain_a_step_has_to_be():
    def losses(points):
        """Eight workloads of 1,000 examples, 5 % flips beside what is lost."""
        for variant, lost in (("int8", 0), ("int4", points / 100)):
            error = Z * ((0.05 + lost) / 1000) ** 0.5
            for k in range(8):
                yield loss(variant, lost, lost - error, lost + error, f"w{k}")

    shown = [one for one in range(30) if "cliff: w0 falls" in said(*losses(one))]

    assert shown[0] == 13
    assert f"int4 has to lose some {shown[0]} points" in " ".join(PAGE.read_text("utf-8").split())


def test_a_cliff_of_twenty_errors_is_found():
    assert rate_of_claims(0.005, 0.25, workloads=4, runs=200) >= 0.95
