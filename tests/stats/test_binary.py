"""The exact paired test: full enumeration, closed forms, monotony, its interval."""

import math

import numpy as np
import pytest
from scipy import special, stats

from pytest_quantcheck.stats import binary
from pytest_quantcheck.stats.binary import LARGEST_EXACT_N, estimate_drop, invert, p_fail, p_pass
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.tango import PairedCounts, score_z, tango_interval
from pytest_quantcheck.stats.unconditional import make_regions

GAMMA = 1e-5


def counts(losses, gains, n):
    return PairedCounts(losses=losses, gains=gains, n=n)


def enumerate_p(losses, gains, n, limit):
    """Sum the trinomial over every result, at 400 rates of flips between 0 and 1."""
    lost, gained = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    possible = lost + gained <= n
    z = score_z(lost, gained, n=n, limit=limit)
    observed = score_z(losses, gains, n=n, limit=limit)
    inside = possible & (z <= observed + 1e-9)
    lost, gained = lost[inside], gained[inside]
    ways = special.gammaln(n + 1) - special.gammaln(lost + 1) - special.gammaln(gained + 1)
    ways -= special.gammaln(n - lost - gained + 1)
    m = losses + gains
    low = stats.beta.ppf(GAMMA / 2, m, n - m + 1) if m else 0.0
    high = stats.beta.ppf(1 - GAMMA / 2, m + 1, n - m)
    sums = []
    for rate in np.linspace(max(low, abs(limit)), high, 400):
        log_p = ways + special.xlogy(lost, (rate + limit) / 2)
        log_p += special.xlogy(gained, (rate - limit) / 2)
        log_p += special.xlog1py(n - lost - gained, -rate)
        sums.append(np.sum(np.exp(log_p)))
    return min(1.0 - GAMMA, max(sums))


@pytest.mark.parametrize(
    ("losses", "gains", "n", "limit"),
    [(1, 2, 90, 0.05), (0, 0, 100, 0.01), (3, 5, 120, 0.02), (6, 1, 90, -0.01), (2, 2, 100, 0.0)],
)
def test_p_value_equals_the_sum_over_all_results(losses, gains, n, limit):
    found = make_regions(counts(losses, gains, n), np.array([limit]), gamma=GAMMA).p_value(0)
    assert found - GAMMA == pytest.approx(enumerate_p(losses, gains, n, limit), abs=1e-5)


@pytest.mark.parametrize(("n", "is_shown"), [(270, False), (298, False), (299, True)])
def test_no_flips_follow_the_closed_form(n, is_shown):
    # (1 - B)^n: 299 examples show a limit of 1 pp at .05, 298 do not
    p = p_pass(counts(0, 0, n), limit=0.01, alpha=0.05)
    assert p - GAMMA == pytest.approx(0.99**n, abs=1e-8)
    assert (p <= 0.05) == is_shown


def test_looser_limit_never_turns_red():
    # the p-value of the single limit falls from .0130 at 4.4 pp to .0097 at 4.6 pp
    single = make_regions(counts(3, 23, 178), np.array([-0.046, -0.044]), gamma=GAMMA)
    assert single.p_value(1) == pytest.approx(0.0130, abs=5e-5)
    assert single.p_value(0) == pytest.approx(0.0097, abs=5e-5)
    looser, tighter = (p_fail(counts(23, 3, 178), limit=b, alpha=0.01) for b in (0.046, 0.044))
    assert looser >= tighter >= 0.0130


@pytest.mark.parametrize(
    "table", [counts(23, 3, 178), counts(3, 2, 51), counts(4, 8, 266), counts(0, 1, 40)]
)
def test_p_values_are_monotone_in_the_limit(table):
    # above one half, where nothing is decided, the restricted rate of flips leaves small jumps
    limits = table.drop + np.arange(-30, 31) * 0.0017
    passing = [min(0.5, p_pass(table, limit=limit, alpha=0.05)) for limit in limits]
    failing = [min(0.5, p_fail(table, limit=limit, alpha=0.05)) for limit in limits]
    assert np.all(np.diff(passing) <= 0)
    assert np.all(np.diff(failing) >= 0)


@pytest.mark.parametrize("limit", [0.01, 0.05])
def test_p_value_rises_with_losses_and_falls_with_gains(limit):
    p = [[p_pass(counts(b, c, 60), limit=limit, alpha=0.05) for c in range(6)] for b in range(6)]
    p = np.minimum(p, 0.5)
    assert np.all(np.diff(p, axis=0) >= 0)
    assert np.all(np.diff(p, axis=1) <= 0)


@pytest.mark.parametrize("limit", [-0.03, 0.0, 0.02])
def test_exchanging_reference_and_variant_flips_the_sign(limit):
    table = counts(7, 3, 150)
    assert p_fail(table, limit=limit, alpha=0.05) == p_pass(table.swap(), limit=-limit, alpha=0.05)
    interval, swapped = invert(table, alpha=0.05), invert(table.swap(), alpha=0.05)
    assert (interval.low, interval.high) == (-swapped.high, -swapped.low)


@pytest.mark.parametrize(
    "table",
    [counts(0, 0, 300), counts(12, 4, 250), counts(3, 23, 178), counts(5, 0, 30), counts(9, 7, 90)],
)
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_interval_and_test_agree(table, alpha):
    interval = invert(table, alpha=alpha)
    step = 1e-4
    assert interval.low < table.drop < interval.high
    assert p_pass(table, limit=interval.high, alpha=alpha) <= alpha
    assert p_pass(table, limit=interval.high - step, alpha=alpha) > alpha
    assert p_fail(table, limit=interval.low, alpha=alpha) <= alpha
    assert p_fail(table, limit=interval.low + step, alpha=alpha) > alpha


def test_interval_lies_close_to_the_large_sample_interval():
    table = counts(125, 100, 5000)
    exact, large = invert(table, alpha=0.05), tango_interval(table, quantile=1.6448536269514722)
    assert exact.low == pytest.approx(large.low, abs=2e-4)
    assert exact.high == pytest.approx(large.high, abs=2e-4)


@pytest.mark.parametrize(("losses", "gains"), [(10, 0), (0, 10)])
def test_interval_of_a_total_change_ends_at_one(losses, gains):
    interval = invert(counts(losses, gains, 10), alpha=0.05)
    assert (interval.high if losses else -interval.low) == 1.0
    # 10 losses of 10 have the chance ((1 + drop) / 2)^10 where no pair agrees
    other_end = interval.low if losses else -interval.high
    assert other_end == pytest.approx(2 * 0.05**0.1 - 1, abs=2e-4)


def test_interval_end_lies_beyond_the_last_jump():
    # a lone p-value is back above .05 after it fell below: the end is the last crossing
    found = invert(counts(1, 5, 226), alpha=0.25)
    assert p_pass(counts(1, 5, 226), limit=found.high, alpha=0.25) <= 0.25


def test_limit_between_two_lattice_points_is_moved_to_the_stricter():
    table = counts(3, 1, 100)
    assert p_pass(table, limit=0.05004, alpha=0.05) == p_pass(table, limit=0.05, alpha=0.05)
    assert p_fail(table, limit=0.05004, alpha=0.05) == p_fail(table, limit=0.0501, alpha=0.05)


def test_limit_of_one_leaves_nothing_to_show():
    assert p_pass(counts(10, 0, 10), limit=1.0, alpha=0.05) == 0.0
    assert p_fail(counts(10, 0, 10), limit=1.0, alpha=0.05) == 1.0


def test_gamma_shrinks_with_alpha():
    # 1000 examples without a flip: what is left of p is gamma
    p = p_pass(counts(0, 0, 5000), limit=0.05, alpha=1e-6)
    assert p == pytest.approx(1e-8, rel=1e-3)


def test_large_n_uses_the_large_sample_test():
    # Tango's z in closed form from the counts; LARGEST_EXACT_N + 1 examples are cheap
    n = LARGEST_EXACT_N + 1
    estimate = estimate_drop(counts(300, 200, n), limit=0.01, levels=levels(0.05, 1))
    z = float(score_z(300, 200, n=n, limit=0.01))
    assert estimate.p_pass == pytest.approx(stats.norm.cdf(z), rel=1e-12)
    assert estimate.p_fail == pytest.approx(stats.norm.sf(z), rel=1e-12)
    assert score_z(300, 200, n=n, limit=estimate.high) == pytest.approx(-1.6448536, abs=1e-6)
    assert estimate.method == "score test on paired proportions (Tango)"


def test_million_examples_are_quick_and_finite():
    estimate = estimate_drop(counts(30_000, 29_000, 10**6), limit=0.02, levels=levels(0.05, 1))
    assert estimate.p_pass == 0.0
    assert math.isfinite(estimate.low + estimate.high)


def test_score_of_a_null_without_variance_is_infinite():
    assert score_z(1, 0, n=10, limit=0.0) > 0
    assert score_z(0, 0, n=10, limit=0.0) == 0
    assert score_z(10, 0, n=10, limit=-1.0) == math.inf


def test_scan_reaches_beyond_every_larger_p_value():
    # the farthest found: 0.37 standard errors, in 2 losses and 3 gains of 51
    table = counts(2, 3, 51)
    lattice = binary.Lattice.of(table)
    start = lattice.floor(-0.009)
    limits = np.arange(start, start + 4 * lattice.scan) / lattice.per_unit
    regions = make_regions(table, limits, gamma=GAMMA)
    values = [regions.p_value(int(i)) for i in regions.starts]
    assert regions.starts[int(np.argmax(values))] <= lattice.scan
