"""What a test of one budget can show, before anything is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import special

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.decide import MIN_CLUSTERS, MIN_EXAMPLES
from pytest_quantcheck.stats.power import (
    POWER,
    needed_clusters,
    needed_for_share,
    needed_pairs,
    round_up,
)
from pytest_quantcheck.stats.proportion import MIN_MIXED_CLUSTERS
from pytest_quantcheck.stats.ratio_mean import RatioMean
from pytest_quantcheck.stats.tango import PairedCounts
from pytest_quantcheck.stats.teeth import (
    chance_at_shares,
    chance_for_mean,
    chance_for_share,
    mixed_chance,
)

if TYPE_CHECKING:
    from pytest_quantcheck.core.verdict import Levels

FLIPS = 0.05
REFERENCE_LEVEL = 0.75
_NATS = (0.05, 0.5)
_TOKENS = {"token": 1.0, "word": 1.3, "byte": 0.25}
"""In each unit of a loss, about."""
_SCORES = (0.1, 0.25)
_PILOT = 100
_FAR = 20.0
_HALVINGS = 16
_STEPS = 200
"""In clusters, a share of 0 or 1 shows nothing: values between are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What the examples are taken to be like; the defaults hold where no run has told."""

    flips: float = FLIPS
    """Share of examples whose correctness changes, in either direction; more where more is lost."""
    reference_level: float = REFERENCE_LEVEL
    """Share that the reference has right; only recovery depends on it."""
    spread: float | None = None
    """Standard deviation over examples of what is compared: nats per token for perplexity, or the
    score. None: 0.05 nats or a tenth of the range of scores for a change, 0.5 nats or a quarter of
    the range for a level; without bounds the range is taken as 1."""
    bounds: tuple[float, float] | None = None
    """Lowest and highest score."""
    cluster_size: float = 1.0
    """Examples per cluster, on average."""
    design_effect: float | None = None
    """Examples that tell as much as one that stands alone; None: as many as a cluster has."""

    @property
    def effect(self) -> float:
        """The design effect, given or assumed."""
        return self.cluster_size if self.design_effect is None else self.design_effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One budget with what is assumed of its examples."""

    limit: Limit
    levels: Levels
    assuming: Assumptions

    @property
    def best(self) -> float:
        """The value at which nothing is degraded, or the best a level can be."""
        limit, is_upper = self.limit, self.limit.bound is Bound.UPPER
        if limit.statistic in {Statistic.RECOVERY, Statistic.LOG_RATIO}:
            return 1.0
        if not limit.statistic.is_level:
            return 0.0
        return self._end(is_upper=not is_upper)

    @property
    def worst(self) -> float:
        """The largest degradation that is looked at."""
        limit, is_upper = self.limit, self.limit.bound is Bound.UPPER
        if limit.statistic is Statistic.RECOVERY:
            return 0.0
        if limit.statistic is Statistic.LOG_RATIO:
            return limit.value * math.exp(_FAR * self.spread)
        return self._end(is_upper=is_upper)

    def _end(self, *, is_upper: bool) -> float:
        """Return the highest or lowest value that is looked at."""
        if self.is_binary:
            return float(is_upper)
        if self.assuming.bounds is not None and self.limit.statistic.is_level:
            return self.assuming.bounds[is_upper]
        sign = 1.0 if is_upper else -1.0
        return self._unscaled(self._scaled(self.limit.value) + sign * _FAR * self.spread)

    @property
    def is_binary(self) -> bool:
        """Whether examples are right or wrong."""
        metric = self.limit.metric
        return metric is None or METRICS[metric].scale is Scale.BINARY

    @property
    def is_of_tokens(self) -> bool:
        """Whether logarithms are compared."""
        return not self.is_binary and METRICS[self.limit.metric or ""].scale is Scale.NLL

    @property
    def _is_share(self) -> bool:
        """Whether right or wrong answers are counted on one side, or as flips: a single share."""
        return self.limit.statistic.is_flips or self.limit.statistic.is_level

    @property
    def spread(self) -> float:
        """Standard deviation over examples, given or assumed."""
        if self.assuming.spread is not None:
            return self.assuming.spread
        is_level = self.limit.statistic.is_level
        if self.is_of_tokens:
            return _NATS[is_level] * _TOKENS[METRICS[self.limit.metric or ""].per]
        low, high = self.assuming.bounds or (0.0, 1.0)
        return _SCORES[is_level] * (high - low)

    def chance(self, outcome: Outcome, *, n: int, true: float) -> float:
        """Return the chance of PASS or FAIL with n examples where `true` is the truth."""
        is_pass = outcome is Outcome.PASS
        clusters = n / self.assuming.cluster_size
        if is_pass and (n < MIN_EXAMPLES or (self._is_clustered and clusters < MIN_CLUSTERS)):
            return 0.0
        if not self.is_binary:
            error = self.spread * math.sqrt(self.assuming.effect / n)
            return self._mean_chance(error, df=clusters - 1, true=true, is_pass=is_pass)
        if self._is_share:
            return self._share_chance(n, true=true, is_pass=is_pass)
        return self._pair_chance(n, true=true, is_pass=is_pass)

    def needed(self, true: float) -> int | None:
        """Return the examples for 80 % power where `true` is the truth; None if no number does."""
        limit = self.limit
        is_pass = (true < limit.value) is (limit.bound is Bound.UPPER)
        if true == limit.value or (is_pass and self.never_passes):
            return None
        alpha = self.levels.alpha_pass if is_pass else self.levels.alpha_fail
        least = max(MIN_EXAMPLES, math.ceil(MIN_CLUSTERS * self.assuming.cluster_size))
        if not self.is_binary or (self._is_share and self._is_clustered):
            needed = self._needed_of_clusters(true, alpha)
        elif self._is_share:
            needed = needed_for_share(true, limit=limit.value, alpha=alpha)
        else:
            needed = self._needed_pairs(true, alpha)
        return round_up(needed, at_least=least if is_pass else 1)

    @property
    def never_passes(self) -> bool:
        """Whether no number of examples can show the budget to be kept."""
        return self.limit.value == self.best

    @property
    def _is_clustered(self) -> bool:
        return self.assuming.cluster_size > 1

    def _scaled(self, value: float) -> float:
        """Return `value` on the scale of the procedure."""
        if not self.is_of_tokens:
            return value
        return math.log(value) if value > 0 else -math.inf

    def _unscaled(self, value: float) -> float:
        return math.exp(value) if self.is_of_tokens else value

    def _mean_chance(self, error: float, *, df: float, true: float, is_pass: bool) -> float:
        sign = 1.0 if (self.limit.bound is Bound.UPPER) is not is_pass else -1.0
        chance = chance_for_mean(
            RatioMean(mean=0.0, error=error, df=df),
            limit=sign * self._scaled(self.limit.value),
            true=sign * self._scaled(true),
            alpha=self.levels.alpha_pass if is_pass else self.levels.alpha_fail,
        )
        return chance or 0.0

    def _share_chance(self, n: int, *, true: float, is_pass: bool) -> float:
        if self._is_clustered:
            n_clusters = int(n / self.assuming.cluster_size)
            error = math.sqrt(true * (1 - true) * self.assuming.effect / n)
            mean = self._mean_chance(error, df=n_clusters - 1, true=true, is_pass=is_pass)
            mixed = mixed_chance(n_clusters, true, at_least=MIN_MIXED_CLUSTERS)
            if not self.assuming.cluster_size.is_integer():
                return mean * mixed
            return mean * mixed + (1 - mixed) * self._binomial(n_clusters, true, is_pass=is_pass)
        return self._binomial(n, true, is_pass=is_pass)

    def _binomial(self, n: int, true: float, *, is_pass: bool) -> float:
        limit, levels = self.limit.value, self.levels
        bound = self.limit.bound
        if is_pass:
            bound = Bound.LOWER if bound is Bound.UPPER else Bound.UPPER
        alpha = levels.alpha_pass if is_pass else levels.alpha_fail
        return chance_for_share(n, limit=limit, true=true, alpha=alpha, bound=bound)

    def pairs(self, true: float) -> tuple[float, float, float]:
        """Return, of all examples, the shares of losses, of gains, and of those that count."""
        level = self.assuming.reference_level
        is_relative = self.limit.statistic is Statistic.RECOVERY
        drop = (1 - true) * level if is_relative else true
        losses = max((self.assuming.flips + drop) / 2, drop)
        losses = min(losses, max(level, drop)) if is_relative else losses
        gains = losses - drop
        return losses, gains, level + gains if is_relative else 1.0

    def _pair_chance(self, n: int, *, true: float, is_pass: bool) -> float:
        losses, gains, counted = self.pairs(true)
        is_relative = self.limit.statistic is Statistic.RECOVERY
        limit = 1 - self.limit.value if is_relative else self.limit.value
        n_counted = max(1, round(n * counted / self.assuming.effect))
        shares = [losses / counted, gains / counted]
        found = [min(n_counted, round(share * n_counted)) for share in shares]
        counts = PairedCounts(
            losses=found[0],
            gains=min(found[1], n_counted - found[0]),
            n=n_counted,
            is_relative=is_relative,
        )
        alpha = self.levels.alpha_fail
        if is_pass:  # that the variant is not worse is shown as the exchanged one to be better
            limit, alpha = counts.opposite(limit), self.levels.alpha_pass
            counts, shares = counts.swap(), shares[::-1]
        return chance_at_shares(counts, losses=shares[0], gains=shares[1], limit=limit, alpha=alpha)

    def _needed_pairs(self, true: float, alpha: float) -> float:
        losses, gains, counted = self.pairs(true)
        is_relative = self.limit.statistic is Statistic.RECOVERY
        limit = 1 - self.limit.value if is_relative else self.limit.value
        needed = needed_pairs(
            losses / counted,
            gains / counted,
            limit=limit,
            alpha=alpha,
            gain_weight=1 - limit if is_relative else 1.0,
        )
        return needed * self.assuming.effect / counted

    def _needed_of_clusters(self, true: float, alpha: float) -> float:
        size = self.assuming.cluster_size
        spread = math.sqrt(true * (1 - true)) if self.is_binary else self.spread
        pilot = RatioMean(
            mean=self._scaled(true),
            error=spread * math.sqrt(self.assuming.effect / size / _PILOT),
            df=_PILOT - 1,
        )
        limit = self._scaled(self.limit.value)
        needed = needed_clusters(pilot, _PILOT, limit=limit, alpha=alpha)
        if self.is_binary:
            rarer = min(true, 1 - true)
            if rarer == 0 and size.is_integer():  # clusters of one size are tested as wholes
                return size * needed_for_share(true, limit=self.limit.value, alpha=alpha)
            enough = float(special.gammaincinv(MIN_MIXED_CLUSTERS, POWER))
            needed = max(needed, enough / rarer if rarer > 0 else math.inf)
        return needed * size

    def smallest_fail(self, n: int) -> float | None:
        """Return the smallest degradation shown as FAIL with 80 % power; None if there is none."""
        return self._edge(Outcome.FAIL, n, towards=self.worst)

    def largest_pass(self, n: int) -> float | None:
        """Return the largest degradation shown as PASS with 80 % power; None if there is none."""
        return self._edge(Outcome.PASS, n, towards=self.best)

    def _edge(self, outcome: Outcome, n: int, *, towards: float) -> float | None:
        """Return the value nearest the limit at which `outcome` comes with 80 % power."""
        start = self._scaled(self.limit.value)
        steps = _STEPS if self.is_binary and self._is_share and self._is_clustered else 1
        far = (start + (self._scaled(towards) - start) * i / steps for i in range(1, steps + 1))

        def is_shown(scaled: float) -> bool:
            return self.chance(outcome, n=n, true=self._unscaled(scaled)) >= POWER

        shown = next(filter(is_shown, far), start)
        if shown == start:
            return None
        hidden = start
        for _ in range(_HALVINGS):
            middle = (hidden + shown) / 2
            if is_shown(middle):
                shown = middle
            else:
                hidden = middle
        return self._unscaled(shown)
