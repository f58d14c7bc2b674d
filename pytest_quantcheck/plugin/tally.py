"""How many budgets each variant of a model has, before any test is deselected."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.plugin import models
from pytest_quantcheck.plugin.collect import PLAN

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pytest_quantcheck.core.model import ModelUnderTest

TALLY = pytest.StashKey["Tally"]()


class Tally:
    """Counts budgets where tests are collected."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Hashable, str]] = Counter()
        self._groups: dict[Hashable, ModelUnderTest] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Count before anything is deselected."""
        for plan in (item.stash[PLAN] for item in items if PLAN in item.stash):
            self._counts[plan.model_group, plan.variant] += len(plan.budgets)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Learn which model a fixture named."""
        if PLAN in item.stash and models.MODEL in item.stash:
            self._groups[item.stash[PLAN].model_group] = item.stash[models.MODEL]

    def of(self, model: ModelUnderTest) -> dict[str, int]:
        """Return the budgets of one model, by variant."""
        counts: Counter[str] = Counter()
        for (group, variant), count in self._counts.items():
            if self._groups.get(group, group) == model:
                counts[variant] += count
        return dict(counts)
