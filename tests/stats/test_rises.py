"""A rise of what is better when lower is decided as the drop of its mirror image."""

import numpy as np
import pytest

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.usefixtures("lower_is_better")


def mirrored(make_scores, scores, metric, top):
    return make_scores(top - scores.values, metric, bounds=(0.0, 1.0))


@pytest.mark.parametrize(("losses", "gains"), [(40, 5), (5, 5), (0, 0), (2, 30)])
def test_a_binary_rise_is_the_drop_of_the_opposite(
    make_counts, make_scores, verdict, losses, gains
):
    pair = make_counts(losses, gains, 400, bounds=(0.0, 1.0))
    drop = verdict(0.03, *pair)

    rise = verdict(
        0.03, *(mirrored(make_scores, side, "defect", 1) for side in pair), Statistic.RISE
    )

    assert rise == drop


def test_a_rise_of_scores_is_the_drop_of_the_opposite(make_scores, verdict):
    noise = np.random.default_rng(3)
    reference = noise.uniform(0.3, 0.6, 200)
    variant = reference + noise.normal(0.05, 0.02, 200)
    drop = verdict(
        0.02, *(make_scores(1 - v, "score", bounds=(0, 1)) for v in (reference, variant))
    )

    rise = verdict(
        0.02,
        *(make_scores(v, "excess", bounds=(0, 1)) for v in (reference, variant)),
        Statistic.RISE,
    )

    assert rise.outcome is drop.outcome is Outcome.FAIL
    assert rise.estimate.value == pytest.approx(drop.estimate.value)
    assert rise.estimate.p_fail == pytest.approx(drop.estimate.p_fail)
    assert rise.estimate.value == pytest.approx(0.05, abs=0.01)


def test_a_level_that_is_better_when_lower_has_a_ceiling(make_scores, verdict):
    scores = make_scores(np.repeat([1.0, 0.0], [5, 295]), "defect")

    for limit, outcome in (
        (0.05, Outcome.PASS),
        (0.005, Outcome.FAIL),
        (0.02, Outcome.INCONCLUSIVE),
    ):
        found = verdict(limit, scores, scores, Statistic.VARIANT_LEVEL, bound=Bound.UPPER)
        assert found.outcome is outcome


@pytest.mark.parametrize(
    ("metric", "statistic"), [("defect", Statistic.DROP), ("accuracy", Statistic.RISE)]
)
def test_the_wrong_direction_is_refused(make_scores, verdict, metric, statistic):
    scores = make_scores([0.0, 1.0], metric)
    with pytest.raises(UsageError, match="a drop is of what is better when higher"):
        verdict(0.1, scores, scores, statistic)
