import numpy as np
import pytest

from pytest_quantcheck.core.verdict import Levels, Outcome
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.betting import log_e, negate
from pytest_quantcheck.stats.ratio_mean import ClusterSums
from pytest_quantcheck.stats.sequential.open_ended import OpenEndedTest

EVEN = Levels(alpha_pass=0.05, alpha_fail=0.05)


def stream(test, reference, variant, select, *, size=50):
    return [
        test.update(select(reference, slice(i, i + size)), select(variant, slice(i, i + size)))
        for i in range(0, len(reference.ids), size)
    ]


def test_it_is_the_mixture_of_bets_of_a_fixed_number_of_examples(make_limit, shuffled, select):
    test, scores = OpenEndedTest(make_limit(0.02), levels=EVEN), shuffled(9, 4, 500)
    stream(test, *scores, select, size=500)
    differences = scores[0].values - scores[1].values
    sums = ClusterSums(sums=differences, sizes=np.ones(500))
    e_pass, e_fail = log_e(sums, limit=0.02, reach=1), log_e(negate(sums), limit=-0.02, reach=1)
    standing = test.standing()
    assert standing.p_pass == pytest.approx(min(1, np.exp(-e_pass)))
    assert standing.p_fail == pytest.approx(min(1, np.exp(-e_fail)))


@pytest.mark.parametrize(
    ("losses", "limit", "outcome"), [(400, 0.02, Outcome.FAIL), (5, 0.1, Outcome.PASS)]
)
def test_what_was_shown_stays(make_limit, shuffled, select, losses, limit, outcome):
    test = OpenEndedTest(make_limit(limit), levels=EVEN)
    outcomes = stream(test, *shuffled(losses, 0, 2000), select)
    first = outcomes.index(outcome)
    assert first < len(outcomes) - 1
    assert {*outcomes[:first]} <= {Outcome.INCONCLUSIVE}
    assert {*outcomes[first:]} == {outcome}
    standing = test.standing()
    assert (standing.outcome, standing.n) == (outcome, 2000)
    assert standing.interval.low <= losses / 2000 <= standing.interval.high


def test_looking_after_every_example_keeps_the_level(make_limit, make_scores):
    rng, runs, wrong = np.random.default_rng(2), 30, 0
    for _ in range(runs):
        test = OpenEndedTest(make_limit(0.1), levels=Levels(alpha_pass=0.2, alpha_fail=0.2))
        values = 1.0 * (rng.random(200) >= 0.1)
        for i, value in enumerate(values):
            ids = [f"e{i}"]
            test.update(make_scores([1.0], ids=ids), make_scores([value], ids=ids))
        wrong += test.standing().outcome is Outcome.FAIL
    assert wrong / runs <= 0.2 + 3 * (0.2 * 0.8 / runs) ** 0.5


def test_unbounded_scores_and_an_empty_stream_are_refused(make_limit, make_scores):
    test = OpenEndedTest(make_limit(0.1, metric="score"), levels=EVEN)
    with pytest.raises(UsageError, match="no example has come yet"):
        test.standing()
    scores = make_scores([0.1, 0.2], "score")
    with pytest.raises(UsageError, match="bets need bounded scores"):
        test.update(scores, scores)
