"""What a test of one budget says: an estimate with its interval, and one of three outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(Enum):
    """What is known about the budget."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    """Shown to be within the limit."""
    FAIL = "fail"
    """Shown to be over the limit."""
    INCONCLUSIVE = "inconclusive"
    """Neither is shown."""


class Reason(Enum):
    """Why the outcome is what it is."""

    SHOWN_WITHIN = "shown_within"
    """PASS: the test of "at or over the limit" rejects."""
    SHOWN_OVER = "shown_over"
    """FAIL: the test of "within the limit" rejects."""
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"
    """Neither test rejects."""
    TOO_FEW_EXAMPLES = "too_few_examples"
    """PASS needs at least 20 examples, FAIL at least 5 losses when there are fewer."""
    TOO_FEW_CLUSTERS = "too_few_clusters"
    """PASS needs at least 5 clusters."""
    ZERO_LIMIT = "zero_limit"
    """No number of examples can show a drop of at most 0: the limit must be above 0."""
    TRIVIAL_LIMIT = "trivial_limit"
    """The limit cannot be exceeded by any data."""
    IDENTICAL_SCORES = "identical_scores"
    """Every example scored bit for bit the same: a rule, not a test."""
    CONSTANT_DIFFERENCE = "constant_difference"
    """Every example differs by the same amount: a rule, not a test."""
    FEW_NONZERO_DIFFERENCES = "few_nonzero_differences"
    """Under 20 examples differ, and the scores are unbounded: no valid test."""
    TOO_SKEWED = "too_skewed"
    """The values are so skewed that PASS needs more of them: rare large ones may be missing."""
    SKEWED_BY_ONE = "skewed_by_one"
    """One example carries more than half of all differences."""
    BELOW_NOISE_FLOOR = "below_noise_floor"
    """Over the limit, and not shown to exceed what the reference differs from itself by."""
    NON_FINITE = "non_finite"
    """The variant's loss is infinite where the reference's is finite."""
    ON_THESE_EXAMPLES = "on_these_examples"
    """A claim about these examples only: arithmetic."""
    TOO_FEW_RUNS = "too_few_runs"
    """Under 12 pairs of runs (8 of loads), or fewer runs than a percentile takes."""
    COARSE_CLOCK = "coarse_clock"
    """In most pairs both runs took exactly as long: the clock does not tell them apart."""
    DEPENDENT_RUNS = "dependent_runs"
    """Neighbouring runs are so alike that they count as fewer, too few for the percentile."""
    EXACT = "exact"
    """Compared exactly: no sampling error is involved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Error rates of one decision."""

    alpha_pass: float
    """Chance of PASS at the limit; each check by itself."""
    alpha_fail: float
    """Chance of FAIL at the limit; the run's alpha divided by its family size."""

    @property
    def confidence_level(self) -> float:
        """Of the two-sided interval, whose ends are tests at `alpha_pass` each."""
        return 1 - 2 * self.alpha_pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A statistic with its interval, in the unit of the limit."""

    value: float
    low: float
    """NaN where no interval exists: a claim about these examples only."""
    high: float
    confidence_level: float
    """Of the two-sided interval."""
    p_pass: float
    """One-sided p-value of "at or over the limit"; small shows PASS."""
    p_fail: float
    """One-sided p-value of "within the limit"; small shows FAIL."""
    n: int
    """Examples used; of latencies pairs of runs, or runs."""
    n_clusters: int | None
    """Independent clusters, if examples are clustered."""
    method: str
    """The test, as statisticians call it."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """For binary scores: losses, gains, both, neither; for shares: hits."""
    design_effect: float | None = None
    """Variance of the value over that of as many examples that stand alone, as the test has it;
    None without clusters, or where the test has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision on one budget."""

    outcome: Outcome
    reason: Reason
    estimate: Estimate
    levels: Levels
    needed_n: int | None = None
    """For INCONCLUSIVE: examples, pairs or runs in all for 80 % power at the estimate; None if no
    number would."""
    note: str = ""
    """One sentence for the reader, where the reason needs a figure."""
    power: float | None = None
    """Chance of FAIL, with as many examples, where the truth is `power_at`; None where unknown."""
    power_at: float | None = None
    """A gross excess of the limit, in its unit."""
