"""What a budget can show with so many examples, and how many it needs: for planning a suite.

Nothing is measured and no model is loaded. `pytest --quant-plan` prints the same figures for the
budgets of a suite.
"""

from __future__ import annotations

import math

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.metric import compares_models
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.plan import Assumptions, Plan
from pytest_quantcheck.stats.sequential.plan import expected_n

__all__ = [
    "Assumptions",
    "expected_examples",
    "largest_shown_pass",
    "needed_examples",
    "smallest_shown_fail",
]

_DEFAULTS = Assumptions()


def needed_examples(
    limit: str,
    value: float,
    *,
    true: float | None = None,
    alpha: float = 0.05,
    family_size: int = 1,
    assuming: Assumptions = _DEFAULTS,
) -> int | None:
    """Return the examples that show the truth with 80 % power.

    Parameters
    ----------
    limit, value : str, float
        As in `quant_budget`: `"max_accuracy_drop", 0.01`.
    true : float, optional
        The true value, in the unit of the limit; by default nothing is degraded, and a level is
        the best there is. Within the limit PASS is planned, past it FAIL.
    alpha : float
        Chance of a false FAIL in a run, and of each false PASS.
    family_size : int
        Budgets that share `alpha`; only FAIL depends on it.
    assuming : Assumptions
        What the examples are like.

    Returns
    -------
    int or None
        None where no number would do: at the limit, and for PASS of a limit of no degradation.

    Raises
    ------
    UsageError
        The limit is unknown, or a value cannot be.

    Notes
    -----
    These are the formulas behind "about N more examples" in the summary, for one test of all
    examples; looks as they come take up to a tenth more. The exact test of right or wrong answers
    may have up to 7 points less power at few flips.

    Examples
    --------
    >>> needed_examples("max_accuracy_drop", 0.01)
    3162
    >>> needed_examples("max_accuracy_drop", 0.01, true=0.03, family_size=20)
    1548
    """
    plan = _plan(limit, value, alpha=alpha, family_size=family_size, assuming=assuming)
    if true is not None and not math.isfinite(true):
        raise UsageError(f"true={true!r}: expected a finite number in the unit of {limit}")
    return plan.needed(plan.best if true is None else true)


def smallest_shown_fail(
    limit: str,
    value: float,
    *,
    n: int,
    alpha: float = 0.05,
    family_size: int = 1,
    assuming: Assumptions = _DEFAULTS,
) -> float | None:
    """Return the smallest degradation that n examples show as FAIL with 80 % power.

    Parameters
    ----------
    limit, value, alpha, family_size, assuming
        As for `needed_examples`.
    n : int
        Examples, at least 1.

    Returns
    -------
    float or None
        In the unit of the limit; None where even the largest has a smaller chance of FAIL.

    Examples
    --------
    >>> round(smallest_shown_fail("max_accuracy_drop", 0.01, n=1000), 3)
    0.027
    """
    plan = _plan(limit, value, alpha=alpha, family_size=family_size, assuming=assuming)
    return plan.smallest_fail(_checked(n))


def largest_shown_pass(
    limit: str,
    value: float,
    *,
    n: int,
    alpha: float = 0.05,
    assuming: Assumptions = _DEFAULTS,
) -> float | None:
    """Return the largest degradation that n examples still show as PASS with 80 % power.

    Parameters
    ----------
    limit, value, alpha, assuming
        As for `needed_examples`; PASS does not depend on the family.
    n : int
        Examples, at least 1.

    Returns
    -------
    float or None
        In the unit of the limit; None where PASS has a smaller chance even if nothing is degraded.

    Examples
    --------
    >>> largest_shown_pass("max_accuracy_drop", 0.01, n=1000) is None
    True
    """
    plan = _plan(limit, value, alpha=alpha, family_size=1, assuming=assuming)
    return plan.largest_pass(_checked(n))


def expected_examples(
    limit: str,
    value: float,
    *,
    n: int,
    true: float | None = None,
    alpha: float = 0.05,
    assuming: Assumptions = _DEFAULTS,
) -> int:
    """Return how many of n examples early stopping takes, on average.

    Parameters
    ----------
    limit, value, true, assuming
        As for `needed_examples`.
    n : int
        Examples in all, at least 1.
    alpha : float
        Error rate of this decision; where `true` is past the limit, that of the run over its
        family size.

    Notes
    -----
    Drops of right or wrong answers that stand alone are simulated (seeded; about 1 % of n). For
    the rest it is looks alone, with differences taken to be normal: bets stop gross failures
    earlier still, after some 300 examples.

    Examples
    --------
    >>> expected_examples("max_accuracy_drop", 0.01, n=5000)
    3272
    >>> expected_examples("max_accuracy_drop", 0.01, n=5000, true=0.05)
    340
    """
    plan = _plan(limit, value, alpha=alpha, family_size=1, assuming=assuming)
    if true is not None and not math.isfinite(true):
        raise UsageError(f"true={true!r}: expected a finite number in the unit of {limit}")
    return expected_n(plan, _checked(n), true=plan.best if true is None else true)


def _plan(
    limit: str, value: float, *, alpha: float, family_size: int, assuming: Assumptions
) -> Plan:
    stated = parse_limit(limit, value)
    if not stated.is_statistical:
        raise UsageError(f"{limit} is compared exactly; no number of examples matters")
    if stated.is_of_serving:
        raise UsageError(
            f"{limit} is not planned: how many runs it takes depends on how much times scatter; "
            "run it once, and the summary says"
        )
    if compares_models(stated.metric):
        raise UsageError(
            f"{limit} is not planned: how many documents it takes depends on how far two models' "
            "predictions are apart from document to document; run it once, and the summary says"
        )
    if type(family_size) is not int or family_size < 1:
        raise UsageError(f"family_size={family_size!r}: expected a whole number, at least 1")
    _check(assuming)
    return Plan(limit=stated, levels=levels(alpha, family_size), assuming=assuming)


def _check(assuming: Assumptions) -> None:
    """Raise UsageError for what no examples can be like."""
    expected = {
        "flips": (assuming.flips, 0 <= assuming.flips <= 1, "a fraction in [0, 1]"),
        "reference_level": (
            assuming.reference_level,
            0 < assuming.reference_level <= 1,
            "a fraction above 0, at most 1",
        ),
        "spread": (
            assuming.spread,
            assuming.spread is None or 0 < assuming.spread < math.inf,
            "a number above 0",
        ),
        "cluster_size": (assuming.cluster_size, assuming.cluster_size >= 1, "at least 1"),
        "design_effect": (assuming.design_effect, assuming.effect > 0, "a number above 0"),
    }
    for name, (value, is_possible, text) in expected.items():
        if not is_possible:
            raise UsageError(f"{name}={value!r}: expected {text}")


def _checked(n: int) -> int:
    if type(n) is not int or n < 1:
        raise UsageError(f"n={n!r}: expected a whole number of examples, at least 1")
    return n
