"""Independent oracles: each procedure against other programs, enumeration or published values."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from places import exists
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from pytest_quantcheck.stats.family import adjust_by_holm
from pytest_quantcheck.stats.mcnemar import mcnemar_p
from pytest_quantcheck.stats.proportion import clopper_pearson
from pytest_quantcheck.stats.ratio_mean import add_up, estimate_ratio_mean
from pytest_quantcheck.stats.tango import score_z

ORACLES = {
    "Tango's score and interval": [
        "stats/test_golden.py::test_value_agrees_with_its_source",
        "stats/test_oracles.py::test_tango_at_zero_is_mcnemar_of_statsmodels",
    ],
    "exact paired test": [
        "stats/test_binary.py::test_p_value_equals_the_sum_over_all_results",
        "stats/test_binary.py::test_no_flips_follow_the_closed_form",
        "calibration/test_binary_enumeration.py::test_errors_at_the_limit_keep_the_level",
    ],
    "exact test of a recovery": [
        "stats/test_recovery.py::test_the_statistic_is_that_of_nam_and_blackwelder",
        "calibration/test_recovery_enumeration.py::test_errors_at_the_limit_keep_the_level",
    ],
    "answers in clusters": [
        "stats/test_clustered_binary.py::test_p_values_are_the_score_over_the_root_of_the_effect",
        "calibration/test_clusters_simulation.py::test_few_verdicts_at_the_limit_are_wrong",
    ],
    "ratio mean, CR2": [
        "stats/test_oracles.py::test_errors_of_clusters_are_those_of_statsmodels",
        "stats/test_ratio_mean.py::test_error_and_df_equal_the_matrix_formula",
        "stats/test_oracles.py::test_single_examples_give_the_t_test_of_statsmodels",
    ],
    "betting e-value": [
        "stats/test_golden.py::test_value_agrees_with_its_source",
        "calibration/test_clusters_simulation.py::test_few_verdicts_at_the_limit_are_wrong",
    ],
    "Hall's transform": [
        "stats/test_golden.py::test_value_agrees_with_its_source",
        "calibration/test_skewed_mean_simulation.py::test_few_verdicts_at_the_limit_are_wrong",
    ],
    "shares": [
        "stats/test_oracles.py::test_shares_have_the_interval_of_statsmodels",
        "stats/test_procedures.py::test_flips_are_an_exact_share",
    ],
    "quantiles": [
        "calibration/test_quantile_enumeration.py::test_errors_at_the_limit_keep_the_level",
        "stats/test_golden.py::test_value_agrees_with_its_source",
    ],
    "signed ranks": [
        "stats/test_latency.py::test_p_values_equal_scipy",
        "calibration/test_latency_simulation.py::"
        "test_level_holds_for_every_way_that_orders_can_fall",
    ],
    "McNemar, described only": [
        "stats/test_oracles.py::test_mcnemar_is_that_of_statsmodels",
        "stats/test_mcnemar.py::test_published_value",
    ],
    "Holm": ["stats/test_oracles.py::test_holm_is_that_of_statsmodels"],
    "planned examples": [
        "stats/test_golden.py::test_value_agrees_with_its_source",
        "calibration/test_plan_simulation.py::*",
    ],
    "early stopping": [
        "stats/test_golden.py::test_value_agrees_with_its_source",
        "calibration/test_sequential_simulation.py::*",
    ],
}
"""Where each procedure is held against something that is not our own code."""


@pytest.mark.parametrize("name", ORACLES)
def test_the_oracle_of_each_procedure_is_there(name):
    assert [place for place in ORACLES[name] if not exists(place)] == []


@pytest.mark.parametrize(("hits", "n"), [(0, 40), (3, 50), (40, 40), (500, 1000)])
def test_shares_have_the_interval_of_statsmodels(hits, n):
    found = clopper_pearson(hits, n, alpha=0.05)
    low, high = proportion_confint(hits, n, alpha=0.1, method="beta")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("losses", "gains"), [(16, 6), (6, 16), (0, 5), (40, 12)])
def test_mcnemar_is_that_of_statsmodels(losses, gains):
    expected = mcnemar([[5, losses], [gains, 7]], exact=True)
    assert mcnemar_p(losses, gains) == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize(("losses", "gains"), [(16, 6), (6, 16), (40, 12)])
def test_tango_at_zero_is_mcnemar_of_statsmodels(losses, gains):
    expected = mcnemar([[5, losses], [gains, 7]], exact=False, correction=False)
    z = float(score_z(losses, gains, n=100, limit=0.0))
    assert z**2 == pytest.approx(expected.statistic, rel=1e-12)
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(expected.pvalue, rel=1e-12)


def test_holm_is_that_of_statsmodels():
    p = [0.001, 0.008, 0.012, 0.02, 0.04, 0.2, 0.6]
    _, expected, _, _ = multipletests(p, method="holm")
    assert adjust_by_holm(p, len(p)) == pytest.approx(list(expected), rel=1e-12)


def test_errors_of_clusters_are_those_of_statsmodels():
    # CR0 is the sandwich without leverage; CR2 divides each residual's square by 1 - h.
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(9), rng.integers(1, 9, 9))
    values = rng.normal(size=9)[clusters] + rng.normal(size=clusters.size)
    fit = sm.OLS(values, np.ones(clusters.size)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    sums = add_up(values, np.ones(values.size), clusters=clusters)
    found = estimate_ratio_mean(sums)
    residuals = sums.sums - found.mean * sums.sizes
    assert found.mean == pytest.approx(fit.params[0], rel=1e-12)
    assert math.sqrt(np.sum(residuals**2)) / values.size == pytest.approx(fit.bse[0], rel=1e-9)
    leverage = sums.sizes / values.size
    assert found.error * values.size == pytest.approx(
        math.sqrt(np.sum(residuals**2 / (1 - leverage))), rel=1e-12
    )


@pytest.mark.parametrize("limit", [-0.2, 0.05, 0.3])
def test_single_examples_give_the_t_test_of_statsmodels(limit):
    values = np.random.default_rng(4).normal(0.1, 1, 40)
    found = estimate_ratio_mean(add_up(values, np.ones(40), clusters=None))
    _, p_pass, df = DescrStatsW(values).ttest_mean(limit, alternative="smaller")
    _, p_fail, _ = DescrStatsW(values).ttest_mean(limit, alternative="larger")
    assert (found.p_pass(limit), found.p_fail(limit)) == pytest.approx((p_pass, p_fail), rel=1e-9)
    assert found.df == pytest.approx(df)
