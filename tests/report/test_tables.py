"""Tables are functions of records: known data, known text."""

from dataclasses import replace

import pytest
from known_latencies import LATENCY
from known_records import CHECK, ENVIRONMENT, MEASURED, run

from pytest_quantcheck.report.formats import View
from pytest_quantcheck.report.table import check_table
from pytest_quantcheck.report.terminal import by_model, render_summary, title_lines
from pytest_quantcheck.report.text import render_text
from pytest_quantcheck.report.wording import headline


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

    assert max(map(len, lines)) <= width
    assert ("int4 (nf4)" in lines[1]) == (width > 80)
    assert all("INCONCLUSIVE" in line or "verdict" in line for line in lines)


@pytest.mark.parametrize("width", [40, 60, 70])
def test_where_no_table_fits_each_check_is_a_sentence(width):
    wide = check_table([CHECK], width=200)
    lines = check_table([CHECK], width=width)

    assert max(len(line.text) for line in lines) <= width
    said = " ".join(line.text.strip() for line in lines)
    assert said.startswith("INCONCLUSIVE triage int4 accuracy: ")
    assert said.endswith(", budget <= 3.0 pp; ~2,900 more examples")
    assert said.partition(": ")[2].partition(",")[0] in wide[1].text
    assert {line.outcome for line in lines} == {"inconclusive"}


def test_a_line_carries_the_outcome_that_colours_it():
    lines = check_table([CHECK, replace(CHECK, outcome="fail")], width=200)

    assert [line.outcome for line in lines] == [None, "inconclusive", "fail"]


@pytest.mark.parametrize(
    ("nodeids", "said"),
    [
        (["a.py::test_a[int4]"], "examples"),
        (["a.py::test_a[int4]", "a.py::Test::test_b[int4-x::y]"], "examples; in test_a, test_b"),
        (["a.py::test_a", "a.py::test_a"], "examples; 2 budgets"),
        (["a.py::test_a", "a.py::test_b", "a.py::test_c", "a.py::test_d"], "examples; in 4 tests"),
    ],
)
@pytest.mark.parametrize("width", [200, 120, 60])
def test_budgets_that_say_the_same_share_a_row(nodeids, said, width):
    alike = [replace(CHECK, nodeid=nodeid) for nodeid in nodeids]

    lines = check_table([*alike, replace(CHECK, n=1_201)], width=width)

    shown = [line.text for line in lines if "INCONCLUSIVE" in line.text and "pp" in line.text]
    assert len(shown) == 2
    assert all(line.endswith(said) for line in shown[:1] if width == 200)


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


def test_a_run_of_nothing_has_no_tables():
    assert render_summary(run(measurements=()), width=100) == []


def test_warnings_close_the_summary():
    lines = render_summary(run(CHECK, warnings=["fp16 was loaded by 2 workers"]), width=200)

    assert lines[-1].text == " warning: fp16 was loaded by 2 workers"


@pytest.mark.parametrize("width", [200, 97, 80, 40, 20])
def test_the_headline_keeps_its_words_and_its_width(width):
    title, *rest = title_lines(ENVIRONMENT, width=width)

    assert title.startswith("quantcheck")
    assert len(title) <= width - len("=  =")
    assert all(len(line) <= width for line in rest)
    said = " · ".join([title, *([" ".join(" ".join(rest).split())] if rest else [])])
    assert said == headline(ENVIRONMENT)
    assert (rest == []) == (len(said) <= width - len("=  ="))


@pytest.mark.parametrize("width", [40, 100, 200])
def test_text_of_models_and_data_gives_no_orders(width):
    order = "##[add-mask]e\n::add-mask::e \x1b[31m"
    nasty = replace(CHECK, slice=order, variant_label=order, workload="::add-mask::quiz")
    measured = replace(MEASURED, variant_label=order)
    environment = replace(ENVIRONMENT, model=order)

    whole = run(nasty, measurements=[measured], warnings=[order])
    lines = [
        *title_lines(environment, width=width),
        *(line.text for line in render_summary(whole, width=width)),
        *render_text(replace(whole, environments=[environment]), View()).split("\n"),
    ]

    assert sum("add-mask" in line for line in lines) > 4
    assert not [line for line in lines if "##[" in line or line.lstrip().startswith("::")]
    assert all(line.isprintable() for line in lines)


def test_each_model_has_its_own_checks_and_measurements_and_warnings_come_last():
    other = "models/other"
    whole = replace(
        run(CHECK, replace(CHECK, model=other, n=50), warnings=["mind the gap"]),
        environments=[ENVIRONMENT, replace(ENVIRONMENT, model=other)],
        measurements=[MEASURED, replace(MEASURED, model=other)],
        latencies=[LATENCY, replace(LATENCY, model=other)],
    )

    (first, own), (second, theirs) = by_model(whole)

    assert (first.model, second.model) == (ENVIRONMENT.model, other)
    assert (own.checks, own.measurements, own.warnings) == ([CHECK], [MEASURED], [])
    assert [check.n for check in theirs.checks] == [50]
    assert [measured.model for measured in theirs.measurements] == [other]
    assert (own.latencies, [timed.model for timed in theirs.latencies]) == ([LATENCY], [other])
    assert own.environment == first
    assert theirs.environment == second
    assert theirs.warnings == ["mind the gap"]


@pytest.mark.parametrize("width", [200, 100, 80, 60])
def test_what_would_settle_a_check_is_said_at_any_width(width):
    undecided = replace(CHECK, outcome="inconclusive", n=100, needed_n=300)

    lines = [line.text for line in check_table([CHECK, undecided], width=width)]

    assert max(map(len, lines)) <= width
    assert sum("~200 more examples" in line for line in lines) == 1


STOPPED = replace(CHECK, n=352, n_planned=2400, stopped_early=True)


@pytest.mark.parametrize(
    ("width", "said"),
    [(200, "stopped early at 352 of 2,400"), (60, "stopped early: 1 budget, after 14.7 % to")],
)
def test_an_early_stop_is_said_at_any_width(width, said):
    lines = [line.text for line in check_table([STOPPED], width=width)]

    assert sum(said in line for line in lines) == 1


def test_a_budget_that_failed_is_not_toothless():
    weak = replace(CHECK, power=0.2, power_at=0.13, is_in_family=True, outcome="inconclusive")

    assert weak.is_toothless
    assert not replace(weak, outcome="fail").is_toothless


def test_what_earlier_runs_measured_is_said_in_one_line():
    kept = replace(MEASURED, n_from_store=1200, measured_at="2026-11-20T10:00:00+00:00")
    part = replace(
        kept, workload="manual", n_from_store=300, measured_at="2026-11-21T10:00:00+00:00"
    )
    variant = replace(kept, is_reference=False)

    def said(*measurements):
        lines = render_summary(run(measurements=[*measurements]), width=160)
        return [line.text for line in lines if "store" in line.text]

    assert said(MEASURED, variant) == []
    assert said(kept) == [" reference scores of 1 workload from the store, since 2026-11-20"]
    assert said(part, kept) == [
        " reference scores of 2 workloads from the store (1 in part), since 2026-11-20"
    ]
