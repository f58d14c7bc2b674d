"""Collecting tests: what each decides, and how many budgets share the run's alpha."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin import collect, models, orphans
from pytest_quantcheck.plugin.collect import MARKER, PLAN, ItemPlan
from pytest_quantcheck.stats.family import family_size

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.model import ModelUnderTest
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.plugin.settings import Settings
    from pytest_quantcheck.plugin.waiver import Waivers

_MODELS = {"fp16_model", "int8_model", "int4_model"}
"""Fixtures of built-in variants, by which `-k int4` selects plain tests too."""
USAGE_ERROR = pytest.StashKey[str]()
"""What is wrong with a test that could not be refused when it was collected."""


class Collection:
    """The tests of a session that have budgets, before and after some are left out.

    Parameters
    ----------
    config : Config
        Of the session.
    settings : Settings
        Of the run.
    waivers : Waivers
        A waived budget shares no alpha.
    """

    def __init__(self, config: pytest.Config, settings: Settings, waivers: Waivers) -> None:
        self._config = config
        self._settings = settings
        self._waivers = waivers
        self._budgets: dict[str, tuple[Budget, ...]] = {}
        self._n_marks: dict[str, int] = {}
        self._group_markers = orphans.GroupMarkers()
        self._places: dict[str, int] = {}
        self._counts: Counter[tuple[Hashable, str]] = Counter()
        self._models: dict[Hashable, ModelUnderTest] = {}
        self.plans: list[ItemPlan] = []
        """Of the tests that are selected, in their order."""
        self.n_budgets = 0
        """Statistical budgets collected, before any is deselected."""
        self.family_size = settings.family_size or 1
        self.family_error: str | None = None

    def generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize one test over its variants, or fail its module's collection."""
        definition, names = metafunc.definition, metafunc.fixturenames
        try:
            if models.MARKER in names:
                models.planned_model(definition, self._settings)
            if "quant_variant" not in names:
                return
            budgets = None
            if "quant" in names:
                budgets = collect.budgets_of(definition, self._settings)
                self._budgets[definition.nodeid] = budgets
                self._n_marks[definition.nodeid] = _n_marks(definition)
            variants = collect.variants_of(definition, budgets, self._settings)
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        metafunc.parametrize("quant_variant", variants, indirect=True, ids=variants)

    def refuse_orphans(self, collector: pytest.Collector, report: pytest.CollectReport) -> None:
        """Turn `report` into an error if a marker below `collector` would never be decided."""
        messages = [
            *orphans.budget_orphans(report.result or ()),
            *orphans.model_orphans(report.result or ()),
            *self._group_markers.orphans_of(report, collector),
        ]
        if report.outcome == "passed" and messages:
            report.outcome = "failed"
            report.longrepr = "\n".join(messages)
            report.result = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        """Plan and count before anything is deselected; group our items by variant."""
        for item in items:
            item.extra_keyword_matches |= _MODELS & {*getattr(item, "fixturenames", ())}
            self._plan(item)
        self._count([item.stash[PLAN] for item in items if PLAN in item.stash])
        items[:] = collect.grouped(items)
        n_marks = {item: self._n_planned_marks(item) for item in items}
        result = yield
        for item in items:
            # A plugin may have added tests of its own by now.
            if _n_marks(item) != n_marks.get(item, self._n_planned_marks(item)):
                item.stash[USAGE_ERROR] = orphans.late_marker(item)
        self.plans = [item.stash[PLAN] for item in items if PLAN in item.stash]
        self._places = {item.nodeid: place for place, item in enumerate(items)}
        return result

    @property
    def compared(self) -> tuple[WorkloadLike, ...]:
        """The workloads on which a budget of any test collected compares predictions."""
        budgets = (budget for found in self._budgets.values() for budget in found)
        return collect.compared_workloads(budgets)

    def place_of(self, item: pytest.Item) -> int:
        """Return which of the selected tests one is, from 0."""
        return self._places.get(item.nodeid, 0)

    def learn_model(self, item: pytest.Item, model: ModelUnderTest) -> None:
        """Remember which model a test's fixture named."""
        if PLAN in item.stash:
            self._models[item.stash[PLAN].model_group] = model

    def budgets_of(self, model: ModelUnderTest) -> dict[str, int]:
        """Return how many budgets each variant of one model has, deselected ones too."""
        counts: Counter[str] = Counter()
        for (group, variant), count in self._counts.items():
            if self._models.get(group, group) == model:
                counts[variant] += count
        return dict(counts)

    def _plan(self, item: pytest.Item) -> None:
        budgets = self._budgets.get(collect.definition_id(item))
        if budgets is None:
            return
        where = collect.location_of(item)
        variant = item.callspec.params["quant_variant"]  # type: ignore[attr-defined]  # parametrized above
        mine = [budget for budget in budgets if budget.variant == variant]
        try:
            model = models.planned_model(item, self._settings)
        except UsageError as error:  # of a marker in pytest.param, not seen before
            model, item.stash[USAGE_ERROR] = self._settings.model, str(error)
        item.stash[PLAN] = ItemPlan(
            variant=variant,
            budgets=tuple(replace(self._waivers.in_force(one), location=where) for one in mine),
            location=where,
            n_in_family=sum(self._waivers.shares_alpha(budget, self._settings) for budget in mine),
            model=model,
            model_group=models.group_of(item, model),
        )

    def _count(self, planned: list[ItemPlan]) -> None:
        for plan in planned:
            self._counts[plan.model_group, plan.variant] += len(plan.budgets)
        self.n_budgets = collect.count_budgets(self._config, planned)
        try:
            self.family_size = family_size(self.n_budgets, self._settings.family_size)
        except UsageError as error:
            self.family_error = str(error)

    def _n_planned_marks(self, item: pytest.Item) -> int:
        """Return how many markers a test had when its budgets were counted."""
        inherited = sum(node is not item for node, _ in item.iter_markers_with_node(MARKER))
        if PLAN not in item.stash:
            return inherited
        return self._n_marks.get(collect.definition_id(item), inherited)


def _n_marks(item: pytest.Item) -> int:
    return sum(1 for _ in item.iter_markers(MARKER))
