"""McNemar's exact test against scipy and a published example."""

import pytest
from scipy import stats

from pytest_quantcheck.stats.mcnemar import mcnemar_p


@pytest.mark.parametrize(("losses", "gains"), [(16, 6), (6, 16), (0, 5), (40, 12), (3, 3), (1, 0)])
def test_it_is_the_two_sided_binomial_test(losses, gains):
    expected = stats.binomtest(losses, losses + gains, 0.5).pvalue
    assert mcnemar_p(losses, gains) == pytest.approx(expected, rel=1e-12)


def test_no_discordance_tells_nothing():
    assert mcnemar_p(0, 0) == 1.0


def test_published_value():
    # Cavo et al. (2012), as in Fagerland, Lydersen, Laake (2017), chapter 8: exact p = .0525
    assert mcnemar_p(6, 16) == pytest.approx(0.052479, abs=1e-6)
