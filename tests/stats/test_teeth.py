"""The chance of red at a gross excess of the limit, against enumeration and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.stats.binary import p_fail
from pytest_quantcheck.stats.ratio_mean import RatioMean
from pytest_quantcheck.stats.tango import PairedCounts
from pytest_quantcheck.stats.teeth import (
    alternative,
    chance_for_bets,
    chance_for_mean,
    chance_for_pairs,
    chance_for_share,
)

UPPER, LOWER = Bound.UPPER, Bound.LOWER
DROP, LEVEL = Statistic.DROP, Statistic.VARIANT_LEVEL


@pytest.mark.parametrize(
    ("statistic", "bound", "unit", "value", "bounds", "expected"),
    [
        (DROP, UPPER, Unit.POINTS, 0.01, None, 0.11),
        (DROP, UPPER, Unit.POINTS, 0.1, None, 0.3),
        (Statistic.FLIPS, UPPER, Unit.FRACTION, 0.5, None, 1.0),
        (LEVEL, UPPER, Unit.FRACTION, 0.02, None, 0.12),
        (LEVEL, LOWER, Unit.FRACTION, 0.8, None, 0.7),
        (LEVEL, LOWER, Unit.FRACTION, 0.05, None, 0.0),
        (Statistic.LOG_RATIO, UPPER, Unit.RATIO, 1.01, None, 1.11),
        (Statistic.LOG_RATIO, UPPER, Unit.RATIO, 1.06, None, 1.18),
        (Statistic.RECOVERY, LOWER, Unit.RATIO, 0.99, None, 0.89),
        (Statistic.RECOVERY, LOWER, Unit.RATIO, 0.9, None, 0.7),
        (LEVEL, UPPER, Unit.PERPLEXITY, 8.0, None, 8.8),
        (DROP, UPPER, Unit.SCORE, 0.2, (0, 10), 1.2),
        (DROP, UPPER, Unit.SCORE, 2.0, None, 6.0),
        (DROP, UPPER, Unit.SCORE, 0.0, None, None),
        (LEVEL, LOWER, Unit.SCORE, 7.0, (0, 10), 6.0),
        (LEVEL, LOWER, Unit.SCORE, 7.0, None, 6.3),
    ],
)
def test_a_gross_excess_is_in_the_unit_of_the_limit(
    statistic, bound, unit, value, bounds, expected
):
    limit = Limit(
        keyword="k", statistic=statistic, metric="score", bound=bound, value=value, unit=unit
    )
    assert alternative(limit, bounds) == (None if expected is None else pytest.approx(expected))


def test_pairs_are_enumerated():
    n, limit, true, alpha = 40, 0.05, 0.2, 0.01
    counts = PairedCounts(losses=3, gains=2, n=n)
    gain = 2 / n
    chance = 0.0
    for gains in range(n + 1):
        for losses in range(n - gains + 1):
            found = PairedCounts(losses=losses, gains=gains, n=n)
            if losses + gains > 26 or losses < gains:
                continue  # next to no probability, or no FAIL
            if p_fail(found, limit=limit, alpha=alpha) <= alpha:
                chance += stats.multinomial.pmf(
                    [losses, gains, n - losses - gains], n, [true + gain, gain, 1 - true - 2 * gain]
                )

    assert chance_for_pairs(counts, limit=limit, true=true, alpha=alpha) == pytest.approx(
        chance, abs=0.02
    )


def test_a_large_sample_takes_the_score_test():
    counts = PairedCounts(losses=300, gains=200, n=30_000)
    assert chance_for_pairs(counts, limit=0.01, true=0.02, alpha=0.05) > 0.99
    assert chance_for_pairs(counts, limit=0.01, true=0.0101, alpha=0.05) < 0.2


def test_where_nothing_can_fail_the_chance_is_zero():
    few = PairedCounts(losses=0, gains=0, n=3)
    assert chance_for_pairs(few, limit=0.05, true=0.15, alpha=0.05) == 0
    assert chance_for_pairs(few, limit=0.05, true=0.15, alpha=1e-12) == 0
    assert chance_for_share(4, limit=0.05, true=0.15, alpha=0.05, bound=UPPER) == 0
    assert chance_for_bets(30, limit=0.9, reach=1.0, true=1.0, alpha=1e-9) == 0


@pytest.mark.parametrize(("bound", "limit", "true"), [(UPPER, 0.05, 0.15), (LOWER, 0.95, 0.85)])
def test_a_share_is_binomial(bound, limit, true):
    # Under a share of 5 %, 8 hits in 60 come with p = .0097 and 9 with .0025.
    expected = stats.binom.sf(8, 60, 0.15)
    assert chance_for_share(60, limit=limit, true=true, alpha=0.005, bound=bound) == pytest.approx(
        expected
    )


def test_a_mean_follows_the_noncentral_t():
    mean = RatioMean(mean=0.0, error=0.02, df=24.0)
    bar = stats.t.isf(0.01, 24)
    assert chance_for_mean(mean, limit=0.05, true=0.1, alpha=0.01) == pytest.approx(
        stats.nct.sf(bar, 24, 2.5)
    )
    assert chance_for_mean(mean, limit=0.05, true=5.0, alpha=0.01) == pytest.approx(1)
    assert (
        chance_for_mean(
            RatioMean(mean=0.0, error=math.nan, df=0.0), limit=0.05, true=0.1, alpha=0.01
        )
        is None
    )
    flat = RatioMean(mean=0.0, error=0.0, df=9.0)
    assert [chance_for_mean(flat, limit=0.1, true=t, alpha=0.01) for t in (0.0, 0.2)] == [0, 1]


PAIRS_OF_TWO = np.arange(200) // 2


def test_every_verdict_that_is_tested_has_a_chance(make_counts, make_scores, verdict):
    clustered = make_counts(8, 2, 200, clusters=PAIRS_OF_TWO)
    few_clusters = make_counts(8, 2, 200, clusters=np.arange(200) // 19)
    unequal = make_counts(8, 2, 200, clusters=np.arange(1, 201) // 2)
    equal = make_scores([0.5] * 300, "score", bounds=(0, 1))
    tests = [
        verdict(0.02, *clustered),
        verdict(0.95, *clustered, Statistic.RECOVERY, bound=LOWER),
        verdict(0.3, *make_counts(45, 2, 200, clusters=PAIRS_OF_TWO), Statistic.FLIPS),
        verdict(0.02, equal, equal),
        verdict(0.9, equal, equal, Statistic.RECOVERY, bound=LOWER),
    ]
    assert [found.power for found in tests if not 0.3 < found.power <= 1] == []
    assert verdict(0.02, *few_clusters, Statistic.FLIPS).power == 0
    assert verdict(0.02, *unequal, Statistic.FLIPS).power is None  # too few hits to tell


def test_what_cannot_fail_or_tell_says_so(make_counts, make_scores, verdict):
    assert verdict(1.0, *make_counts(8, 2, 100)).power == 0
    assert verdict(1.0, *make_counts(8, 2, 100), Statistic.FLIPS).power == 0
    equal = make_scores([0.5] * 60, "score")
    assert verdict(0.02, equal, equal).power is None
    tiny = make_scores([0.5] * 3, "score", bounds=(0, 1))
    assert verdict(0.02, tiny, tiny).power == 0


def test_no_more_is_lost_than_the_reference_has(make_scores, verdict):
    weak = make_scores([1.0] * 2 + [0.0] * 98)
    strong = make_scores([1.0] * 100)
    assert verdict(0.02, weak, weak).power < 0.05
    assert verdict(0.02, strong, strong).power > 0.9
