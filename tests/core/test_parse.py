"""What a team may write in `quant_budget`, and what each mistake is answered with."""

import enum
import math

import pytest

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.core.budget import Gate, Location
from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.parse import MarkerArguments, parse_limit, parse_marker
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.errors import UsageError

WHERE = Location(nodeid="test_a.py::test_triage", path="test_a.py", line=12)
QUIZ = MultipleChoice.from_examples([], name="quiz")
ESSAY = Generation.from_examples([], name="essay")
MANUAL = Documents.from_examples([], name="manual")


def parse(*args, **kwargs):
    return parse_marker(
        MarkerArguments(args=args, kwargs=kwargs),
        variants=["fp16", "int8", "int4"],
        defaults=["int8", "int4"],
        where=WHERE,
    )


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
        ("max_weight_memory_ratio", 0.45, Statistic.WEIGHT_RATIO, None, Bound.UPPER, Unit.RATIO),
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
    assert limit.is_statistical is (statistic is not Statistic.WEIGHT_RATIO)


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("max_acuracy_drop", 0.01, "did you mean 'max_accuracy_drop'"),
        ("max_score_flip_rate", 0.01, "unknown limit 'max_score_flip_rate'"),
        ("max_nonsense_flip_rate", 0.01, "unknown limit"),
        ("max_mean_kl", 0.05, "unknown limit 'max_mean_kl'"),
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
        ("max_weight_memory_ratio", 45, "variant over reference"),
        ("max_weight_memory_ratio", 0, "expected a number above 0"),
        ("max_perplexity", 0, "expected a number above 0"),
    ],
)
def test_a_wrong_limit_is_answered_with_what_was_expected(keyword, value, message):
    with pytest.raises(UsageError, match=message):
        parse_limit(keyword, value)


def test_boundary_values_are_legal():
    assert parse_limit("max_accuracy_drop", 0.999).value == 0.999
    assert parse_limit("max_perplexity_ratio", 1).value == 1.0
    assert parse_limit("max_weight_memory_ratio", 10).value == 10.0


def test_a_marker_is_one_budget_for_each_variant_and_limit():
    budgets = parse("int4", "int8", workload=QUIZ, max_accuracy_drop=0.01, max_flip_rate=0.05)

    assert [(budget.variant, budget.limit.keyword) for budget in budgets] == [
        ("int4", "max_accuracy_drop"),
        ("int4", "max_flip_rate"),
        ("int8", "max_accuracy_drop"),
        ("int8", "max_flip_rate"),
    ]
    assert all(budget.workload is QUIZ and budget.gate is None for budget in budgets)
    assert all(budget.location is WHERE for budget in budgets)


def test_a_marker_without_variants_stands_for_all_of_them():
    budgets = parse(workload=QUIZ, max_accuracy_drop=0.01, gate="strict")

    assert [budget.variant for budget in budgets] == ["int8", "int4"]
    assert budgets[0].gate is Gate.STRICT


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("int5",), {"max_accuracy_drop": 0.01}, "unknown variant 'int5'; did you mean 'int"),
        ((8,), {"max_accuracy_drop": 0.01}, "found 8 among the variants"),
        (("int8", "int8"), {"max_accuracy_drop": 0.01}, "'int8' stands twice"),
        (("int8",), {}, "no limit"),
        (("int8",), {"workload": QUIZ}, "no limit"),
        (("int8",), {"workload": "quiz", "max_accuracy_drop": 0.01}, "expected a workload"),
        (("int8",), {"gate": "loose", "max_flip_rate": 0.1}, "one of regression, strict"),
        (("int8",), {"max_acuracy_drop": 0.01}, "did you mean 'max_accuracy_drop'"),
        (("int8",), {"workload": QUIZ, "max_perplexity_ratio": 1.1},
         "needs perplexity, but workload quiz measures accuracy, accuracy_norm"),
        (("int8",), {"workload": MANUAL, "max_flip_rate": 0.1},
         "needs right and wrong answers, but workload manual measures perplexity"),
        (("int8",), {"workload": ESSAY, "max_accuracy_flip_rate": 0.1}, "needs accuracy"),
    ],
)  # fmt: skip
def test_a_wrong_marker_names_the_test(args, kwargs, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse(*args, **kwargs)

    assert "quant_budget at test_a.py:12 (test_a.py::test_triage)" in str(caught.value)


class Precision(str, enum.Enum):  # noqa: UP042 - what many projects have
    INT8 = "int8"


def test_a_variant_may_be_named_by_an_enum_and_is_a_plain_string():
    (budget,) = parse(Precision.INT8, max_flip_rate=0.1)

    assert type(budget.variant) is str
    assert budget.variant == "int8"


def test_no_variants_anywhere_is_an_error():
    with pytest.raises(UsageError, match="no variants; name them"):
        parse_marker(
            MarkerArguments(args=(), kwargs={"max_flip_rate": 0.1}),
            variants=["int8"],
            defaults=[],
            where=WHERE,
        )


@pytest.mark.parametrize("workload", [QUIZ, ESSAY, MANUAL], ids=repr)
def test_weights_need_no_metric(workload):
    (budget,) = parse("int8", workload=workload, max_weight_memory_ratio=0.6)

    assert budget.limit.statistic is Statistic.WEIGHT_RATIO


def test_flips_bind_to_what_a_workload_counts_as_right():
    (budget,) = parse("int8", workload=ESSAY, max_flip_rate=0.1)

    assert budget.limit.metric is None
