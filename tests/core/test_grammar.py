"""Which keyword states which limit, and what each mistake is answered with."""

import math

import pytest

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.metric import METRICS, Direction, Metric, Scale
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.errors import UsageError

SERVING = {"ttft", "tpot", "e2e", "throughput", "peak_memory"}


@pytest.fixture
def defect(monkeypatch):
    """Register a right-or-wrong metric that is better when lower."""
    metric = Metric(
        name="defect",
        direction=Direction.LOWER_IS_BETTER,
        scale=Scale.BINARY,
        level_unit=Unit.FRACTION,
        degradation_unit=Unit.POINTS,
    )
    monkeypatch.setitem(METRICS, "defect", metric)


@pytest.mark.parametrize(
    ("keyword", "value", "statistic", "metric", "bound", "unit"),
    [
        ("max_accuracy_drop", 0.01, Statistic.DROP, "accuracy", Bound.UPPER, Unit.POINTS),
        ("max_accuracy_norm_drop", 0.01, Statistic.DROP, "accuracy_norm", Bound.UPPER, Unit.POINTS),
        ("max_exact_match_drop", 0, Statistic.DROP, "exact_match", Bound.UPPER, Unit.POINTS),
        ("max_score_drop", 12.5, Statistic.DROP, "score", Bound.UPPER, Unit.SCORE),
        ("max_flip_rate", 0.08, Statistic.FLIPS, None, Bound.UPPER, Unit.FRACTION),
        ("max_accuracy_norm_flip_rate", 0.08, Statistic.FLIPS, "accuracy_norm", Bound.UPPER,
         Unit.FRACTION),
        ("max_harmful_flip_rate", 0.02, Statistic.HARMFUL_FLIPS, None, Bound.UPPER, Unit.FRACTION),
        ("max_exact_match_harmful_flip_rate", 0.02, Statistic.HARMFUL_FLIPS, "exact_match",
         Bound.UPPER, Unit.FRACTION),
        ("max_perplexity_ratio", 1.06, Statistic.LOG_RATIO, "perplexity", Bound.UPPER, Unit.RATIO),
        ("max_perplexity", 9.5, Statistic.VARIANT_LEVEL, "perplexity", Bound.UPPER,
         Unit.PERPLEXITY),
        ("max_reference_perplexity", 9.5, Statistic.REFERENCE_LEVEL, "perplexity", Bound.UPPER,
         Unit.PERPLEXITY),
        ("min_accuracy", 0.8, Statistic.VARIANT_LEVEL, "accuracy", Bound.LOWER, Unit.FRACTION),
        ("min_reference_exact_match", 0.8, Statistic.REFERENCE_LEVEL, "exact_match", Bound.LOWER,
         Unit.FRACTION),
        ("min_accuracy_recovery", 0.99, Statistic.RECOVERY, "accuracy", Bound.LOWER, Unit.RATIO),
        ("max_mean_kl", 0.05, Statistic.VARIANT_LEVEL, "mean_kl", Bound.UPPER, Unit.NATS),
        ("max_p99_kl", 2, Statistic.VARIANT_LEVEL, "p99_kl", Bound.UPPER, Unit.NATS),
        ("min_top1_agreement", 0.95, Statistic.VARIANT_LEVEL, "top1_agreement", Bound.LOWER,
         Unit.FRACTION),
        ("max_weight_memory_ratio", 0.45, Statistic.WEIGHT_RATIO, None, Bound.UPPER, Unit.RATIO),
        ("max_ttft_ratio", 1.3, Statistic.LATENCY_RATIO, "ttft", Bound.UPPER, Unit.RATIO),
        ("max_tpot_ratio", 0.8, Statistic.LATENCY_RATIO, "tpot", Bound.UPPER, Unit.RATIO),
        ("max_e2e_ratio", 1, Statistic.LATENCY_RATIO, "e2e", Bound.UPPER, Unit.RATIO),
        ("max_ttft_p50_ms", 300, Statistic.LATENCY_QUANTILE, "ttft", Bound.UPPER,
         Unit.MILLISECONDS),
        ("max_tpot_p95_ms", 60, Statistic.LATENCY_QUANTILE, "tpot", Bound.UPPER,
         Unit.MILLISECONDS),
        ("max_e2e_p99_ms", 0.1, Statistic.LATENCY_QUANTILE, "e2e", Bound.UPPER,
         Unit.MILLISECONDS),
        ("min_throughput_ratio", 1.5, Statistic.THROUGHPUT_RATIO, "throughput", Bound.LOWER,
         Unit.RATIO),
        ("max_peak_memory_ratio", 0.6, Statistic.PEAK_MEMORY_RATIO, "peak_memory", Bound.UPPER,
         Unit.RATIO),
        ("max_peak_memory_mib", 16384, Statistic.PEAK_MEMORY, "peak_memory", Bound.UPPER,
         Unit.MEBIBYTES),
    ],
)  # fmt: skip
def test_each_keyword_states_its_statistic(keyword, value, statistic, metric, bound, unit):
    limit = parse_limit(keyword, value)

    assert (limit.keyword, limit.value) == (keyword, float(value))
    assert (limit.statistic, limit.metric, limit.bound, limit.unit) == (
        statistic,
        metric,
        bound,
        unit,
    )
    assert limit.is_statistical is not (metric == "peak_memory" or "weight" in keyword)
    assert limit.is_of_serving is (metric in SERVING)


@pytest.mark.parametrize("metric", ["ttft", "tpot", "e2e"])
def test_percentiles_are_named_in_percent(metric):
    found = [parse_limit(f"max_{metric}_p{p}_ms", 20).quantile for p in (50, 90, 95, 99)]

    assert found == [0.5, 0.9, 0.95, 0.99]
    assert parse_limit(f"max_{metric}_ratio", 1.2).quantile is None


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        (
            "max_acuracy_drop",
            0.01,
            r"did you mean 'max_accuracy_drop'\? Near it: \w+, \w+, \w+, \w+$",
        ),
        ("max_score_flip_rate", 0.01, "unknown limit 'max_score_flip_rate'"),
        ("max_nonsense_flip_rate", 0.01, "unknown limit"),
        ("max_mean_kl", 0, "expected a number above 0"),
        ("max_p99_kl", -0.1, "never negative"),
        ("min_top1_agreement", 95, "95 % is written 0.95"),
        ("max_mean_kl_drop", 0.05, "unknown limit"),
        ("min_mean_kl", 0.05, "did you mean 'max_mean_kl'"),
        ("min_reference_top1_agreement", 0.9, "unknown limit"),
        ("zzz", 1, r"unknown limit 'zzz'; Known: max_"),
        ("max_accuracy_drop", math.nan, "expected a finite number"),
        ("max_accuracy_drop", math.inf, "expected a finite number"),
        ("max_accuracy_drop", "0.01", "expected a finite number"),
        ("max_accuracy_drop", True, "expected a finite number"),
        ("max_accuracy_drop", None, "expected a finite number"),
        ("max_accuracy_drop", -0.01, "never negative"),
        ("max_accuracy_drop", 1, "1 % is written 0.01"),
        ("max_accuracy_drop", 2.5, "2.5 % is written 0.025"),
        ("max_flip_rate", 8, "8 % is written 0.08"),
        ("min_accuracy", 80, "80 % is written 0.8"),
        ("max_perplexity_ratio", 0.06, "0.06 more is 1.06"),
        ("max_perplexity_ratio", 106, "5 % more is 1.05"),
        ("min_accuracy_recovery", 99, "99 % is written 0.99"),
        ("min_accuracy_recovery", 1.2, "at most 1"),
        ("min_accuracy_recovery", 0, "expected a number above 0"),
        ("min_perplexity_recovery", 0.9, "unknown limit"),
        ("max_weight_memory_ratio", 45, "variant over reference"),
        ("max_weight_memory_ratio", 0, "expected a number above 0"),
        ("max_perplexity", 0, "expected a number above 0"),
        ("max_ttft_ratio", 0, "expected a number above 0"),
        ("max_ttft_ratio", 130, "variant over reference, such as 1.05"),
        ("min_throughput_ratio", 90, "variant over reference, such as 1.05"),
        ("max_tpot_p95_ms", 0, "expected a number above 0"),
        ("max_tpot_p95_ms", -60, "never negative"),
        ("max_tpot_p95_ms", 0.06, "at least 0.1; 0.06 seconds are written 60"),
        ("max_tpot_p95_ms", math.nan, "expected a finite number"),
        ("max_tpot_p95", 60, "did you mean 'max_tpot_p95_ms'"),
        ("max_tpot_p98_ms", 60, "did you mean 'max_tpot_p9[59]_ms'"),
        ("max_throughput_ratio", 0.9, "did you mean 'min_throughput_ratio'"),
        ("max_peak_memory_mib", 0, "expected a number above 0"),
        ("max_peak_memory_mib", 17179869184, "17179869184 bytes are written 16384"),
        ("max_peak_memory_gib", 16, "did you mean 'max_peak_memory_mib'"),
    ],
)
def test_a_wrong_limit_is_answered_with_what_was_expected(keyword, value, message):
    with pytest.raises(UsageError, match=message):
        parse_limit(keyword, value)


def test_boundary_values_are_legal():
    assert parse_limit("max_accuracy_drop", 0.999).value == 0.999
    assert parse_limit("max_perplexity_ratio", 1).value == 1.0
    assert parse_limit("max_weight_memory_ratio", 10).value == 10.0


@pytest.mark.usefixtures("defect")
@pytest.mark.parametrize(
    ("keyword", "statistic", "unit"),
    [
        ("max_defect_rise", Statistic.RISE, Unit.POINTS),
        ("max_defect", Statistic.VARIANT_LEVEL, Unit.FRACTION),
        ("max_reference_defect", Statistic.REFERENCE_LEVEL, Unit.FRACTION),
    ],
)
def test_a_metric_that_is_better_when_lower_may_rise(keyword, statistic, unit):
    limit = parse_limit(keyword, 0.02)

    assert (limit.statistic, limit.metric, limit.bound, limit.unit) == (
        statistic, "defect", Bound.UPPER, unit,
    )  # fmt: skip


@pytest.mark.usefixtures("defect")
@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("max_defect_drop", "defect is better when lower: max_defect_rise"),
        ("max_accuracy_rise", "accuracy is better when higher: max_accuracy_drop"),
        ("max_perplexity_rise", "perplexity is compared as a ratio: max_perplexity_ratio=1.02"),
        ("max_perplexity_drop", "perplexity is compared as a ratio: max_perplexity_ratio=1.02"),
        ("max_mean_kl_rise", "mean_kl compares variant and reference by itself: max_mean_kl=…"),
        ("max_top1_agreement_drop", "compares variant and reference by itself: min_top1_agreement"),
        ("max_ttft_rise", "ttft is compared as a ratio, variant over reference: max_ttft_ratio=…"),
        ("max_throughput_drop", "variant over reference: min_throughput_ratio=…"),
        ("max_peak_memory_rise", "variant over reference: max_peak_memory_ratio=…"),
        ("max_defect_flip_rate", "unknown limit 'max_defect_flip_rate'"),
        ("min_defect", "unknown limit 'min_defect'; did you mean"),
    ],
)
def test_the_wrong_way_is_answered_with_the_right_one(keyword, message):
    with pytest.raises(UsageError, match=message):
        parse_limit(keyword, 0.02)
