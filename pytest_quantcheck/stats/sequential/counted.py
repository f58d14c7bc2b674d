"""How many examples changes of right or wrong answers take where measuring may stop early."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.stats.sequential.boundaries import boundary
from pytest_quantcheck.stats.sequential.population import LOOK_SHARE
from pytest_quantcheck.stats.sequential.schedule import RIGHT_OR_WRONG, batch_ends
from pytest_quantcheck.stats.sequential.wealth import growth_of_bet, log_mixture
from pytest_quantcheck.stats.tango import score_z

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.verdict import Levels

_RUNS = 1000
_SEED = 0


def expected_of_counts(
    shares: tuple[float, float], n: int, *, limit: float, levels: Levels
) -> float:
    """Return the mean number of examples, of n, until a limit of a drop is decided.

    Parameters
    ----------
    shares : pair of float
        Losses and gains among all examples.
    n : int
        Examples there are, each alone.
    limit : float
        Largest drop.
    levels : Levels
        Error rates of the decision.

    Notes
    -----
    1,000 seeded runs with bets at every batch, and looks by Tango's score in place of the exact
    test. The Monte Carlo error is about 1 % of n.
    """
    losses, gains = shares
    bets = _Bets(limit, levels)
    looks = RIGHT_OR_WRONG.looks(n)
    rng = np.random.default_rng(_SEED)
    counts = np.zeros((_RUNS, 3), np.int64)
    stops = np.full(_RUNS, n)
    is_open = np.full(_RUNS, fill_value=True)
    before = 0
    for end in batch_ends([1] * n, [METRICS["accuracy"]]):
        rest = max(0.0, 1 - losses - gains)
        counts += rng.multinomial(end - before, [losses, gains, rest], size=_RUNS)
        before = end
        found = bets.decide(counts)
        if end in looks:
            z = score_z(counts[:, 0], counts[:, 1], n=end, limit=limit)
            times = tuple(look / n for look in looks if look <= end)
            found |= _crosses(z, times, levels, share=LOOK_SHARE)
        stops[is_open & found] = end
        is_open &= ~found
    return float(np.mean(stops))


class _Bets:
    """What bets show of counts of losses, gains and ties."""

    def __init__(self, limit: float, levels: Levels) -> None:
        excesses = np.array([1.0, -1.0, 0.0]) - limit
        share = 1 - LOOK_SHARE
        self._passing = growth_of_bet(excesses, farthest=1 - limit)
        self._failing = growth_of_bet(excesses, farthest=-1 - limit)
        self._bars = -math.log(share * levels.alpha_pass), -math.log(share * levels.alpha_fail)

    def decide(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (runs,) whether a side is shown."""
        passes = log_mixture(self._passing @ counts.T) >= self._bars[0]
        fails = log_mixture(self._failing @ counts.T) >= self._bars[1]
        return np.asarray(passes | fails)


def _crosses(
    z: NDArray[np.float64], times: tuple[float, ...], levels: Levels, *, share: float
) -> NDArray[np.bool_]:
    """Return (runs,) whether a look shows that the limit is kept or exceeded."""
    passes = z <= -boundary(times, share * levels.alpha_pass)
    return np.asarray(passes | (z >= boundary(times, share * levels.alpha_fail)))
