"""Error of quantile tests at the limit itself, by enumeration of every result."""

import numpy as np
import pytest
from scipy import stats
from table_divergence import measure_quantiles

from pytest_quantcheck.stats.quantile import quantile_interval


@pytest.mark.parametrize("n", [60, 130, 300])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_errors_at_the_limit_keep_the_level(n, quantile):
    assert max(measure_quantiles({"n": n, "quantile": quantile}, 0, None).values()) <= 0.05


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
