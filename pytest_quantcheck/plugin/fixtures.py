"""The `quant` fixture: measures, and decides this test's budgets."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.metric import compares_models
from pytest_quantcheck.core.parse import check_measured
from pytest_quantcheck.core.record import ItemRecord
from pytest_quantcheck.core.redaction import redacted_item
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.bench import Bench
from pytest_quantcheck.plugin.binding import Bindings, needs_workload
from pytest_quantcheck.plugin.cautions import Decision, family_warnings, warnings_of
from pytest_quantcheck.plugin.collect import PLAN
from pytest_quantcheck.plugin.evaluate import Terms, evaluate, measurement_record
from pytest_quantcheck.plugin.noise import noise_records
from pytest_quantcheck.plugin.served import timing_warnings
from pytest_quantcheck.plugin.timing_bench import TimingBench
from pytest_quantcheck.plugin.tokens import text_loss_record
from pytest_quantcheck.plugin.waiver import unneeded
from pytest_quantcheck.report.failure import render_failure
from pytest_quantcheck.stats.scores import metric_level
from pytest_quantcheck.workloads.base import Workload
from pytest_quantcheck.workloads.custom import Scored
from pytest_quantcheck.workloads.latency import Latency
from pytest_quantcheck.workloads.prompt import located_few_shot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.measure.handle import Handle
    from pytest_quantcheck.plugin.evaluate import Pair, Side
    from pytest_quantcheck.plugin.session import QuantcheckSession
    from pytest_quantcheck.workloads.scorers import Given, OwnScore, Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The metrics of reference and variant on one workload."""

    reference: Mapping[str, float]
    variant: Mapping[str, float]
    n: int
    """Examples, or pairs of runs, they are on: fewer than all where the test's budgets were decided
    earlier."""


class Quant:
    """One test's variant with its budgets.

    Workloads of the markers are measured before the test's body runs; the budgets are decided
    after it.
    """

    def __init__(self, session: QuantcheckSession, item: pytest.Item, handle: Handle) -> None:
        self._session = session
        self._laboratory = session.laboratory_of(item)
        self._plan = plan = item.stash[PLAN]
        self._bench = Bench(
            laboratory=self._laboratory,
            variant=self._laboratory.variant(plan.variant),
            outbox=session.outbox,
            measures_noise=session.settings.noise_floor,
        )
        self._timings = TimingBench(laboratory=self._laboratory, variant=self._bench.variant)
        self._bindings = Bindings(plan.budgets)
        self.variant = handle
        """Handle of this test's variant."""
        self.reference = self._laboratory.handle(None)
        """Handle of the reference."""

    def measure(self, workload: WorkloadLike) -> Comparison:
        """Score or time reference and variant on a workload; budgets without one bind to it.

        A large workload is measured until the test's budgets on it are decided, and whole where
        there are none; so is a `Latency` one. Of several workloads, a budget binds to the one that
        reports its metric.

        Raises
        ------
        MeasurementError
            The workload cannot be read, or the model not be scored on it.
        """
        if isinstance(workload, Latency):
            return self._timed(workload)
        pair = self._measured(workload, in_body=True)
        self._bindings.note(workload)
        return Comparison(
            reference=_metrics(pair.reference),
            variant=_metrics(pair.variant),
            n=len(pair.measurements[1].examples),
        )

    def compare(
        self,
        examples: Sequence[Given],
        score: Scorer | OwnScore | Sequence[Scorer | OwnScore] | None = None,
        *,
        name: str | None = None,
        **options: Any,  # noqa: ANN401 - what Generation takes
    ) -> Comparison:
        """Score the outputs of reference and variant on prompts of the test's own.

        Parameters
        ----------
        examples : sequence of str or mapping
            Prompts, or mappings with `prompt`, optional `id cluster slice`, and anything the
            scorer needs.
        score : scorer, callable, or a list of them
            As for `Generation`; a callable `score(output, example)` returns a number, higher is
            better. Not needed with `judge=`.
        name : str, optional
            Shown in tables; by default the test's name.
        **options
            As for `Generation`: `max_new_tokens=64`, `bounds=(0, 1)`, `extract`, `chat`, `judge`,
            `run` and so on.

        Raises
        ------
        UsageError
            An argument is wrong.
        MeasurementError
            An example is wrong, or the scorer returned no finite number within the bounds.
        """
        if isinstance(examples, str):
            raise UsageError(f"examples={examples!r}: expected a list of prompts or mappings")
        if score is not None:
            options["score"] = score
        elif options.get("judge") is None:
            raise UsageError("quant.compare(examples): expected score=… or judge=…")
        names = self._plan.location.nodeid.partition("::")[2].partition("[")[0]
        function = names.rpartition("::")[2]
        if "few_shot" in options:
            caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001 - no public way
            options["few_shot"] = located_few_shot(options["few_shot"], caller)
        workload = Scored(
            examples,
            name=name or function.removeprefix("test_") or function,
            **options,
        )
        return self.measure(workload)

    @property
    def verdicts(self) -> list[CheckRecord]:
        """The verdicts on every budget whose workload has been measured so far.

        Raises
        ------
        UsageError
            The workload measured does not report what a budget is about.
        """
        return [self._decided(budget) for budget in self._plan.budgets if self._is_ready(budget)]

    def measure_marked(self) -> None:
        """Measure the workloads that markers name, and weigh the models if a budget asks."""
        if any(budget.limit.is_of_serving for budget in self._plan.budgets):
            self._laboratory.check_alone()
        for workload in self._plan.workloads:
            if isinstance(workload, Latency):
                self._time(workload, in_body=False)
            else:
                self._measured(workload, in_body=False)
        for variant in (self._laboratory.reference, self._bench.variant):
            self._laboratory.runner.weights(variant)

    def decide(self) -> ItemRecord:
        """Return the record of this test with every budget decided.

        Raises
        ------
        UsageError
            A budget without a workload found none, or more than one, measured by the test.
        """
        self._bindings.check()
        checks = [self._decided(budget) for budget in self._plan.budgets]
        decisions = [
            Decision(
                budget=budget,
                workload=(workload := self._bindings.workload_of(budget)),
                pair=self._bench.pair_of(budget, workload),
                check=check,
                is_of_reference=self._bench.variant == self._laboratory.reference,
            )
            for budget, check in zip(self._plan.budgets, checks, strict=True)
            if not budget.limit.is_of_serving
        ]
        latencies = self._timings.records()
        pairs = self._bench.pairs
        outcomes = {check.outcome for check in checks}
        worst = next(o.value for o in _WORST_FIRST if o.value in outcomes)
        record = ItemRecord(
            outcome=worst,
            checks=checks,
            measurements=[
                measurement_record(side, is_reference=side is pair.reference)
                for pair in pairs.values()
                for side in (pair.reference, pair.variant)
            ],
            environment=self._laboratory.environment(),
            noise=noise_records(pairs.values(), checks),
            latencies=latencies,
            warnings=[
                *family_warnings(self._laboratory.levels),
                *warnings_of(pairs, decisions),
                *(text for one in latencies for text in timing_warnings(one)),
                *unneeded(checks),
                *self._laboratory.notices,
            ],
        )
        return redacted_item(record, self._session.settings.redact)

    def failure_text(self, record: ItemRecord) -> str:
        """Return why the test is red; empty if it is not."""
        red = [check for check in record.checks if check.is_red]
        reproduce = self._session.reproduce(self._plan.location.nodeid)
        layout = self._session.layout()
        return "\n\n".join(
            render_failure(
                check,
                record.environment,
                reproduce=reproduce,
                layout=layout,
                timings=record.latencies,
            )
            for check in red
        )

    def _measured(self, workload: WorkloadLike, *, in_body: bool) -> Pair:
        if not isinstance(workload, Workload):
            raise UsageError(
                f"workload={workload!r}: expected a workload, such as "
                "MultipleChoice.from_jsonl('data/triage.jsonl')"
            )
        budgets = self._bindings.take_waiting(workload, in_body=in_body)
        if budgets or workload not in self._bench.pairs:
            if any(compares_models(one.limit.metric) for one in budgets):
                self._laboratory.runner.compare_predictions([workload])
            self._bench.measure(workload, {one: self._terms(one) for one in budgets})
        return self._bench.pairs[workload]

    def _timed(self, workload: Latency) -> Comparison:
        """Time a workload for the test's body."""
        self._time(workload, in_body=True)
        self._bindings.note(workload)
        return Comparison(
            reference=self._timings.levels(workload, variant=False),
            variant=self._timings.levels(workload, variant=True),
            n=self._timings.n_of(workload),
        )

    def _time(self, workload: Latency, *, in_body: bool) -> None:
        budgets = self._bindings.take_waiting(workload, in_body=in_body)
        if budgets or workload not in self._timings:
            self._timings.measure(workload, budgets)

    def _is_ready(self, budget: Budget) -> bool:
        workload = self._bindings.workload_of(budget)
        is_measured = workload in self._bench.pairs or workload in self._timings
        return is_measured or not needs_workload(budget.limit)

    def _terms(self, budget: Budget) -> Terms:
        settings, waivers = self._session.settings, self._session.waivers
        target = settings.target_of(budget)
        return Terms(
            levels=self._laboratory.levels,
            gate=budget.gate or settings.gate,
            target=target,
            is_waived=waivers.covers(budget),
            is_in_family=waivers.shares_alpha(budget, settings),
            looks_from=settings.looks_from(target),
        )

    def _decided(self, budget: Budget) -> CheckRecord:
        workload = self._bindings.workload_of(budget)
        if workload is not None:
            check_measured(budget.limit, workload, budget.shown)
        pair = self._bench.pair_of(budget, workload)
        if isinstance(workload, Latency) and budget.limit.is_of_serving:
            terms = self._terms(budget)
            return self._timings.evaluate(budget, workload, pair=pair, terms=terms)
        return evaluate(budget, pair, self._terms(budget), self._bench.settled(budget))


_WORST_FIRST = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)


def _metrics(side: Side) -> dict[str, float]:
    scores = side.measurement.scores if side.measurement else {}
    levels = {name: metric_level(values) for name, values in scores.items()}
    loss = text_loss_record(side.measurement)
    return levels | ({"bits_per_byte": loss.bits_per_byte} if loss else {})
