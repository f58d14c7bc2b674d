"""Published and independently computed values; each case names its source."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from pytest_quantcheck.stats.betting import log_e
from pytest_quantcheck.stats.binary import p_fail, p_pass
from pytest_quantcheck.stats.family import adjust_by_holm
from pytest_quantcheck.stats.inversion import normal_quantile
from pytest_quantcheck.stats.latency import rank_signed
from pytest_quantcheck.stats.mcnemar import mcnemar_p
from pytest_quantcheck.stats.power import needed_pairs
from pytest_quantcheck.stats.proportion import clopper_pearson, p_at_least, p_at_most
from pytest_quantcheck.stats.quantile import examples_for_quantile
from pytest_quantcheck.stats.ratio_mean import ClusterSums, estimate_ratio_mean
from pytest_quantcheck.stats.sequential.boundaries import boundary, crossing
from pytest_quantcheck.stats.skewed_mean import estimate_skewed_ratio_mean
from pytest_quantcheck.stats.tango import PairedCounts, score_z, tango_interval


def tango_ci(both, loss, gain, neither, conf):
    counts = PairedCounts(losses=loss, gains=gain, n=both + loss + gain + neither)
    interval = tango_interval(counts, quantile=normal_quantile((1 - conf) / 2))
    return {"lower": interval.low, "upper": interval.high}


def tango_z(loss, gain, n, delta0):
    z = float(score_z(loss, gain, n=n, limit=delta0))
    return {"z": z, "p_pass": special.ndtr(z), "p_fail": special.ndtr(-z)}


def exact_p(loss, gain, n, delta0, side, berger_boos_gamma):
    p = {"pass": p_pass, "fail": p_fail}[side]
    counts = PairedCounts(losses=loss, gains=gain, n=n)
    spent = 0 if berger_boos_gamma else 1e-5 * (1 + 2e-4)
    return {"p": p(counts, limit=delta0, alpha=0.05) - spent}


def clopper_pearson_ci(x, n, conf):
    interval = clopper_pearson(x, n, alpha=(1 - conf) / 2)
    return {"lower": interval.low, "upper": interval.high}


def binom_percentile(n, over, percentile):
    share = 1 - percentile
    return {
        "p_pass": p_at_most(over, n, share=share),
        "p_fail": p_at_least(over, n, share=share),
    }


def bet_mixture_log_e(loss, gain, n, budget, fractions):
    assert fractions == [0.08, 0.25, 0.6, 0.98]
    differences = np.repeat([1.0, -1.0, 0.0], [loss, gain, n - loss - gain])
    ones = np.ones(n)
    towards_pass = ClusterSums(sums=differences, sizes=ones)
    towards_fail = ClusterSums(sums=-differences, sizes=ones)
    return {
        "log_e_pass": log_e(towards_pass, limit=budget, reach=1.0),
        "log_e_fail": log_e(towards_fail, limit=-budget, reach=1.0),
    }


def cluster_mean(cluster_sums, cluster_sizes):
    sums, sizes = np.array(cluster_sums), np.array(cluster_sizes, dtype=np.float64)
    mean = estimate_ratio_mean(ClusterSums(sums=sums, sizes=sizes))
    cr0 = math.sqrt(np.sum((sums - mean.mean * sizes) ** 2)) / np.sum(sizes)
    return {
        "mean": mean.mean,
        "se_cr2": mean.error,
        "df_bm": mean.df,
        "se_cr0": cr0,
        "t0": mean.mean / mean.error,
    }


def required_n(flip, drop, budget, alpha, power):
    assert power == 0.8
    needed = needed_pairs((flip + drop) / 2, (flip - drop) / 2, limit=budget, alpha=alpha)
    return {"n": math.ceil(needed)}


def hall_transformed_t(x, mu0):
    mean = estimate_skewed_ratio_mean(ClusterSums(sums=np.array(x), sizes=np.ones(len(x))), least=0)
    return {
        "t_biased_sd": math.sqrt(mean.n) * (mean.mean - mu0) / mean.deviation,
        "hall": mean.transform(mu0),
    }


def mlperf_min_queries(percentile, confidence, tolerance, overlatency):
    assert tolerance == 0
    alpha = 1 - confidence
    needed = [examples_for_quantile(percentile, alpha=alpha, over=over) for over in overlatency]
    return {"total_queries": needed}


def hodges_lehmann(x):
    ranks = rank_signed(np.array(x))
    return {"hl": ranks.pseudo_median, "p_greater_0p01": ranks.p_fail(0.01)}


def gs_boundary(K, alpha, spend):  # noqa: N803 - the golden file's name
    times = tuple(k / K for k in range(1, K + 1))
    if spend == "OF":
        return {"z": [boundary(times[:k], alpha) for k in range(1, K + 1)]}
    spent = tuple(alpha * math.log1p((math.e - 1) * time) for time in times)
    return {"z": [crossing(times[:k], spent[:k]) for k in range(1, K + 1)]}


def mcnemar(loss, gain):
    return {"p": mcnemar_p(loss, gain)}


def mcnemar_asymptotic(loss, gain):
    # Without concordant pairs, which do not matter, Tango's score at a limit of 0 is McNemar's.
    z = float(score_z(loss, gain, n=loss + gain, limit=0.0))
    return {"p": 2 * special.ndtr(-abs(z)), "z": z}


def multiplicity(p, alpha, method):
    assert method == "holm"
    adjusted = adjust_by_holm(p, len(p))
    return {"reject": [value <= alpha for value in adjusted], "adjusted": adjusted}


PROCEDURES = {
    "tango_ci": tango_ci,
    "tango_z": tango_z,
    "exact_unconditional_p": exact_p,
    "exact_unconditional_p_closed_form": exact_p,
    "clopper_pearson_ci": clopper_pearson_ci,
    "binom_percentile": binom_percentile,
    "bet_mixture_log_e": bet_mixture_log_e,
    "cluster_mean_cr2": cluster_mean,
    "cluster_mean_cr2_singletons_is_t_test": cluster_mean,
    "gs_boundary": gs_boundary,
    "hall_transformed_t": hall_transformed_t,
    "hodges_lehmann": hodges_lehmann,
    "mcnemar_asymptotic_two_sided": mcnemar_asymptotic,
    "mcnemar_exact_two_sided": mcnemar,
    "mlperf_min_queries": mlperf_min_queries,
    "multiplicity": multiplicity,
    "required_n_paired_binary": required_n,
}


NOT_OFFERED = {
    "newcombe_ci": "false PASS of .134 at n = 200; Tango's interval is used",
    "e_bh": "controls the share of false findings; a run is red for a single FAIL",
    "multiplicity": "fdr_bh, for the same reason; Holm's list is consumed",
}
"""Golden procedures that no verdict uses, and why."""


def is_offered(case):
    return case["name"] in PROCEDURES and case["input"].get("method") != "fdr_bh"


def golden():
    kept = Path(__file__).parent / "golden.json"
    path = Path(os.environ.get("QUANTCHECK_GOLDEN", kept))
    return json.loads(path.read_text(encoding="utf-8"))["cases"]


def cases():
    known = [case for case in golden() if is_offered(case)]
    return [pytest.param(case, id=f"{case['name']}-{i}") for i, case in enumerate(known)]


def test_every_case_is_consumed_or_named_as_not_offered():
    left = {case["name"] for case in golden() if not is_offered(case)}

    assert left <= NOT_OFFERED.keys()
    assert len(cases()) >= 40


def test_every_procedure_has_a_case():
    assert {case["name"] for case in golden()} >= PROCEDURES.keys()


@pytest.mark.parametrize("case", cases())
def test_value_agrees_with_its_source(case):
    found = PROCEDURES[case["name"]](**case["input"])
    for name, expected in case["expected"].items():
        assert found[name] == pytest.approx(expected, abs=case["tol"], rel=0), case["source"]
