"""Failure texts, headlines and JSON are functions of records."""

import json
import math
from dataclasses import replace

import pytest
from known_records import CHECK, ENVIRONMENT, FLIP, SCHEMA_VERSION, run

from pytest_quantcheck.core.record import SliceRecord
from pytest_quantcheck.report.failure import render_failure
from pytest_quantcheck.report.gallery import Layout
from pytest_quantcheck.report.json import render_json
from pytest_quantcheck.report.terminal import render_counts
from pytest_quantcheck.report.wording import headline, more_examples, remark


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"outcome": "pass", "reason": "shown_within"}, ""),
        ({"outcome": "pass", "reason": "identical_scores"}, "identical scores"),
        ({"outcome": "fail", "reason": "non_finite"}, "non finite"),
        ({"needed_n": None}, "not enough evidence"),
        ({"needed_n": 1200}, "not enough evidence"),
        ({"needed_n": 1201}, "~1 more examples"),
        ({"needed_n": 2300, "level_unit": "perplexity"}, "~1,100 more documents"),
        ({"needed_n": 2300, "are_blocks": True}, "~1,100 more blocks"),
        ({"reason": "zero_limit", "needed_n": None}, "zero limit"),
    ],
)
def test_an_outcome_says_what_would_settle_it_or_why(change, shown):
    assert remark(replace(CHECK, **change)) == shown


def test_counts_are_rounded_up_to_two_digits():
    assert more_examples(replace(CHECK, needed_n=1200 + 12_341)) == "~13,000 more examples"


def test_the_headline_names_what_was_tested_on_what():
    assert headline(ENVIRONMENT) == (
        "quantcheck · models/helpdesk · fp16 reference · NVIDIA H100 · "
        "alpha 0.05 over 12 budgets (family 20)"
    )


def test_a_failure_reads_from_the_verdict_down():
    failed = replace(CHECK, outcome="fail", reason="shown_over", needed_n=None, p_fail=1.2e-5)

    text = render_failure(failed, ENVIRONMENT, reproduce="pytest 'test_a.py::test_triage[int4]'")

    assert text == (
        "FAIL: int4 (nf4) on triage: accuracy drop 2.3 pp [1.5, 3.2] (90 % CI), budget <= 3.0 pp\n"
        "  shown to be over the limit\n"
        "  reference fp16 91.2 %, variant 88.9 %, on NVIDIA H100\n"
        "  n = 1,200 examples, 40 lost and 12 gained (1,054 right and 94 wrong in both),\n"
        "    McNemar's p = 0.00013\n"
        "  exact unconditional test, p = 1.2e-05 against 0.0025 for FAIL\n"
        "  worst flips, 1 of 40 lost:\n"
        "    e17 [billing]  lost, margin +1.25 -> -0.50 nats\n"
        "      Which queue? My card was charged twice.\n"
        '      expected  " billing"\n'
        '      reference " billing" | variant   " returns"\n'
        "  reproduce: pytest 'test_a.py::test_triage[int4]'"
    )


def test_an_inconclusive_text_says_how_many_more():
    text = render_failure(
        replace(CHECK, n_clusters=240, note="one shop has half of them"),
        ENVIRONMENT,
        reproduce="pytest",
    )

    assert "  the examples show neither side of the limit; one shop has half of them\n" in text
    assert "n = 1,200 examples in 240 clusters, 40 lost" in text
    widened = replace(CHECK, n_clusters=240, design_effect=2.4)
    costly = " ".join(render_failure(widened, ENVIRONMENT, reproduce="pytest").split())
    assert "in 240 clusters (design effect 2.4: they tell as much as 500 alone), 40" in costly
    said = " ".join(text.split())
    assert "test, p = 0.9 against 0.0025 for FAIL, p = 0.08 against 0.05 for PASS worst" in said
    assert "  would settle it: ~2,900 more examples (80 % chance at this estimate)\n" in text


@pytest.mark.parametrize(
    ("pvalue", "n", "shown"),
    [(0.004, 300, True), (0.006, 300, False), (0.004, 600, True), (0.004, 601, False)],
)
def test_a_slice_with_far_more_than_its_share_is_named(pvalue, n, shown):
    slices = [
        SliceRecord(slice="over 100", n=n, n_worse=30, n_better=1, p_concentrated=pvalue),
        SliceRecord(slice="under 100", n=900, n_worse=10, n_better=2, p_concentrated=1.0),
    ]

    text = render_failure(replace(CHECK, slices=slices), ENVIRONMENT, reproduce="x")

    line = f"  30 of the 40 lost are in slice 'over 100', {n} of the 1,200 examples\n"
    assert (line in text) == shown


def test_a_pvalue_too_small_to_print_is_a_bound():
    text = render_failure(replace(CHECK, mcnemar_p=0.0), ENVIRONMENT, reproduce="x")

    assert "McNemar's p <1e-300\n" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_facts_are_wrapped_and_the_command_is_not(width):
    long = replace(CHECK, note="one shop has half of them " * 8)

    *lines, command = render_failure(
        long, ENVIRONMENT, reproduce="pytest " + "x" * 200, layout=Layout(width=width)
    ).split("\n")

    assert max(map(len, lines[1:])) <= width
    assert command == "  reproduce: pytest " + "x" * 200


def test_text_from_models_cannot_drive_the_terminal():
    nasty = replace(FLIP, prompt="\x1b[31mred\x1b[0m", variant_output="\x07\u202eabc" + "x" * 9999)

    text = render_failure(replace(CHECK, worst=[nasty]), ENVIRONMENT, reproduce="pytest")

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "\\x1b[31mred" in text
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_text_from_models_cannot_give_orders_to_ci(columns):
    order = "::add-mask::e ##[add-mask]e"
    padded = " ".join([order] * 30)
    flip = replace(FLIP, prompt=padded, variant_output=padded, reference_output=f"a\n{padded}")

    text = render_failure(
        replace(CHECK, worst=[flip]),
        ENVIRONMENT,
        reproduce="pytest",
        layout=Layout(width=columns, is_whole=True),
    )

    assert "add-mask" in text
    assert "##[" not in text
    assert not [line for line in text.split("\n") if line.lstrip().startswith("::")]


def test_json_is_strict_and_complete():
    text = render_json(run(replace(CHECK, high=math.inf, low=-math.inf, value=math.nan)))

    data = json.loads(text, parse_constant=pytest.fail)
    assert data["schema_version"] == SCHEMA_VERSION
    assert (data["checks"][0]["low"], data["checks"][0]["high"]) == ("-inf", "inf")
    assert data["checks"][0]["value"] == "nan"
    assert data["checks"][0]["worst"][0]["example"] == "e17"
    assert data["measurements"][0]["first_token_ids"] == [1, 2, 3]


def test_counts_name_every_outcome():
    assert render_counts(["inconclusive"]) == (
        "quantcheck: 1 budget decided: 0 pass, 0 fail, 1 inconclusive"
    )
