"""From markers to plans: what each collected test has to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.core.budget import Location
from pytest_quantcheck.core.parse import MarkerArguments, parse_marker
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.plugin.settings import Settings

MARKER = "quant_budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPlan:
    """What one test, on one variant, has to decide."""

    variant: str
    budgets: tuple[Budget, ...]
    location: Location

    @property
    def workloads(self) -> tuple[WorkloadLike, ...]:
        """The workloads its markers name, each once."""
        named = (budget.workload for budget in self.budgets)
        return tuple(dict.fromkeys(workload for workload in named if workload is not None))

    @property
    def n_statistical(self) -> int:
        """Budgets that share the run's alpha."""
        return sum(budget.limit.is_statistical for budget in self.budgets)


PLAN = pytest.StashKey[ItemPlan]()


def location_of(node: pytest.Item) -> Location:
    """Return where a test stands."""
    path, line, _ = node.location
    return Location(nodeid=node.nodeid, path=path, line=(line or 0) + 1)


def definition_id(item: pytest.Item) -> str:
    """Return the id of the test function behind a parametrized item."""
    parent = item.parent
    name = getattr(item, "originalname", None) or item.name
    return f"{parent.nodeid}::{name}" if parent else item.nodeid


def budgets_of(definition: pytest.Item, settings: Settings) -> tuple[Budget, ...]:
    """Return the budgets of a test: the closest marker wins, for each check.

    Raises
    ------
    UsageError
        A marker is wrong, or one level states the same check twice.
    """
    where = location_of(definition)
    chosen: dict[tuple[object, ...], Budget] = {}
    levels: dict[tuple[object, ...], pytest.Item | pytest.Collector] = {}
    for node, mark in definition.iter_markers_with_node(MARKER):
        arguments = MarkerArguments(args=mark.args, kwargs=mark.kwargs)
        for budget in parse_marker(
            arguments, variants=settings.known_variants, defaults=settings.variants, where=where
        ):
            key = (budget.variant, budget.workload, budget.limit.keyword)
            if key not in chosen:
                chosen[key], levels[key] = budget, node  # type: ignore[assignment]  # nodes are items or collectors
            elif levels[key] is node:
                raise UsageError(
                    f"{MARKER} at {where} ({where.nodeid}): {budget.limit.keyword} stands twice "
                    f"for {budget.variant} on the same level; keep one"
                )
    return tuple(chosen.values())


def variants_of(definition: pytest.Item, settings: Settings) -> tuple[str, ...]:
    """Return the variants over which a test is parametrized.

    Raises
    ------
    UsageError
        The test requests `quant` and has no budget, has a budget and does not request `quant`, or
        there is no variant.
    """
    where = location_of(definition)
    names = getattr(definition, "fixturenames", ())
    budgets = budgets_of(definition, settings) if "quant" in names else ()
    if "quant" not in names and any(mark.name == MARKER for mark in definition.own_markers):
        raise UsageError(missing_fixture(where))
    if "quant" in names and not budgets:
        raise UsageError(
            f"{where} ({where.nodeid}) requests the fixture quant but has no {MARKER}; state a "
            "budget, or request quant_variant for a plain handle"
        )
    asked = {budget.variant for budget in budgets} if budgets else set(settings.variants)
    if not asked:
        raise UsageError(
            f"{where} ({where.nodeid}): no variants; set quant_variants, for example "
            '["int8", "int4"]'
        )
    if settings.model is None:
        raise UsageError(
            f"{where} ({where.nodeid}): no model; set quant_model to a hub id or a folder, or pass "
            "--quant-model"
        )
    order = (*settings.variants, *(budget.variant for budget in budgets))
    return tuple(name for name in dict.fromkeys(order) if name in asked)


def missing_fixture(where: Location) -> str:
    """Return the message for a marked test that would never be decided."""
    return (
        f"{MARKER} at {where} ({where.nodeid}): the test does not request the fixture quant, so "
        "the budget would never be decided; add the argument quant to a plain test function or "
        "method"
    )


def late_marker(item: pytest.Item) -> str:
    """Return the message for a marker that came when budgets were already counted."""
    where = location_of(item)
    return (
        f"{MARKER} at {where} ({where.nodeid}): the marker was added or removed after collection, "
        "when the budgets were already counted; write it as a decorator or in pytestmark"
    )


def orphans_of(collector: pytest.Collector, found: Sequence[object]) -> list[str]:
    """Return a message for each marker below `collector` that no test would decide."""
    messages = [
        missing_fixture(location_of(item))
        for item in found
        if isinstance(item, pytest.Item)
        and any(mark.name == MARKER for mark in item.own_markers)
        and "quant" not in getattr(item, "fixturenames", ())
    ]
    is_marked = any(mark.name == MARKER for mark in collector.own_markers)
    # Tests of a class inside a module are not collected yet: only a leaf collector can be judged.
    is_leaf = bool(found) and all(isinstance(node, pytest.Item) for node in found)
    if is_marked and is_leaf and not any("quant" in getattr(i, "fixturenames", ()) for i in found):
        messages.append(
            f"{MARKER} on {collector.nodeid}: none of its tests requests the fixture quant, so the "
            "budget would never be decided"
        )
    return messages


def grouped(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return `items` with those of ours sorted by variant, among the places they had."""
    ours = [item for item in items if PLAN in item.stash]
    order = list(dict.fromkeys(item.stash[PLAN].variant for item in ours))
    by_variant = iter(sorted(ours, key=lambda item: order.index(item.stash[PLAN].variant)))
    return [next(by_variant) if PLAN in item.stash else item for item in items]
