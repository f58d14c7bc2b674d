"""How suggested budgets are shown."""

from pytest_quantcheck.core.grammar import nominal_limit, parse_limit
from pytest_quantcheck.report.suggestions import (
    SuggestedBudget,
    SuggestionTerms,
    render_suggestions,
)

TERMS = SuggestionTerms(
    model="models/helpdesk",
    reference_label="fp16",
    false_alarm=0.05,
    alpha=0.05,
    family_size=20,
    seed=0,
    refused=(),
)


def budget(keyword="max_accuracy_drop", value=0.025, **fields):
    given = {
        "workload": "triage",
        "is_in_body": False,
        "variant": "int4",
        "variant_label": "int4 (nf4)",
        "unit": nominal_limit(keyword).unit,
        "n": (600, 600),
        "n_clusters": None,
        "seen": 0.022,
        "limit": value and parse_limit(keyword, value),
        "passing": parse_limit(keyword, 0.04),
        "outcome": "inconclusive",
        "is_marked": True,
    }
    return SuggestedBudget(keyword=keyword, **given | fields)


def test_a_row_has_both_budgets_and_the_verdict_of_the_other_half():
    lines = render_suggestions([budget()], TERMS)

    assert " ".join(lines[2].split()) == (
        "triage int4 (nf4) max_accuracy_drop 600 + 600 2.2 pp 2.5 pp INCONCLUSIVE 4.0 pp"
    )
    assert lines[-1] == (
        '@pytest.mark.quant_budget("int4", workload=triage, max_accuracy_drop=0.025)'
    )
    assert all(len(line) <= 100 for line in lines)


def test_clusters_have_a_column_where_there_are_some():
    alone, together = budget(), budget(n_clusters=(1200, 1199))

    assert "clusters" not in render_suggestions([alone], TERMS)[1]
    rows = render_suggestions([alone, together], TERMS)
    assert "1,200 + 1,199" in rows[3]
    assert " -  " in rows[2]


def test_markers_join_limits_and_leave_out_what_the_other_half_fails():
    flips = budget("max_flip_rate", 0.05)
    failed = budget("max_accuracy_norm_drop", 0.03, outcome="fail")
    none = budget("min_accuracy", None, passing=None, outcome="")
    extra = budget("max_harmful_flip_rate", 0.04, is_marked=False)

    lines = render_suggestions([budget(), flips, failed, none, extra], TERMS)

    assert [line for line in lines if line.startswith("@")] == [
        '@pytest.mark.quant_budget("int4", workload=triage, max_accuracy_drop=0.025, '
        "max_flip_rate=0.05)"
    ]
    assert any(line.startswith(" FAIL in the other half") for line in lines)
    assert any(line.startswith(" none: no test") for line in lines)


def test_names_become_what_python_can_read():
    lines = render_suggestions(
        [
            budget(workload="my file", variant='a"b\\'),
            budget(workload="triage", variant="int8", is_in_body=True),
        ],
        TERMS,
    )

    assert lines[-2:] == [
        r'@pytest.mark.quant_budget("a\"b\\", workload=my_file, max_accuracy_drop=0.025)',
        '@pytest.mark.quant_budget("int8", max_accuracy_drop=0.025)',
    ]


def test_a_model_of_which_nothing_can_be_used_says_why():
    terms = SuggestionTerms(
        model="m", reference_label="fp16", false_alarm=0.05, alpha=0.05, family_size=1, seed=0,
        refused=("small has 9 examples",),
    )  # fmt: skip

    assert render_suggestions([], terms) == [
        "suggested budgets · m · fp16 reference",
        " not suggested: small has 9 examples",
    ]
