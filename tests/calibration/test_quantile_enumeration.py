"""Error of quantile tests at the limit itself, by enumeration of every result."""

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.quantile import estimate_quantile, quantile_interval

LEVELS = levels(0.05, 1)


def errors(n, quantile):
    """Return the chances of a false PASS and a false FAIL where the limit is the quantile."""
    chances = stats.binom.pmf(np.arange(n + 1), n, 1 - quantile)
    false_pass = false_fail = 0.0
    for over, chance in enumerate(chances):
        values = np.repeat([2.0, 0.5], [over, n - over])
        found = estimate_quantile(values, quantile=quantile, limit=1.0, levels=LEVELS)
        false_pass += chance * (found.p_pass <= LEVELS.alpha_pass)
        false_fail += chance * (found.p_fail <= LEVELS.alpha_fail)
    return false_pass, false_fail


@pytest.mark.parametrize("n", [60, 130, 300])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_errors_at_the_limit_keep_the_level(n, quantile):
    assert max(errors(n, quantile)) <= 0.05


@pytest.mark.parametrize("n", [12, 60, 130])
@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_interval_misses_no_more_often_than_stated(n, quantile):
    # Where `over` values exceed the true quantile 0, the interval of -1…, 1… either holds 0 or not.
    chances = stats.binom.pmf(np.arange(n + 1), n, 1 - quantile)
    too_low = too_high = 0.0
    for over, chance in enumerate(chances):
        values = np.repeat([-1.0, 1.0], [n - over, over])
        found = quantile_interval(values, quantile=quantile, alpha=0.05)
        too_low += chance * (found.high < 0)
        too_high += chance * (found.low > 0)
    assert too_low + too_high > 0
    assert max(too_low, too_high) <= 0.05
