"""Places, scales, labels and texts of the page."""

import math
from dataclasses import replace
from itertools import pairwise

import known_latencies
import known_records as known
import pytest
from example_records import measured_record, rows

from pytest_quantcheck.report.html import frontier, intervals, predictions
from pytest_quantcheck.report.html.axis import Axis
from pytest_quantcheck.report.html.labels import Anchored, place_labels
from pytest_quantcheck.report.html.serving import serving_legend, serving_rows
from pytest_quantcheck.report.html.texts import capped, capped_pair, shown

DROP = known.CHECK


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"value": 0.015, "limit": 0.03}, 0.5),
        ({"value": -0.03, "limit": 0.03}, -1.0),
        ({"statistic": "flips", "value": 0.04, "limit": 0.08}, 0.5),
        ({"statistic": "log_ratio", "value": 1.03, "limit": 1.06}, 0.5),
        ({"statistic": "latency_ratio", "value": 0.4, "limit": 0.8}, 0.5),
        ({"statistic": "recovery", "bound": "lower", "value": 0.98, "limit": 0.99}, 2.0),
        (
            {
                "statistic": "variant_level",
                "bound": "lower",
                "value": 0.9,
                "limit": 0.8,
                "unit": "fraction",
            },
            0.5,
        ),
        ({"statistic": "weight_ratio", "value": 0.3, "limit": 0.6, "n": 0}, 0.5),
        ({"statistic": "latency_quantile", "value": 45.0, "limit": 60.0}, 0.75),
    ],
)
def test_the_share_of_a_budget_counts_from_no_degradation(changes, share):
    found = intervals.interval_of(replace(DROP, low=None, high=None, **changes))

    assert found.share == pytest.approx(share)
    assert found.point == intervals.AXIS.place(share)
    assert found.low is None


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": 0.0},
        {"statistic": "variant_level", "bound": "lower", "metric": "score", "unit": "score"},
        {"statistic": "throughput_ratio", "bound": "lower", "limit": 1.2},
    ],
)
def test_a_limit_without_a_place_of_no_degradation_has_no_scale(changes):
    assert intervals.interval_of(replace(DROP, **changes)) is None


def test_what_runs_off_the_drawing_is_marked():
    found = intervals.interval_of(replace(DROP, value=0.9, low=0.8, high=math.inf, limit=0.03))

    assert (found.runs_off_high, found.runs_off_low) == (True, False)
    assert found.point == found.high == intervals.AXIS.end
    assert (found.multiple, found.text) == ("30", "3000 % of the budget")
    infinite = intervals.interval_of(replace(DROP, value=math.inf, low=None, high=None))
    assert (infinite.point, infinite.multiple) == (intervals.AXIS.end, "∞")


def test_a_lower_limit_is_drawn_from_better_to_worse():
    found = intervals.interval_of(
        replace(
            DROP, statistic="recovery", bound="lower", value=0.995, low=0.99, high=1.0, limit=0.98
        )
    )

    assert found.low == found.zero < found.point < found.high < found.limit


def test_an_axis_places_what_is_off_it_at_its_ends():
    axis = Axis(low=1, high=3, start=10, end=20)

    assert [axis.place(one) for one in (0, 1, 2, 9, math.nan)] == [10, 10, 15, 20, 10]
    assert Axis(low=1e-6, high=1, start=0, end=6, is_log=True).place(1e-3) == 3
    assert Axis(low=1e-6, high=1, start=0, end=6, is_log=True).ticks(3) == [1e-6, 1e-4, 1e-2, 1]


def test_names_stand_apart_and_within_the_drawing():
    points = [Anchored(x=60 + 6 * i, y=100, text=f"variant-{i} 91.2 %") for i in range(5)]

    labels = place_labels(points, area=(46, 348, 196))

    heights = sorted(label.y for label in labels if label.anchor == "start")
    assert all(later - first >= 13 for first, later in pairwise(heights))
    (left,) = place_labels([Anchored(x=320, y=100, text="fp16 91.2 %")], area=(46, 348, 196))
    assert left.anchor == "end"


def measured(variant, level, weight_bytes, **fields):
    fields |= {"variant": variant, "variant_label": variant, "is_reference": variant == "fp16"}
    return replace(known.MEASURED, level=level, weight_bytes=weight_bytes, **fields)


def test_a_panel_shows_size_against_quality_with_what_the_budget_allows():
    run = known.run(
        replace(DROP, variant_label="int4 (nf4)", outcome="fail"),
        measurements=[measured("fp16", 0.912, 16e9), measured("int4 (nf4)", 0.889, 4e9)],
    )

    (panel,) = frontier.size_panels(run)

    reference, variant = panel.points
    assert (panel.cost, panel.better) == ("weights, GiB", "higher is better")
    assert (reference.is_reference, reference.outcome, reference.low) == (True, "", None)
    assert variant.x < reference.x
    assert reference.y < variant.y < variant.budget
    assert variant.low < variant.y < variant.high
    assert (variant.outcome, variant.cost) == ("fail", "3.7 GiB")
    assert len(panel.front.split()) == 2


def test_lower_is_better_stands_upside_down():
    ppl = {"metric": "perplexity", "level_unit": "perplexity"}
    run = known.run(
        measurements=[
            measured("fp16", 8.4, 16e6, **ppl),
            measured("int4", 8.9, 4e6, **ppl),
            measured("worse", 9.5, 20e6, **ppl),
        ],
    )

    (panel,) = frontier.size_panels(run)

    assert panel.better == "lower is better"
    assert panel.points[0].y < panel.points[1].y < panel.points[2].y
    assert len(panel.front.split()) == 2


def test_time_is_a_panel_of_its_own_where_it_was_measured():
    latency = replace(known_latencies.LATENCY, model=known.MEASURED.model)
    run = known.run(
        measurements=[
            measured("fp16", 0.91, 16e9),
            measured("int4 (nf4)", 0.89, 4e9),
            measured("int8", 0.9, 8e9),
        ],
        latencies=[latency],
    )

    (panel,) = frontier.time_panels(run)

    assert panel.cost == "ms per token"
    assert [(point.name, point.cost) for point in panel.points] == [
        ("fp16", "20.0 ms"),
        ("int4 (nf4)", "26.0 ms"),
    ]
    assert [row.is_reference for row in serving_rows(run.latencies)] == [True, False]


def test_the_reference_has_one_row_for_each_shape_though_timed_beside_each_variant():
    latency = known_latencies.LATENCY
    int8 = replace(
        latency,
        n=12,
        reference=replace(latency.reference, tokens_per_second=77.0),
        variant=replace(latency.variant, variant="int8", variant_label="int8"),
        throughput_ratio=known_latencies.ratio(0.5),
    )
    eight = replace(int8, slice="batch 8")

    found = serving_rows([int8, eight, latency])

    assert [(row.place, row.variant, row.throughput, row.ratio[:5]) for row in found] == [
        ("serving", "fp16", "49.8 tokens/s", "1"),
        ("serving", "int8", "38.4 tokens/s", "0.500"),
        ("serving", "int4 (nf4)", "38.4 tokens/s", "0.770"),
        ("serving[batch 8]", "fp16", "77.0 tokens/s", "1"),
        ("serving[batch 8]", "int8", "38.4 tokens/s", "0.500"),
    ]
    assert serving_legend([int8, eight, latency])[-1].startswith(
        "serving: fp16 was timed beside each variant; its row is of the runs beside int4 (nf4), "
    )


DIVERGENCE = replace(known.DIVERGENCE, delta_p_rms=0.012, worst=[])


def test_divergences_and_losses_are_drawn_for_each_variant():
    ppl = {"metric": "perplexity", "level_unit": "perplexity"}
    before = measured_record(rows("perplexity", [4.0, 6.0], weights=[2.0, 2.0]), variant="fp16")
    after = measured_record(
        rows("perplexity", [4.2, 6.0], weights=[2.0, 2.0]),
        rows("p99_kl", [0.1, 0.2], observations=[[0.0, 0.1], [0.001, 0.5]]),
        reference="ref",
    )
    run = known.run(
        measurements=[
            measured("fp16", 8.0, 16e9, **ppl),
            measured("int4 (nf4)", 8.4, 4e9, divergence=DIVERGENCE, text_loss=known.LOSS, **ppl),
        ],
    )

    charts = predictions.spreads(run, {"ref": before, "var": after})
    table = predictions.figures(run)

    assert [chart.title for chart in charts] == [
        "triage: KL(reference ‖ variant)",
        "triage: loss, variant minus reference",
    ]
    divergence, loss = (chart.strips[0] for chart in charts)
    assert divergence.text == "mean 0.01000 nats, p99 0.10000 nats, max 0.50000 nats, 4 values"
    assert divergence.area.startswith("M20,40V")
    assert [mark.text for mark in divergence.marks] == ["mean", "p99", "max"]
    assert loss.text == "mean 0.05000 nats, 2 values"
    assert charts[1].zero < loss.marks[0].place
    assert [row.ratio for row in table] == ["-", "1.050"]
    assert [row.word_perplexity for row in table] == ["-", "24.31"]
    assert (table[1].byte_perplexity, table[1].bits_per_byte) == ("1.8124", "0.8579")
    assert (table[1].agreement, table[1].delta_p) == ("98.0 %", "1.2 pp")


def test_without_single_values_a_divergence_is_its_marks():
    ppl = {"metric": "perplexity", "level_unit": "perplexity", "divergence": DIVERGENCE}
    (chart,) = predictions.spreads(known.run(measurements=[measured("int4", 8.4, 4e9, **ppl)]), {})

    assert chart.strips[0].area == ""
    assert len(chart.strips[0].marks) == 3


def test_long_texts_keep_their_end_and_the_place_where_they_differ():
    assert capped("a" * 50, 60) == "a" * 50
    assert capped("a" * 50 + "b" * 50, 30) == "a" * 10 + " [70 characters left out] " + "b" * 20
    same = "x" * 5_000
    pair = capped_pair(f"{same}right", f"{same}wrong {same}", 300)
    assert pair.reference == "[4,900 characters left out] " + "x" * 100 + "right"
    assert pair.variant.startswith("[4,900 characters left out] " + "x" * 100 + "wrong x")
    assert pair.variant.endswith("[4,806 characters left out]")


@pytest.mark.parametrize("text", ["\u0645\u06cc\u200c\u0631\u0648\u0645", "👩\u200d🔧", "a\tb\nc"])
def test_what_texts_are_written_with_stays(text):
    assert shown(text) == text


@pytest.mark.parametrize("text", ["\u200f", "\u2028", "\x7f", "\ufeff", "\u00a0", "\r", "\udfff"])
def test_what_cannot_be_seen_is_written_out(text):
    assert shown(text).isascii()
    assert shown(text).startswith("\\")
