"""Reports are functions of records: known data, known text."""

import json
import math
from dataclasses import replace

import pytest

from pytest_quantcheck.core.record import (
    SCHEMA_VERSION,
    CheckRecord,
    EnvironmentRecord,
    ExampleRecord,
    MeasurementRecord,
    RunRecord,
)
from pytest_quantcheck.report.failure import render_failure
from pytest_quantcheck.report.json import render_json
from pytest_quantcheck.report.table import check_table, variant_table
from pytest_quantcheck.report.terminal import render_counts, render_summary
from pytest_quantcheck.report.wording import headline, more_examples, remark

FLIP = ExampleRecord(
    example="e17",
    slice="billing",
    prompt="Which queue?\nMy card was charged twice.",
    expected=" billing",
    reference_output=" billing",
    variant_output=" returns",
    reference_value=1.0,
    variant_value=0.0,
    is_worse=True,
    reference_margin=1.25,
    variant_margin=-0.5,
)
CHECK = CheckRecord(
    nodeid="test_a.py::test_triage[int4]",
    path="test_a.py",
    line=12,
    variant="int4",
    variant_label="int4 (nf4)",
    reference_label="fp16",
    workload="triage",
    metric="accuracy",
    keyword="max_accuracy_drop",
    statistic="drop",
    bound="upper",
    limit=0.03,
    unit="points",
    level_unit="fraction",
    reference_level=0.912,
    variant_level=0.889,
    value=0.023,
    low=0.015,
    high=0.032,
    confidence_level=0.9,
    p_pass=0.08,
    p_fail=0.9,
    alpha_pass=0.05,
    alpha_fail=0.0025,
    n=1200,
    n_clusters=None,
    counts={"losses": 40, "gains": 12, "both": 1054, "neither": 94},
    method="exact unconditional test",
    outcome="inconclusive",
    reason="not_enough_evidence",
    note="",
    needed_n=4013,
    gate="regression",
    is_statistical=True,
    fingerprint="f" * 64,
    worst=[FLIP],
)
MEASURED = MeasurementRecord(
    variant="fp16",
    variant_label="fp16",
    workload="triage",
    metric="accuracy",
    level=0.912,
    level_unit="fraction",
    n=1200,
    tokens=50_000,
    seconds=2.5,
    weight_bytes=16_000_000_000,
    is_reference=True,
    fingerprint="f" * 64,
    first_token_ids=[1, 2, 3],
)
ENVIRONMENT = EnvironmentRecord(
    model="models/helpdesk",
    reference_label="fp16",
    device="cuda:0",
    device_name="NVIDIA H100",
    alpha=0.05,
    family_size=20,
    checks_collected=12,
    versions={"torch": "2.13.0"},
)


def run(*checks, measurements=(MEASURED,), warnings=()):
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        started="2026-11-21T10:00:00+00:00",
        environment=ENVIRONMENT,
        checks=list(checks),
        measurements=list(measurements),
        warnings=list(warnings),
    )


def test_the_table_shows_each_number_with_its_unit():
    header, row = (line.text for line in check_table([CHECK], width=200))

    assert header.split("  ")[0] == " workload"
    assert "degradation [90 % CI]" in header
    assert [cell.strip() for cell in row.split("  ") if cell.strip()] == [
        "triage",
        "int4 (nf4)",
        "accuracy",
        "91.2 %",
        "88.9 %",
        "2.3 pp [1.5, 3.2]",
        "<= 3.0 pp",
        "1,200",
        "INCONCLUSIVE",
        "~2,900 more examples",
    ]


@pytest.mark.parametrize("width", [200, 120, 100, 80])
def test_the_table_gives_up_columns_before_it_wraps(width):
    lines = [line.text for line in check_table([CHECK], width=width)]

    assert max(map(len, lines)) <= max(width, 84)
    assert all("INCONCLUSIVE" in line or "verdict" in line for line in lines)


def test_a_line_carries_the_outcome_that_colours_it():
    lines = check_table([CHECK, replace(CHECK, outcome="fail")], width=200)

    assert [line.outcome for line in lines] == [None, "inconclusive", "fail"]


def test_weights_are_a_row_of_their_own_kind():
    weights = replace(
        CHECK,
        workload="",
        metric="weight_memory",
        statistic="weight_ratio",
        unit="ratio",
        level_unit="bytes",
        reference_level=16_000_000_000.0,
        variant_level=4_600_000_000.0,
        value=0.2875,
        low=0.2875,
        high=0.2875,
        limit=0.45,
        n=0,
        outcome="pass",
        reason="exact",
        needed_n=None,
        counts={},
    )

    _, row = (line.text for line in check_table([weights], width=200))

    assert " ".join(row.split()) == (
        "(weights) int4 (nf4) weight_memory 14.9 GiB 4.3 GiB 0.287 <= 0.45 - PASS"
    )


@pytest.mark.parametrize(
    ("statistic", "shown"),
    [("flips", "accuracy flips"), ("harmful_flips", "accuracy harmful flips"),
     ("reference_level", "reference accuracy"), ("variant_level", "accuracy")],
)  # fmt: skip
def test_the_metric_column_names_the_statistic(statistic, shown):
    _, row = (line.text for line in check_table([replace(CHECK, statistic=statistic)], width=200))

    assert f"  {shown}  " in row


def test_the_second_table_has_a_row_for_each_variant():
    quantized = replace(
        MEASURED, variant="int4", variant_label="int4 (nf4)", level=0.889,
        weight_bytes=4_000_000_000, is_reference=False,
    )  # fmt: skip
    manual = replace(
        MEASURED, workload="manual", metric="perplexity", level=8.412, level_unit="perplexity"
    )

    lines = [" ".join(line.text.split()) for line in variant_table(run(
        CHECK, measurements=[quantized, MEASURED, manual]))]  # fmt: skip

    assert lines == [
        "variant weights ratio triage manual PPL",
        "fp16 14.9 GiB 1.00 91.2 % 8.41",
        "int4 (nf4) 3.7 GiB 0.25 88.9 % -",
    ]


def test_without_a_reference_there_is_no_ratio():
    lines = variant_table(run(measurements=[replace(MEASURED, is_reference=False)]))

    assert " ".join(lines[1].text.split()) == "fp16 14.9 GiB - 91.2 %"


def test_a_run_of_nothing_has_no_tables():
    assert render_summary(run(measurements=()), width=100) == []
    assert variant_table(run(measurements=())) == []


def test_warnings_close_the_summary():
    lines = render_summary(run(CHECK, warnings=["fp16 was loaded by 2 workers"]), width=200)

    assert lines[-1].text == " warning: fp16 was loaded by 2 workers"


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"outcome": "pass", "reason": "shown_within"}, ""),
        ({"outcome": "pass", "reason": "identical_scores"}, "identical scores"),
        ({"outcome": "fail", "reason": "non_finite"}, "non finite"),
        ({"needed_n": None}, "not enough evidence"),
        ({"needed_n": 1200}, "not enough evidence"),
        ({"needed_n": 1201}, "~1 more examples"),
        ({"needed_n": 2300, "metric": "perplexity"}, "~1,100 more documents"),
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
        "  n = 1,200 examples, 40 lost and 12 gained (1054 right and 94 wrong in both)\n"
        "  exact unconditional test, p = 1.2e-05 against 0.0025 for FAIL\n"
        "  changed most:\n"
        "    e17 [billing]: Which queue? My card was charged twice.\n"
        '      reference margin +1.25 nats "billing"\n'
        '      variant   margin -0.50 nats "returns"\n'
        '      expected  "billing"\n'
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
    assert "  would settle it: ~2,900 more examples (80 % chance at this estimate)\n" in text


def test_documents_and_scores_are_shown_in_their_own_terms():
    document = replace(FLIP, expected="", reference_value=2.0, variant_value=2.5)
    score = replace(document, reference_margin=None, variant_margin=None)

    text = render_failure(replace(CHECK, worst=[document, score]), ENVIRONMENT, reproduce="x")

    assert "      reference 2.000 nats per token" in text
    assert '      variant   score 2.5 "returns"' in text
    assert "expected" not in text


def test_text_from_models_cannot_drive_the_terminal():
    nasty = replace(FLIP, prompt="\x1b[31mred\x1b[0m", variant_output="\x07\u202eabc" + "x" * 9999)

    text = render_failure(replace(CHECK, worst=[nasty]), ENVIRONMENT, reproduce="pytest")

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "\\x1b[31mred" in text
    assert max(map(len, text.splitlines())) < 200


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
