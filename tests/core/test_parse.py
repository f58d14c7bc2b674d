"""What a team may write in `quant_budget`, and what each mistake is answered with."""

import datetime as dt
import enum

import pytest

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.core.budget import Gate, Location, Target
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.parse import MarkerArguments, parse_marker
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


def test_slice_target_and_waiver_are_terms_of_every_budget():
    budgets = parse(
        workload=QUIZ, slice=7, target="dataset", waive_until="2027-03-31", reason="vendor",
        max_flip_rate=0.1,
    )  # fmt: skip

    assert {(b.slice, b.target, b.waive_until, b.reason) for b in budgets} == {
        ("7", Target.DATASET, dt.date(2027, 3, 31), "vendor")
    }


def test_a_marker_without_variants_stands_for_all_of_them():
    budgets = parse(workload=QUIZ, max_accuracy_drop=0.01, gate="strict")

    assert [budget.variant for budget in budgets] == ["int8", "int4"]
    assert budgets[0].gate is Gate.STRICT


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("int5",), {"max_accuracy_drop": 0.01}, "unknown variant 'int5'; did you mean 'int"),
        ((8,), {"max_accuracy_drop": 0.01}, "found 8 among the variants"),
        ((["int8", "int4"],), {"max_flip_rate": 0.1}, r"as in quant_budget\('int8', 'int4', …\)$"),
        (("int8", QUIZ), {"max_flip_rate": 0.1}, r"among the variants.*; write workload="),
        (("int8",), {"wrkload": QUIZ, "max_flip_rate": 0.1}, "'wrkload'; did you mean 'workload'"),
        (("int8", "int8"), {"max_accuracy_drop": 0.01}, "'int8' stands twice"),
        (("int8",), {}, "no limit"),
        (("int8",), {"workload": QUIZ}, "no limit"),
        (("int8",), {"workload": "quiz", "max_accuracy_drop": 0.01}, "expected a workload"),
        (("int8",), {"gate": "loose", "max_flip_rate": 0.1}, "one of regression, strict"),
        (("int8",), {"target": "these", "max_flip_rate": 0.1}, "one of population, dataset"),
        (("int8",), {"slice": 0.5, "max_flip_rate": 0.1}, "slice=0.5: expected a string"),
        (("int8",), {"slice": "a", "max_weight_memory_ratio": 0.5}, "weights have no slices"),
        (("int8",), {"target": "dataset", "max_ttft_ratio": 1.1}, "runs are no examples"),
        (("int8",), {"workload": QUIZ, "max_ttft_ratio": 1.1}, "needs ttft, but workload quiz"),
        (("int8",), {"reason": 3, "max_flip_rate": 0.1}, "reason=3: expected a string"),
        (("int8",), {"waive_until": "2027-03-31", "max_flip_rate": 0.1}, "without a reason"),
        (("int8",), {"waive_until": "2027-02-30", "reason": "x", "max_flip_rate": 0.1},
         "expected a day such as"),
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
