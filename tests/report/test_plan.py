"""The table of a plan: what stands in it, what is warned of."""

from dataclasses import replace

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.report.plan import Figures, PlannedCheck, render_duration, render_plan

FIGURES = Figures(
    smallest_fail=0.031, largest_pass=0.002, needed_n=3162, power=0.9, power_at=0.11,
    is_toothless=False,
)  # fmt: skip
CHECK = PlannedCheck(
    workload="triage",
    variant="int4",
    limit=parse_limit("max_accuracy_drop", 0.01),
    n=4000,
    figures=FIGURES,
    source="assumed",
)


def warnings_of(**change):
    return render_plan([replace(CHECK, figures=replace(FIGURES, **change))])[2:]


def test_one_line_says_what_a_budget_can_show():
    assert render_plan([CHECK]) == [
        " workload    variant    budget                      n    FAIL from    PASS up to"
        "    n for PASS",
        " triage      int4       max_accuracy_drop=0.01  4,000       3.1 pp        0.2 pp"
        "         3,162  assumed",
    ]


def test_clusters_have_a_column_where_there_are_some():
    header, clustered, alone = render_plan([replace(CHECK, n_clusters=1500), CHECK])

    assert "clusters" in header
    assert "1,500" in clustered
    assert alone.split()[4] == "-"


def test_what_has_no_figures_has_dashes_and_a_reason():
    bare = replace(CHECK, n=None, figures=None, source="exact")

    (_, line) = render_plan([bare])

    assert line.split()[3:] == ["-", "-", "-", "-", "exact"]


def test_what_cannot_be_shown_is_warned_of():
    place = " warning: max_accuracy_drop=0.01 of int4 on triage "
    assert warnings_of(largest_pass=None, needed_n=12_345) == [
        place + "can hardly be shown with n = 4,000, even if nothing is degraded; about 13,000 "
        "would do"
    ]
    assert warnings_of(largest_pass=None, needed_n=3900) == [
        place + "can hardly be shown with n = 4,000, even if nothing is degraded"
    ]
    assert warnings_of(largest_pass=None, needed_n=None) == [
        place + "can never be shown: no number of examples does, even if nothing is degraded; "
        "allow a little more"
    ]
    assert warnings_of(is_toothless=True, power=0.123) == [
        place + "is toothless: even at 11.0 pp it would be red with a chance of only 12.3 %; use "
        "more examples, fewer budgets or a looser limit"
    ]


def test_nothing_selected_is_said():
    assert render_plan([]) == ["no budget is selected"]


def test_the_examples_expected_have_a_column_where_measuring_may_stop():
    stopping = replace(CHECK, figures=replace(FIGURES, expected_n=2712))
    header, early, whole, exact = render_plan([stopping, CHECK, replace(CHECK, figures=None)])

    assert header.split("  ")[-1].strip() == "n expected"
    assert early.split()[-2:] == ["2,712", "assumed"]
    assert whole.split()[-2:] == ["-", "assumed"]
    assert exact.split()[-2:] == ["-", "assumed"]


def test_the_duration_is_of_what_is_known_and_says_what_is_not():
    assert render_duration([(90.0, "H100"), (60.0, "H100")]) == (
        " measuring takes 2.5 minutes on H100 without loading, at the pace it had"
    )
    assert render_duration([(90.0, "H100"), (3.0, "a CPU"), None]) == (
        " measuring takes 1.6 minutes on H100, a CPU without loading, at the pace it had; 1 of 3 "
        "measurements were never made"
    )
    assert render_duration([None]) == " how long measuring takes is known after a run"
