"""A row for each budget: what is special about it, and how its verdict was reached."""

from dataclasses import replace

import known_records as known
import pytest

from pytest_quantcheck.core.record import SliceRecord
from pytest_quantcheck.report.html.verdicts import verdict_rows


def row_of(**fields):
    (row,) = verdict_rows(known.run(replace(known.CHECK, **fields)))
    return row


def facts_of(**fields):
    return [(fact.term, fact.text) for fact in row_of(**fields).facts]


@pytest.mark.parametrize(
    ("fields", "tag"),
    [
        ({"outcome": "fail", "is_waived": True}, "waived"),
        ({"stopped_early": True, "n_planned": 2400}, "stopped early"),
        ({"power": 0.2, "power_at": 0.13}, "toothless"),
        ({"target": "dataset"}, "these examples only"),
    ],
)
def test_what_is_special_about_a_budget_is_tagged(fields, tag):
    assert row_of().tags == []
    assert row_of(**fields).tags == [tag]


@pytest.mark.parametrize(
    ("fields", "fact"),
    [
        (
            {"n_planned": 2400},
            ("examples", "1,200 examples of 2,400, looked at as they came; 40 lost, 12 gained"),
        ),
        ({"n_clusters": 37}, ("examples", "1,200 examples; in 37 clusters; 40 lost")),
        (
            {"n_clusters": 37, "design_effect": 4.0},
            ("examples", "in 37 clusters (design effect 4: they tell as much as 300 alone); 40"),
        ),
        (
            {"reference_text_loss": known.LOSS, "variant_text_loss": known.LOSS},
            ("loss", "perplexity per word 24.31 and 24.31, per byte 1.8124 and 1.8124, 0.8579"),
        ),
        ({"n_diverged": 1001}, ("examples", "1,001 outputs differ from the reference's")),
        ({"n": 0}, ("examples", "none: figures of memory are compared exactly")),
        ({"p_pass": 0.05}, ("p for PASS", "0.05 ≤ 0.05")),
        ({"noise_floor": 0.004}, ("noise floor", "0.4 pp: the reference measured twice")),
        (
            {"power": 0.42, "power_at": 0.13},
            ("power", "a variant at 13.0 pp would fail with a chance of 42.0 %"),
        ),
        (
            {
                "slices": [
                    SliceRecord(slice=name, n=600, n_worse=n, n_better=0, p_concentrated=0.5)
                    for name, n in (("billing", 40), ("returns", 0))
                ]
            },
            ("lost, by slice", "billing 40 of 600"),
        ),
        (
            {"budget_reason": "until the next release"},
            ("reason", "until the next release"),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_stands_behind_a_verdict_is_listed(fields, fact):
    term, text = fact

    assert any(one == term and text in said for one, said in facts_of(**fields))


def test_what_was_compared_exactly_has_no_p_values_and_no_interval():
    exact = facts_of(
        statistic="weight_ratio", p_pass=0.0, p_fail=1.0, value=0.5, low=0.5, high=0.5, n=0,
        is_statistical=False, counts={},
    )  # fmt: skip

    assert {term for term, _ in exact}.isdisjoint({"p for PASS", "p for FAIL", "interval"})


def test_budgets_that_need_attention_stand_first():
    outcomes = ("pass", "fail", "inconclusive")
    run = known.run(*(replace(known.CHECK, outcome=outcome) for outcome in outcomes))

    assert [row.outcome for row in verdict_rows(run)] == ["fail", "inconclusive", "pass"]
