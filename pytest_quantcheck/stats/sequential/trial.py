"""One limit, decided as examples come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.limit import Limit, Statistic
from pytest_quantcheck.core.metric import METRICS, Scale, compares_models
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.sequential.contrast import make_contrast, metric_of, scales_of
from pytest_quantcheck.stats.sequential.dataset import DatasetTest
from pytest_quantcheck.stats.sequential.plan import foreseeing_looks
from pytest_quantcheck.stats.sequential.population import PopulationTest
from pytest_quantcheck.stats.sequential.prefix import Plan, Prefix
from pytest_quantcheck.stats.sequential.schedule import Pace, pace_of

if TYPE_CHECKING:
    from pytest_quantcheck.core.verdict import Levels, Outcome, Verdict
    from pytest_quantcheck.stats.scores import ExampleScores

__all__ = ["Plan", "Trial", "can_stop"]


def can_stop(limit: Limit, target: Target) -> bool:
    """Return whether a limit can be decided before all examples are measured.

    The size of weights needs no example, and times have looks of their own. What holds for all
    losses of a given set of documents is known from all of them only, as one loss may be as large
    as the rest together. Divergences and agreements have no sequential test.
    """
    if limit.statistic is Statistic.WEIGHT_RATIO or limit.is_of_serving:
        return False
    if compares_models(limit.metric):
        return False
    is_loss = limit.metric is not None and METRICS[limit.metric].scale is Scale.NLL
    return target is Target.POPULATION or not is_loss


class Trial:
    """One limit, decided as examples come.

    Notes
    -----
    Examples must come in random order, clusters as wholes, in batches that depend on no score:
    see `schedule.batch_ends`. The verdict is a function of limit, plan, levels and the batches;
    within a batch the order does not matter.
    """

    def __init__(
        self,
        limit: Limit,
        *,
        plan: Plan,
        levels: Levels,
        target: Target = Target.POPULATION,
        pace: Pace | None = None,
    ) -> None:
        """Wait for the first batch.

        Parameters
        ----------
        limit : Limit
            One that `can_stop`.
        plan : Plan
            What is known of the examples.
        levels : Levels
            Error rates of the decision, whenever it falls.
        target : Target
            DATASET: a claim about the examples of the plan only.
        pace : Pace | None
            None: that of the limit's metric.
        """
        self._limit, self._plan, self._levels, self._target = limit, plan, levels, target
        self._pace = pace
        self._prefix = Prefix()
        self._test: PopulationTest | DatasetTest | None = None
        self._outcome: Outcome | None = None
        self._verdict: Verdict | None = None

    @property
    def outcome(self) -> Outcome | None:
        """The decision; None while more examples are needed."""
        return self._outcome

    @property
    def verdict(self) -> Verdict | None:
        """The decision with its estimate; None while more examples are needed.

        The interval is computed when first asked for.
        """
        if self._verdict is None and self._outcome is not None:
            self._verdict = self._conclude(self._outcome)
        return self._verdict

    @property
    def n(self) -> int:
        """Examples used."""
        return self._prefix.n

    def update(self, reference: ExampleScores, variant: ExampleScores) -> bool:
        """Take the scores of one more batch; return whether the limit is decided.

        Parameters
        ----------
        reference, variant : ExampleScores
            The limit's metric on the examples of the batch that the budget is about; may be
            empty. After the decision they are ignored.

        Raises
        ------
        UsageError, UnpairedScoresError, MeasurementError
            See `procedures.judge`.
        """
        if self._outcome is None and reference.ids:
            self._take(reference, variant)
            self._decide(is_last=self.n >= self._plan.n)
        return self._outcome is not None

    def close(self) -> None:
        """Decide by what there is: no more examples will come."""
        if self._outcome is None and self.n > 0:
            self._decide(is_last=True)

    def _take(self, reference: ExampleScores, variant: ExampleScores) -> None:
        if self._test is None:
            self._begin(reference)
        contrast = make_contrast(self._limit, reference, variant)
        largest, planned = int(contrast.sizes.max()), self._plan.largest_cluster
        if largest > planned:
            raise ValueError(
                f"a cluster of {largest} examples came; {planned} were planned at most"
            )
        self._prefix.add(reference, variant, contrast)
        if isinstance(self._test, PopulationTest):
            self._test.bet(contrast)

    def _begin(self, reference: ExampleScores) -> None:
        """Choose the test, now that the scores' bounds are known."""
        pace = self._pace or pace_of(metric_of(reference))
        self._pace = pace
        if self._plan.n <= pace.first:
            return
        limit, plan, levels = self._limit, self._plan, self._levels
        scales = scales_of(limit, metric_of(reference), reference.bounds)
        if self._target is Target.POPULATION:
            self._test = PopulationTest(limit, plan, levels=levels, pace=pace, scales=scales)
        elif scales is not None:
            self._test = DatasetTest(limit, plan, levels=levels, scales=scales)

    def _decide(self, *, is_last: bool) -> None:
        if self._test is None:
            self._outcome = self._judge_all().outcome if is_last else None
        elif is_last or (self._pace is not None and self.n >= self._pace.first):
            self._outcome = self._test.step(self._prefix, is_last=is_last)

    def _conclude(self, outcome: Outcome) -> Verdict:
        if self._test is None:
            return self._judge_all()
        return self._test.conclude(self._prefix, outcome)

    def _judge_all(self) -> Verdict:
        reference, variant = self._prefix.scores()
        verdict = judge(
            self._limit, reference, variant=variant, levels=self._levels, target=self._target
        )
        return foreseeing_looks(verdict, self._limit, bounds=variant.bounds)
