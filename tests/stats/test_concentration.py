"""The chance that losses gather in one slice by themselves."""

import pytest
from scipy import stats

from pytest_quantcheck.stats.concentration import concentration_pvalue


@pytest.mark.parametrize(
    ("lost", "n", "lost_in_all", "n_in_all"),
    [(41, 250, 97, 1000), (0, 250, 97, 1000), (97, 500, 97, 1000), (3, 3, 3, 4),
     (24, 250, 97, 1000), (5, 900, 5, 1000), (1, 1, 1, 1), (900, 1500, 1000, 3000)],
)  # fmt: skip
def test_it_is_the_upper_tail_of_the_hypergeometric(lost, n, lost_in_all, n_in_all):
    expected = stats.hypergeom.sf(lost - 1, n_in_all, n, lost_in_all)

    found = concentration_pvalue(lost, n, lost_in_all=lost_in_all, n_in_all=n_in_all)

    assert found == pytest.approx(min(expected, 1.0), rel=1e-9)


def test_nothing_lost_is_concentrated_nowhere():
    assert concentration_pvalue(0, 10, lost_in_all=0, n_in_all=20) == 1
